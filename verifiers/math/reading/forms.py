"""Answers that are no expressions: choices, clock times, dates, ratios, numerals with a base;
words are in `words`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from ..units import DEGREE
from ..values import (
    EXPRESSIONS,
    Choice,
    Clock,
    Date,
    Num,
    Quantity,
    Ratio,
    Sequence,
    Unreadable,
    Value,
    clock24,
)
from .atoms import read_in_base
from .configurations import read_configuration
from .labels import known_label, labelled_list, separate_parts
from .lexer import tokens_of
from .parser import Parser
from .vocabulary import BASE_WORDS
from .words import read_words

_MONTHS = {
    name: number
    for number, names in enumerate(
        str.split(
            "january jan|february feb|march mar|april apr|may|june jun|july jul|august aug|september sep "
            "sept|"
            "october oct|november nov|december dec",
            "|",
        ),
        1,
    )
    for name in names.split()
}
_MONTH = "(" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
_DATES = [
    (
        re.compile(rf"{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:\s*,?\s+(\d{{4}}))?", re.I),
        ("month", "day", "year"),
    ),
    (
        re.compile(rf"(\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}(?:\s*,?\s+(\d{{4}}))?", re.I),
        ("day", "month", "year"),
    ),
    (re.compile(r"(\d{4})-(\d{2})-(\d{2})"), ("year", "month", "day")),
]
_CLOCK = re.compile(r"(\d{1,2})(?:\s*:\s*([0-5]\d))?(?:\s*:\s*([0-5]\d))?\s*([ap])\s*\.?\s*m\.?", re.I)
_CHOICE = re.compile(
    r"(?:(?:option|choice)\s*)?(?:\(\s*([A-Ja-j])\s*\)|([A-J])\s*([.):])(?=\s|$)|([A-F])$)(.*)", re.I | re.S
)
_LABEL_AHEAD = re.compile(r"(?<![A-Za-z])[A-Ja-j] ?:")
_FIRST_LABEL = re.compile(r"\((?:[A-Ja-j]|[ivx]{1,4}|1)\) |[A-Ja-j][.)] |[A-Za-z][A-Za-z_0-9]{0,19} ?: ?")
_LABELLED = re.compile(
    r"(?:\((?P<round>[A-Ja-j]|[ivx]{1,4}|[1-9])\) "
    r"|(?P<name>[A-Ja-j](?=[.)] )|[A-Za-z][A-Za-z_0-9]{0,19}(?= ?:)) ?(?P<sign>[.):]) ?)"
    r"(?P<value>\S.*)",
    re.S,
)
_SIGNED = re.compile(r"[-+][^ ]")  # `(a) -3`, which is no difference
_SEPARATOR = re.compile(r"[,;]|\\\\| and (?=\(?[A-Za-z]\w{0,19} ?[:.)] )| (?=[A-Z] ?: )|[()\[\]{}]")
_BASED = re.compile(
    r"\(?\s*([0-9A-Za-z]+)\s*\)?\s*(?:_\s*\{?\s*\(?\s*|\(?\s*(?:in )?base[\s-]+)([0-9]{1,2}"
    r"|[a-z]{3,7})\s*\)?\s*\}?\s*\)?"
)
_ORDINAL = re.compile(r"(\d{1,6})\s*\^?\s*\{?\s*(?:st|nd|rd|th)\s*\}?")
_ARC = re.compile(
    r"(\d{1,6})\s*\^\s*\{?\s*\\circ\s*\}?\s*([0-5]?\d(?:\.\d+)?)\s*'(?:\s*([0-5]?\d(?:\.\d+)?)\s*(?:''|\"))?"
)
_PREFIXED = re.compile(r"0(?:x([0-9A-Fa-f]+)|b([01]+)|o([0-7]+))")


def read_special(text: str) -> Value | None:
    """A value that is no expression; None when the text looks like one."""
    first = text[0]
    if first == "{" and text[1:].strip() == "}":
        return Sequence("set", ())
    if first in "(\\cCoO" or first.isalpha():
        choice = choice_of(text)
        if choice is not None:
            return choice
    if ("_" in text or "base" in text) and (numeral := _numeral(text)) is not None:
        return numeral
    if first == "0" and _PREFIXED.fullmatch(text):
        return Num(Fraction(int(text, 0)))
    if (first.isdigit() or first == "[") and "^" in text and (shells := read_configuration(text)) is not None:
        return shells
    if first.isdigit() and (text[-1] in "'\"hdt}") and (value := _ordinal_or_arc(text)) is not None:
        return value
    if first.isdigit() or first.isalpha():
        if len(text) < 40 and (dated := _date(text)) is not None:
            return dated
        if first.isdigit() and len(text) < 16 and (clock := _clock(text)) is not None:
            return clock
        if ":0" in text and (clock := clock24(text)) is not None:  # no ratio is written 9:05
            return clock
    if ":" in text and (ratio := _ratio(text, ":")) is not None:
        return ratio
    if " to " in text and first.isdigit() and (ratio := _ratio(text, " to ")) is not None:
        return ratio
    return read_words(text)


def _numeral(text: str) -> Num | None:
    """`101_2`, `(1F)_{16}`, `B_{16}`: a numeral with its base; None for a
    name with an index (`a_1`, `A_{12}`)."""
    match = _BASED.fullmatch(text)
    if match is None:
        return None
    digits, base = match[1], int(match[2]) if match[2].isdigit() else BASE_WORDS.get(match[2], 0)
    if len(digits) == 1 and not digits.isdigit() and (base != 16 or not "A" <= digits <= "F"):
        return None
    if not 2 <= base <= 36:
        return None
    if not any(map(str.isdigit, digits)) and (base <= 10 or not (digits.isupper() or base == 16)):
        return None
    return read_in_base(digits, base)


_BASE_MARK = re.compile(
    r"(?<![A-Za-z0-9_\\])([0-9][0-9A-Fa-f]*|[A-F][0-9A-F]*)(?: ?_ ?(?:\{ ?\(?[0-9]{1,2}\)? ?\}"
    r"|[0-9]{1,2}(?![0-9]))"
    r"| ?\(?(?:in )?base[ -](?:[0-9]{1,2}|[a-z]{3,7})\)?)"
)


def without_bases(text: str) -> str | None:
    """A text with its numerals' bases left out (`2516_8` as 2516); None where no numeral has one."""
    bare = _BASE_MARK.sub(lambda match: match[1] if _numeral(match[0]) is not None else match[0], text)
    return bare if bare != text else None


