"""Answers in words: yes and no, numbers and infinity spelled out, names for sets, and any other text."""

from __future__ import annotations

import re
from fractions import Fraction

from .parser import REALS
from .values import INFINITY, Clock, Num, Sequence, Value, Words, negative
from .vocabulary import FUNCTIONS, GREEK

_WORDY = re.compile(r"[A-Za-z][A-Za-z\s,'\"\-.;()]*")
_NUMBER_WORDS = {
    name: value
    for value, name in enumerate(
        str.split(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
            "sixteen seventeen eighteen nineteen"
        )
    )
} | {
    name: 10 * value
    for value, name in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred"], 2)
}
_SAME = {
    **dict.fromkeys(
        str.split(
            "no solution|no solutions|none|no real solution|no real solutions|empty set|the empty set|"
            "no such number exists|there is no solution|there are no solutions|no such x|no value|no values|"
            "no such values exist",
            "|",
        ),
        "no solution",
    ),
    **dict.fromkeys(["does not exist", "dne", "doesn't exist", "do not exist"], "does not exist"),
    **dict.fromkeys(["yes", "true", "correct"], "yes"),
    **dict.fromkeys(["no", "false", "incorrect"], "no"),
    **dict.fromkeys(["infinitely many", "infinitely many solutions", "infinite solutions"], "infinitely many"),
    **dict.fromkeys(["diverges", "divergent", "diverge", "the series diverges"], "diverges"),
    **dict.fromkeys(["converges", "convergent", "converge", "the series converges"], "converges"),
    **dict.fromkeys(["noon", "12 noon", "midday"], "noon"),
}
_REAL_WORDS = {"all real numbers", "all reals", "real numbers", "the real numbers", "all real x", "all real values"}
_ARTICLES = re.compile(r"^(?:an?|the)\s+(?=\S{2,})")
_PARSED_WORDS = re.compile(r"(?:infinity|infty|inf|oo|pi|e|i|[A-Za-z])", re.A)
_FUNCTION_WORDS = frozenset(FUNCTIONS) | {"sqrt", "cbrt"}
_SHORT_WORDS = frozenset(
    str.split(
        "no on yes it is an at to so of or in up we he she me my by be as if do go us am i'm the and any all "
        "one two six ten sum max min odd big red cat dog sat sun mon tue wed thu fri pm none true dne nan"
    )
)
_ORDINALS = {
    name: value
    for value, name in enumerate(
        str.split("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"), 1
    )
}
_PARTS = {name: value for name, value in _ORDINALS.items() if value > 2} | {"half": 2, "halve": 2, "quarter": 4}
_INFINITIES = {
    **dict.fromkeys(["positive infinity", "plus infinity"], INFINITY),
    **dict.fromkeys(["negative infinity", "minus infinity"], negative(INFINITY)),
}
_YES_OR_NO = re.compile(r"(yes|no)\b\s*[,.;:-]")


def fold(text: str) -> str:
    """Text for comparison: lower case, single spaces, no quotes, dots or articles."""
    folded = " ".join(re.sub(r"[\"'.;]+", "", text).lower().replace("\\", "").split()).strip(" ,:")
    return _ARTICLES.sub("", folded)


def wordy(text: str) -> Value | None:
    """The value of a text of letters and punctuation only; None for any other, and where the letters read as symbols."""
    if not _WORDY.fullmatch(text):
        return None
    folded = fold(text)
    if folded == "noon":
        return Clock(43200)
    if folded == "midnight":
        return Clock(0)
    if folded in _REAL_WORDS:
        return REALS
    if folded in _INFINITIES:
        return _INFINITIES[folded]
    if folded in _SAME:
        same = _SAME[folded]
        return Sequence("set", ()) if same == "no solution" else Words(same)
    number = _number(folded)
    if number is not None:
        return Num(number)
    words = re.findall(r"[A-Za-z']+", text)
    if _reads_as_symbols(text, folded, words):
        return None
    decided = _YES_OR_NO.match(text.lower())  # "Yes, they are similar."
    if decided is not None and len({"yes", "no"} & {word.lower() for word in words}) == 1:
        return Words(decided[1])
    return Words(folded)


def _reads_as_symbols(text: str, folded: str, words: list[str]) -> bool:
    symbols = [word for word in words if word not in ("and", "or")]
    if all(_PARSED_WORDS.fullmatch(word) for word in symbols):
        return True
    if "-" in text and all(len(word) <= 2 and word.lower() not in _SHORT_WORDS for word in words):  # cx-cy
        return True
    if len(words) > 1 and words[0] in _FUNCTION_WORDS:  # sin(x), ln x
        return all(word in _FUNCTION_WORDS or word in GREEK or _PARSED_WORDS.fullmatch(word) for word in symbols)
    if len(words) == 1 and text in GREEK:
        return True
    return len(words) == 1 and len(text) <= 3 and folded not in _SHORT_WORDS and text.islower() and _no_vowels(folded)


def _number(folded: str) -> Fraction | None:
    """`seven`, `forty-two`, `two thirds`, `one and a half`."""
    if folded in _NUMBER_WORDS:
        return Fraction(_NUMBER_WORDS[folded])
    if folded in _ORDINALS:
        return Fraction(_ORDINALS[folded])
    tens, _, ones = folded.partition("-")
    if tens in _NUMBER_WORDS and 0 < _NUMBER_WORDS.get(ones, 0) < 10 and 20 <= _NUMBER_WORDS[tens] < 100:
        return Fraction(_NUMBER_WORDS[tens] + _NUMBER_WORDS[ones])
    whole, joined, rest = folded.partition(" and ")
    if joined:
        added = _number(rest) if rest.startswith(("a ", "one ", "two ", "three ")) else None
        return Fraction(_NUMBER_WORDS[whole]) + added if added is not None and whole in _NUMBER_WORDS else None
    count, _, part = folded.replace("-", " ").partition(" ")
    amount = 1 if count == "a" else _NUMBER_WORDS.get(count, 0)
    size = _PARTS.get(part.removesuffix("s"), 0) if part else 2 if folded == "half" else 0
    return Fraction(amount or 1, size) if size and (amount or folded == "half") else None


def _no_vowels(word: str) -> bool:
    return len(word) == 2 or not set(word) & set("aeiou")
