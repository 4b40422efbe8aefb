"""Answers in words: yes and no, numbers and infinity spelled out, names for sets, and any other text."""

from __future__ import annotations

import re

from ..traversal import negative
from ..values import INFINITY, Clock, Num, Sequence, Value, Words
from .numerals import amount_in_words, number_in_words
from .parser import REALS
from .sentences import canonical
from .stream import fold
from .vocabulary import FUNCTIONS, GREEK

_WORDY = re.compile(r"[A-Za-z][A-Za-z\s,'\"\-.;()]*")
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
    **dict.fromkeys(
        ["infinitely many", "infinitely many solutions", "infinite solutions"], "infinitely many"
    ),
    **dict.fromkeys(["diverges", "divergent", "diverge", "the series diverges"], "diverges"),
    **dict.fromkeys(["converges", "convergent", "converge", "the series converges"], "converges"),
    **dict.fromkeys(["noon", "12 noon", "midday"], "noon"),
}
_REAL_WORDS = {
    "all real numbers",
    "all reals",
    "real numbers",
    "the real numbers",
    "all real x",
    "all real values",
}
_PARSED_WORDS = re.compile(r"(?:infinity|infty|inf|oo|pi|e|i|[A-Za-z])", re.A)
_FUNCTION_WORDS = frozenset(FUNCTIONS) | {"sqrt", "cbrt"}
_SHORT_WORDS = frozenset(
    str.split(
        "no on yes it is an at to so of or in up we he she me my by be as if do go us am i'm the and any all "
        "one two six ten sum max min odd big red cat dog sat sun mon tue wed thu fri pm none true dne nan"
    )
)
_INFINITIES = {
    **dict.fromkeys(["positive infinity", "plus infinity"], INFINITY),
    **dict.fromkeys(["negative infinity", "minus infinity"], negative(INFINITY)),
}
# F(ab) and sin(AB): there the case of letters counts
_APPLIED = re.compile(r"(?<![A-Za-z])[A-Za-z]{1,4}'*\([A-Za-z]")
_YES_OR_NO = re.compile(r"(yes|no)\b\s*[,.;:-]")


def read_words(text: str) -> Value | None:
    """The value of a text of letters and punctuation only; None for any other,
    and where the letters read as symbols."""
    if not _WORDY.fullmatch(text) or _APPLIED.search(text):
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
    if (same := canonical(folded)) is not None:
        return Words(same)
    number = number_in_words(folded)
    if number is not None:
        return Num(number)
    amount = amount_in_words(" ".join(text.lower().strip(" .").split()))
    if amount is not None:
        return amount
    words = re.findall(r"[A-Za-z']+", text)
    if _reads_as_symbols(text, folded, words):
        return None
    decided = _YES_OR_NO.match(text.lower())  # "Yes, they are similar."
    if decided is not None and len({"yes", "no"} & {word.lower() for word in words}) == 1:
        return Words(decided[1])
    return Words(folded)


def _reads_as_symbols(text: str, folded: str, words: list[str]) -> bool:
    symbols = [word.rstrip("'") for word in words if word not in ("and", "or")]
    if all(_PARSED_WORDS.fullmatch(word) for word in symbols):
        return True
    if "-" in text and all(_product_of_letters(word) for word in words):  # cx-cy
        return True
    if len(words) > 1 and words[0] in _FUNCTION_WORDS:  # sin(x), ln x
        return all(
            word in _FUNCTION_WORDS or word in GREEK or _PARSED_WORDS.fullmatch(word) for word in symbols
        )
    if len(words) == 1 and text in GREEK:
        return True
    return (
        len(words) == 1
        and len(text) <= 3
        and folded not in _SHORT_WORDS
        and text.islower()
        and _no_vowels(folded)
    )


def _product_of_letters(word: str) -> bool:
    if len(word) > 4 or word.lower() in _SHORT_WORDS:
        return False
    return (
        len(word) <= 2
        or not set(word) & set("aeiou")
        or not (word.islower() or word.istitle() or word.isupper())
    )


def _no_vowels(word: str) -> bool:
    return len(word) == 2 or not set(word) & set("aeiou")
