"""The American Mathematics Competitions of 2023, without the choices."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_box, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "amc23",
    rubric=Rubric(math_answer(sources=("boxed", "tag")), answer_box(weight=0.1)),
    hub=Hub("math-ai/amc23"),
    splits={"test": "test"},
    columns=("question", "answer"),
    sizes={"test": 40},
    licence="unknown",
    citation="Mathematical Association of America, AMC 12, 2023",
    kind="math",
)
def amc23(row: Mapping[str, Any]) -> Problem:
    return Problem(prompt=row["question"].strip(), reference=str(row["answer"]).strip())
