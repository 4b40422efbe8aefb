"""Exact equality of rational numbers, without floating point and without evaluating any text."""

from __future__ import annotations

from itertools import islice
from typing import Any

from ..criterion import Criterion
from ..extract import MARKED, Source
from ..quotations import undress
from ..rationals import parse_rational
from ..regexes import compile_once
from ..rewrites import rewrite_number, rewrite_text
from ..types import Verdict, correct, no_answer, wrong
from .answer import answer_criterion

_SOME_NUMBER = r"(?a)[-+]?\d[\d,]*(?<!,)(?:\.\d+)?(?:/\d+)?"


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
