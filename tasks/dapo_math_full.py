"""DAPO-Math-17k with its Chinese problems beside the English ones of `dapo_math`
(Yu et al. 2025, arXiv:2503.14476).
"""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_box, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem
from .dapo_math import from_row


@dataset_task(
    "dapo_math_full",
    rubric=Rubric(math_answer(sources=("boxed", "tag")), answer_box(weight=0.1)),
    hub=Hub("open-r1/DAPO-Math-17k-Processed", config="all"),
    splits={"train": "train"},
    columns=("prompt", "solution"),
    sizes={"train": 17_398},
    licence="Apache-2.0",
    citation="Yu et al. 2025, DAPO, arXiv:2503.14476",
    kind="math",
)
def dapo_math_full(row: Mapping[str, Any]) -> Problem:
    return from_row(row)
