"""Exact equality of rational numbers, without floating point and without evaluating any text."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from typing import Any

from ..criterion import Criterion
from ..extract import MARKED, Source
from ..quotations import undress
from ..regexes import compile_once
from ..rewrites import rewrite_number, rewrite_text
from ..types import Verdict, correct, no_answer, wrong
from .answer import answer_criterion

MAX_DIGITS = 1_000
_SOME_NUMBER = r"(?a)[-+]?\d[\d,]*(?<!,)(?:\.\d+)?(?:/\d+)?"
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


def number(name: str = "number", weight: float = 1.0, sources: tuple[Source, ...] = MARKED) -> Criterion:
    """The answer is the reference number, exactly (`0.5` is `1/2`; `0.33` is not `1/3`)."""

    def equal(reference: Any, answer: str) -> Verdict:
        expected = parse_rational(str(reference))
        if expected is None:
            raise ValueError(
                f"The reference {reference!r} is not a number; give an integer, a decimal or a fraction."
            )
        value = parse_rational(undress(answer))
        if value is None:
            return no_answer(f"{answer[:80]!r} is not a number.")
        return correct(answer) if value == expected else wrong(answer, f"{value} is not {expected}.")

    return answer_criterion(
        name, equal, weight=weight, sources=sources, loosen=only_number, rewrite=rewrite_number
    )


def only_number(answer: str) -> str:
    """The one number in an answer (`$18`, `18 apples`); the answer itself where it holds none or several."""
    matches = list(islice(compile_once(_SOME_NUMBER).finditer(answer), 2))
    return matches[0][0] if len(matches) == 1 else answer


def exact(name: str = "exact", weight: float = 1.0, sources: tuple[Source, ...] = MARKED) -> Criterion:
    """The answer is the reference text, but for white space around and between its words."""

    def equal(reference: Any, answer: str) -> Verdict:
        same = " ".join(answer.split()) == " ".join(str(reference).split())
        return correct(answer) if same else wrong(answer, "Not the reference text.")

    return answer_criterion(name, equal, weight=weight, sources=sources, rewrite=rewrite_text)
