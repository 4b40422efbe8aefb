"""Answers that name several of the offered things: statements by Roman numerals,
letters of a multiple choice."""

from __future__ import annotations

import re

from ..values import Sequence, Sym, Value

_ROMAN = r"(?:I{1,3}|IV|VI{0,3})"
_STATEMENTS = re.compile(
    rf"(?:(?:[Ss]tatements? |[Oo]nly |[Bb]oth |[Aa]ll of ){{0,2}})({_ROMAN}(?:(?:, and |, ?| and "
    rf"| ?& ?){_ROMAN})*)"
    r"(?P<only> only| alone)?(?: (?:is|are) (?:true|correct))?"
)
_ALONE = frozenset(("II", "III"))  # IV and VI may be products of letters
_OFFERED = re.compile(r"\(?[A-H]\)?(?:(?:, ?| and | or |, and |, or )\(?[A-H]\)?)+")
_FIRST = frozenset("IVSOBAsoba")


def named_several(text: str) -> Value | None:
    """`I and II only`, `I, II` as a set; None for any other text, and for a
    numeral alone that may be a letter."""
    if text[0] not in _FIRST:
        return None
    match = _STATEMENTS.fullmatch(text)
    if match is None:
        return None
    numerals = re.findall(_ROMAN + r"(?![IV])", match[1])
    if len(numerals) == 1 and match[0] == numerals[0] and numerals[0] not in _ALONE:
        return None
    items = tuple(Sym(numeral) for numeral in dict.fromkeys(numerals))
    return items[0] if len(items) == 1 else Sequence("set", items)


def offers_another(text: str) -> bool:
    """Whether letters of choices stand side by side as alternatives: `A, B or D` names no set."""
    return " or " in text and _OFFERED.fullmatch(text) is not None


__all__ = ["named_several", "offers_another"]
