"""Five hundred problems of the MATH test set (Lightman et al. 2023, arXiv:2305.20050)."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_box, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "math500",
    rubric=Rubric(math_answer(sources=("boxed", "tag"), base_optional=True), answer_box(weight=0.1)),
    hub=Hub("HuggingFaceH4/MATH-500"),
    splits={"test": "test"},
    columns=("problem", "answer", "subject", "level"),
    sizes={"test": 500},
    licence="MIT",
    citation=(
        "Lightman et al. 2023, Let's Verify Step by Step, arXiv:2305.20050; Hendrycks et al. 2021, "
        "arXiv:2103.03874"
    ),
    kind="math",
)
def math500(row: Mapping[str, Any]) -> Problem:
    metadata = {"subject": row["subject"], "level": row["level"]}
    return Problem(prompt=row["problem"].strip(), reference=row["answer"].strip(), metadata=metadata)
