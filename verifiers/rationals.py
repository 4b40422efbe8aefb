"""Rational numbers as they are written out, read without floating point and without evaluating any text."""

from __future__ import annotations

from fractions import Fraction

from .regexes import compile_once

MAX_DIGITS = 1_000
_RATIONAL = r"(?a)([+-]?)(\d{1,3}(?:,\d{3})+|\d+)?(?:\.(\d+))?(?:/(\d+))?"


def parse_rational(text: str) -> Fraction | None:
    """`42`, `-1,000`, `2.50`, `7/3` as an exact number; None for anything
    else. Bounded by MAX_DIGITS characters."""
    text = text.strip()
    if len(text) > MAX_DIGITS:
        return None
    match = compile_once(_RATIONAL).fullmatch(text)
    if match is None or (match[2] is None and match[3] is None) or (match[3] and match[4]):
        return None
    numerator = Fraction(f"{(match[2] or '0').replace(',', '')}.{match[3] or '0'}")
    denominator = int(match[4] or 1)
    if denominator == 0:
        return None
    value = numerator / denominator
    return -value if match[1] == "-" else value
