"""Worked solutions: the steps that a generator has written down, then the answer that it knows."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..core.problem import Problem
from .puzzles import err_by_step


@dataclass(frozen=True, slots=True)
class Posed:
    """A question with the number that answers it.

    steps: how that is found, a line each.  key: what it asks, however it is worded.
    """

    prompt: str
    value: Fraction | int
    steps: Sequence[str]
    key: str


def show_answer(reference: Any) -> str:
    """The known answer in its tag. A reference that is a mapping has it as text under "answer"."""
    text = reference["answer"] if isinstance(reference, Mapping) else reference
    return f"<answer>{text}</answer>"


def show_answer_alone(problem: Problem) -> str:
    """The known answer in its tag: all that is judged of a completion that found it with a tool."""
    return show_answer(problem.reference)


def show_work(problem: Problem) -> str:
    """The problem's `steps`, a line each, in a think block; then the answer."""
    return "<think>" + "\n".join(problem.metadata["steps"]) + "</think>" + show_answer(problem.reference)


def err_by_work(every: float) -> Callable[[Problem, random.Random], str]:
    """A solver that writes the worked solution down, and errs in one of `every` characters, above 1; of a
    problem that counts its operations, in one of so many of these (`err_by_step`)."""
    return err_by_step(
        show_work, lambda problem: problem.metadata.get("operations", len(show_work(problem))), every
    )