def _ordinal_or_arc(text: str) -> Value | None:
    """`7th` is 7; `45°30'` is 45.5 degrees."""
    if (match := _ORDINAL.fullmatch(text)) is not None:
        return Num(Fraction(match[1]))
    if (match := _ARC.fullmatch(text)) is not None:
        whole, minutes, seconds = (Fraction(part or 0) for part in match.groups())
        return Quantity(Num(whole + minutes / 60 + seconds / 3600), DEGREE)
    return None


def choice_of(text: str) -> Choice | None:
    match = _CHOICE.match(text)
    if match is None or (match[1] is None and match[2] is None and match[4] is None):
        return None
    letter = match[1] or match[2] or match[4]
    rest = match[5].strip()
    if match[4] == "e":  # the constant
        return None
    if match[2] and letter.islower() and not rest and not text.endswith((")", ".")):
        return None
    if rest and rest[0] in "+-*/^=<>_!,&|":  # (a)+b is an expression
        return None
    if match[1] and rest and (rest[0] == "(" or (letter.islower() and len(rest) < 3)):
        return None
    if rest.lower().startswith(("and ", "or ")) or (match[3] == ":" and _LABEL_AHEAD.search(rest)):
        return None
    return Choice(letter.upper())


class Beside(NamedTuple):
    """What stands behind a choice's letter, and whether a colon stands between."""

    text: str
    colon: bool


def beside_choice(text: str) -> Beside | None:
    """What stands behind the letter of `A: 42`, `(A) 42`, `A. 42`; None for a letter alone."""
    match = _CHOICE.match(text)
    said = match[5].strip() if match is not None else ""
    return Beside(said, match[3] == ":") if match is not None and said else None


def labelled_values(text: str) -> list[tuple[str, str]] | None:
    """`A: 5, B: 7`, `(a) 5, (b) 7`, `AB = 5, CD = 7` as labels with texts: two or
    more, in one dress, none twice; or None."""
    text = separate_parts(text)
    if not _FIRST_LABEL.match(text):
        several = ("," in text or ";" in text or " and " in text) and (text[0].isalpha() or text[0] == "\\")
        return labelled_list(_pieces(text)) if several else None
    entries: list[tuple[str, str, str]] = []
    for piece in _pieces(text):
        match = _LABELLED.fullmatch(piece)
        if match is None or (match["value"][0] in "+-*/^=<>_!&|" and not _SIGNED.match(match["value"])):
            if not entries:
                return None
            entries[-1] = (*entries[-1][:2], f"{entries[-1][2]}, {piece}")
        else:
            dress = "round" if match["round"] else match["sign"]
            entries.append((dress, match["round"] or match["name"], match["value"]))
    labels = {label for _, label, _ in entries}
    if entries[0][1] == "1" and [label for _, label, _ in entries] != [
        str(index + 1) for index in range(len(entries))
    ]:
        return None
    if not 2 <= len(entries) == len(labels) or len({dress for dress, _, _ in entries}) > 1:
        return None
    return [
        (label.upper() if len(label) == 1 and dress != ":" else known_label(label), value)
        for dress, label, value in entries
    ]


def _pieces(text: str) -> list[str]:
    """A text cut at commas, semicolons and `and` outside of brackets."""
    pieces, depth, begin = [], 0, 0
    for match in _SEPARATOR.finditer(text):
        sign = match[0]
        depth += (sign in "([{") - (sign in ")]}" and depth > 0)
        if depth or sign in "([{)]}":
            continue
        pieces.append(text[begin : match.start()].strip())
        begin = match.end()
    pieces.append(text[begin:].strip())
    return [piece for piece in pieces if piece]


def _date(text: str) -> Date | None:
    for pattern, order in _DATES:
        match = pattern.fullmatch(text.removeprefix("the "))
        if match is not None:
            fields = dict(zip(order, match.groups(), strict=True))
            month = fields["month"]
            number = int(month) if month.isdigit() else _MONTHS[month.lower()]
            day = int(fields["day"])
            return (
                Date(int(fields["year"]) if fields["year"] else None, number, day) if 1 <= day <= 31 else None
            )
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
