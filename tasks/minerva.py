"""University science with a final answer.

The OCW set of Minerva, Lewkowycz et al. 2022, arXiv:2206.14858.
"""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_box, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "minerva",
    rubric=Rubric(math_answer(sources=("boxed", "tag"), significant_figures=2), answer_box(weight=0.1)),
    hub=Hub("math-ai/minervamath"),
    splits={"test": "test"},
    columns=("question", "answer"),
    sizes={"test": 272},
    licence="unknown",
    citation=(
        "Lewkowycz et al. 2022, Solving Quantitative Reasoning Problems with Language Models, "
        "arXiv:2206.14858"
    ),
    kind="math",
)
def minerva(row: Mapping[str, Any]) -> Problem:
    """Minerva. Its numbers are rounded, so an answer is right
    that rounds to the reference at its figures, two at least.

    That costs a little strictness where a number is exact: 42.4 passes for 42.
    """
    return Problem(prompt=row["question"].strip(), reference=str(row["answer"]).strip())
