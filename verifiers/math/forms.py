"""Answers that are no expressions: choices, clock times, dates, ratios, words."""

from __future__ import annotations

import re
from fractions import Fraction

from .atoms import based
from .lexer import Unreadable, tokens_of
from .parser import REALS, Parser
from .values import EXPRESSIONS, Choice, Clock, Date, Num, Ratio, Sequence, Value, Words

_MONTHS = {
    name: number
    for number, names in enumerate(
        str.split(
            "january jan|february feb|march mar|april apr|may|june jun|july jul|august aug|september sep sept|"
            "october oct|november nov|december dec",
            "|",
        ),
        1,
    )
    for name in names.split()
}
_MONTH = "(" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
_DATES = [
    (re.compile(rf"{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:\s*,?\s+(\d{{4}}))?", re.I), ("month", "day", "year")),
    (re.compile(rf"(\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}(?:\s*,?\s+(\d{{4}}))?", re.I), ("day", "month", "year")),
    (re.compile(r"(\d{4})-(\d{2})-(\d{2})"), ("year", "month", "day")),
]  # fmt: skip
_CLOCK = re.compile(r"(\d{1,2})(?:\s*:\s*([0-5]\d))?(?:\s*:\s*([0-5]\d))?\s*([ap])\s*\.?\s*m\.?", re.I)
_CLOCK24 = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?(?:\s*(?:hours|hrs|h))?")
_CHOICE = re.compile(r"(?:(?:option|choice)\s*)?(?:\(\s*([A-Ja-j])\s*\)|([A-J])\s*[.):](?=\s|$)|([A-F])$)(.*)", re.I | re.S)
_LOWER_LIST = re.compile(r"[a-j]\s*\)")
_BASED = re.compile(r"\(?\s*([0-9A-Za-z]+)\s*\)?\s*_\s*\{?\s*([0-9]{1,2})\s*\}?")
_PREFIXED = re.compile(r"0(?:x([0-9A-Fa-f]+)|b([01]+)|o([0-7]+))")
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
_SHORT_WORDS = frozenset(
    str.split(
        "no on yes it is an at to so of or in up we he she me my by be as if do go us am i'm the and any all "
        "one two six ten sum max min odd big red cat dog sat sun mon tue wed thu fri pm none true dne nan"
    )
)


def special(text: str) -> Value | None:
    """A value that is no expression; None when the text looks like one."""
    first = text[0]
    if first in "(\\cCoO" or first.isalpha():
        choice = choice_of(text)
        if choice is not None:
            return choice
    if "_" in text and (numeral := _numeral(text)) is not None:
        return numeral
    if first == "0" and _PREFIXED.fullmatch(text):
        return Num(Fraction(int(text, 0)))
    if first.isdigit() or first.isalpha():
        if len(text) < 40 and (dated := _date(text)) is not None:
            return dated
        if first.isdigit() and len(text) < 16 and (clock := _clock(text)) is not None:
            return clock
    if ":" in text and (ratio := _ratio(text, ":")) is not None:
        return ratio
    if " to " in text and first.isdigit() and (ratio := _ratio(text, " to ")) is not None:
        return ratio
    if _WORDY.fullmatch(text):
        return _wordy(text)
    return None


def _numeral(text: str) -> Num | None:
    """`101_2`, `(1F)_{16}`, `B_{16}`: a numeral with its base; None for a name with an index (`a_1`, `A_{12}`)."""
    match = _BASED.fullmatch(text)
    if match is None:
        return None
    digits, base = match[1], int(match[2])
    if len(digits) == 1 and not digits.isdigit() and (base != 16 or not "A" <= digits <= "F"):
        return None
    if not 2 <= base <= 36:
        return None
    if not any(map(str.isdigit, digits)) and (base <= 10 or not (digits.isupper() or base == 16)):
        return None
    return based(digits, base)


_LABEL = re.compile(
    r"((?:m\s*)?\\(?:angle|measuredangle|triangle|overline|overrightarrow|vec|widehat)\s*\{?\s*[A-Z]{1,4}\s*\}?"
    r"|[A-Z]{2,4}|[A-Za-z]{5,20}(?: [A-Za-z]{1,20}){0,3}|(?:Area|area|Sum|sum)|[a-z]\s*\^\s*\{-1\}\s*\(\s*[a-z]\s*\)"
    r"|\\d?frac\s*\{\s*d\s*[a-z]\s*\}\s*\{\s*d\s*[a-z]\s*\}|d[a-z]\s*/\s*d[a-z])\s*=([^=<>]+)"
)


