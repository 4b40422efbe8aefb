"""The American Invitational Mathematics Examination of 2025, both papers: integers from 0 to 999."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_box, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "aime25",
    rubric=Rubric(math_answer(sources=("boxed", "tag")), answer_box(weight=0.1)),
    hub=Hub("math-ai/aime25"),
    splits={"test": "test"},
    columns=("problem", "answer"),
    sizes={"test": 30},
    licence="unknown",
    citation="Mathematical Association of America, AIME I and II, 2025",
    kind="math",
)
def aime25(row: Mapping[str, Any]) -> Problem:
    return Problem(prompt=row["problem"].strip(), reference=str(row["answer"]).strip())
