"""Competition problems of many sources with final answers (NuminaMath 1.5, Li et al. 2024)."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_box, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem

UNUSABLE = ("", "proof", "notfound")


@dataset_task(
    "numina_math",
    rubric=Rubric(math_answer(sources=("boxed", "tag")), answer_box(weight=0.1)),
    hub=Hub("AI-MO/NuminaMath-1.5"),
    splits={"train": "train"},
    columns=(
        *("problem", "solution", "answer", "question_type", "source"),
        *("problem_is_valid", "solution_is_valid"),
    ),
    sizes={"train": 896_215},
    licence="Apache-2.0",
    citation="Li et al. 2024, NuminaMath, https://huggingface.co/datasets/AI-MO/NuminaMath-1.5",
    kind="math",
)
def numina_math(row: Mapping[str, Any]) -> Problem | None:
    """NuminaMath 1.5. Proofs, multiple choice, rows whose answer was not found and those that are not valid
    by its own columns are left out."""
    answer = str(row["answer"] or "").strip()
    valid = row["problem_is_valid"] == row["solution_is_valid"] == "Yes"
    if row["question_type"] != "math-word-problem" or not valid or answer.lower() in UNUSABLE:
        return None
    metadata = {"source": row["source"], "solution": row["solution"]}
    return Problem(prompt=row["problem"].strip(), reference=answer, metadata=metadata)