def labelled(text: str) -> tuple[str, str] | None:
    """`AB = 5`, `\\angle ABC = 60`, `Area = 12`, `dy/dx = 2x`: the name and what it equals. None for anything else."""
    match = _LABEL.fullmatch(text)
    if match is None:
        return None
    return " ".join(re.sub(r"[{}]", " ", match[1]).split()), match[2].strip()


def choice_of(text: str) -> Choice | None:
    match = _CHOICE.match(text)
    if match is None or (match[1] is None and match[2] is None and match[3] is None):
        return None
    letter = match[1] or match[2] or match[3]
    rest = match[4].strip()
    if match[2] and letter.islower() and not rest and not text.endswith((")", ".")):
        return None
    if rest and rest[0] in "+-*/^=<>_!,&|":  # (a)+b is an expression
        return None
    if match[1] and rest and (rest[0] == "(" or (letter.islower() and len(rest) < 3)):
        return None
    if rest.lower().startswith(("and ", "or ")):
        return None
    return Choice(letter.upper())


def _date(text: str) -> Date | None:
    for pattern, order in _DATES:
        match = pattern.fullmatch(text)
        if match is not None:
            found = dict(zip(order, match.groups(), strict=True))
            month = found["month"]
            number = int(month) if month.isdigit() else _MONTHS[month.lower()]
            day = int(found["day"])
            return Date(int(found["year"]) if found["year"] else None, number, day) if 1 <= day <= 31 else None
    return None


def _clock(text: str) -> Clock | None:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hour = int(match[1])
    if not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if match[4] in "pP" else 0)
    return Clock(3600 * hour + 60 * int(match[2] or 0) + int(match[3] or 0))


def clock24(text: str) -> Clock | None:
    """`15:30` as a time of day; only a comparison with a clock time asks for it, else it is a ratio."""
    match = _CLOCK24.fullmatch(text)
    return None if match is None else Clock(3600 * int(match[1]) + 60 * int(match[2]) + int(match[3] or 0))


def _ratio(text: str, colon: str) -> Ratio | None:
    pieces = text.split(colon)
    if not 2 <= len(pieces) <= 8 or "|" in text or "\\{" in text:
        return None
    parts = []
    for piece in pieces:
        try:
            part = Parser(tokens_of(piece)).everything()
        except Unreadable:
            return None
        if not isinstance(part, EXPRESSIONS):
            return None
        parts.append(part)
    return Ratio(tuple(parts))


def fold(text: str) -> str:
    """Text for comparison: lower case, single spaces, no quotes, dots or articles."""
    folded = " ".join(re.sub(r"[\"'.;]+", "", text).lower().replace("\\", "").split()).strip(" ,:")
    return _ARTICLES.sub("", folded)


def _wordy(text: str) -> Value | None:
    """Letters and punctuation only: words, unless they read as symbols."""
    folded = fold(text)
    if folded == "noon":
        return Clock(43200)
    if folded == "midnight":
        return Clock(0)
    if folded in _REAL_WORDS:
        return REALS
    if folded in _SAME:
        same = _SAME[folded]
        return Sequence("set", ()) if same == "no solution" else Words(same)
    if folded in _NUMBER_WORDS:
        return Num(Fraction(_NUMBER_WORDS[folded]))
    tens, _, ones = folded.partition("-")
    if tens in _NUMBER_WORDS and 0 < _NUMBER_WORDS.get(ones, 0) < 10 and 20 <= _NUMBER_WORDS[tens] < 100:
        return Num(Fraction(_NUMBER_WORDS[tens] + _NUMBER_WORDS[ones]))
    words = re.findall(r"[A-Za-z']+", text)
    symbols = [word for word in words if word not in ("and", "or")]
    if all(_PARSED_WORDS.fullmatch(word) for word in symbols):
        return None
    if len(words) == 1 and len(text) <= 3 and folded not in _SHORT_WORDS and text.islower() and _no_vowels(folded):
        return None
    return Words(folded)


def _no_vowels(word: str) -> bool:
    return len(word) == 2 or not set(word) & set("aeiou")
