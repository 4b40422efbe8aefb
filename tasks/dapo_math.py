"""Seventeen thousand competition problems with integer answers
(DAPO-Math-17k, Yu et al. 2025, arXiv:2503.14476)."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_box, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


def from_row(row: Mapping[str, Any]) -> Problem:
    """A problem whose answer is a whole number."""
    return Problem(prompt=row["prompt"].strip(), reference=str(row["solution"]).strip())


@dataset_task(
    "dapo_math",
    rubric=Rubric(math_answer(sources=("boxed", "tag")), answer_box(weight=0.1)),
    hub=Hub("open-r1/DAPO-Math-17k-Processed", config="en"),
    splits={"train": "train"},
    columns=("prompt", "solution"),
    sizes={"train": 14_116},
    licence="Apache-2.0",
    citation=(
        "Yu et al. 2025, DAPO: An Open-Source LLM Reinforcement Learning System at Scale, arXiv:2503.14476"
    ),
    kind="math",
)
def dapo_math(row: Mapping[str, Any]) -> Problem:
    return from_row(row)
