"""The rubric criterion: a completion's final answer equals the reference, by `math_equal`."""

from __future__ import annotations

from typing import Any

from ..criteria.answer import answer_criterion
from ..criterion import Criterion
from ..extract import Source
from ..rewrites import rewrite_math
from ..types import Verdict
from .equal import math_equal
from .types import Reference

ANSWER_SOURCES: tuple[Source, ...] = ("tag", "boxed", "hash")


def math_answer(
    name: str = "math",
    weight: float = 1.0,
    sources: tuple[Source, ...] = ANSWER_SOURCES,
    *,
    tolerance: float | None = None,
    absolute: float | None = None,
    any_brackets: bool = False,
    accept: str = "all",
    significant_figures: int | None = None,
    base_optional: bool = False,
) -> Criterion:
    """The final answer is the reference, as `math_equal` sees it.

    The reference is a text, or a list of texts: with accept="all" each is one of several answers, all
    required in any order; with accept="any" each is one acceptable answer. A reference may also be a mapping
    with `answer` and its own `tolerance` or `absolute`, which then count instead of those given here.
    """

    def judge(reference: Any, answer: str) -> Verdict:
        relative, near = tolerance, absolute
        if isinstance(reference, dict):
            relative, near = reference.get("tolerance", relative), reference.get("absolute", near)
            reference = reference["answer"]
        return math_equal(
            plain(reference),
            answer,
            tolerance=relative,
            absolute=near,
            any_brackets=any_brackets,
            accept=accept,
            significant_figures=significant_figures,
            base_optional=base_optional,
        )

    render = _renderer(sources, accept)
    slack = bool(tolerance or absolute or significant_figures)
    return answer_criterion(
        name, judge, weight=weight, sources=sources, render=render, rewrite=rewrite_math, several=slack
    )


def plain(reference: Any) -> Reference:
    """A reference as text, or as a tuple of texts."""
    if isinstance(reference, list | tuple):
        return tuple(str(item) for item in reference)
    return str(reference)


def _renderer(sources: tuple[Source, ...], accept: str) -> Any:
    def render(reference: Any) -> str:
        texts = plain(reference["answer"] if isinstance(reference, dict) else reference)
        text = texts if isinstance(texts, str) else texts[0] if accept == "any" else ", ".join(texts)
        return f"\\boxed{{{text}}}" if sources[0] == "boxed" else f"<answer>{text}</answer>"

    return render
