"""University questions that need a theorem, with typed answers.

TheoremQA, Chen et al. 2023, arXiv:2305.12524.
"""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_tag, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem

TOLERANCE = 0.04
HINTS = {
    "bool": " Answer with True or False.",
    "list of integer": " Answer with a list in square brackets.",
    "list of float": " Answer with a list in square brackets.",
    "option": " Answer with the letter of the right option.",
}


@dataset_task(
    "theoremqa",
    rubric=Rubric(math_answer(any_brackets=True), answer_tag(weight=0.1)),
    hub=Hub("TIGER-Lab/TheoremQA"),
    splits={"test": "test"},
    columns=("Question", "Answer", "Answer_type", "Picture"),
    sizes={"test": 800},
    licence="MIT",
    citation="Chen et al. 2023, TheoremQA: A Theorem-driven Question Answering dataset, arXiv:2305.12524",
    kind="math",
)
def theoremqa(row: Mapping[str, Any]) -> Problem | None:
    """Floats are right within 4 per cent, as the authors count; all else is exact.
    Rows with a picture are left out."""
    if row["Picture"] not in (None, "", "None"):
        return None
    answer, kind = str(row["Answer"]).strip(), row["Answer_type"]
    reference = {"answer": answer, "tolerance": TOLERANCE} if "float" in kind else answer
    prompt = row["Question"].strip() + HINTS.get(kind, "")
    return Problem(prompt=prompt, reference=reference, metadata={"answer_type": kind})
