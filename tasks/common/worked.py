"""Worked solutions: the steps that a generator has written down, then the answer that it knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.problem import Problem


def show_answer(reference: Any) -> str:
    """The known answer in its tag. A reference that is a mapping has it as text under "answer"."""
    text = reference["answer"] if isinstance(reference, Mapping) else reference
    return f"<answer>{text}</answer>"


def show_work(problem: Problem) -> str:
    """The problem's `steps`, a line each, in a think block; then the answer."""
    return "<think>" + "\n".join(problem.metadata["steps"]) + "</think>" + show_answer(problem.reference)
