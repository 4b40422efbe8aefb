"""GSM8K with large numbers (Gao et al. 2022, arXiv:2211.10435)."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_tag, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem

TOLERANCE = 1e-3


@dataset_task(
    "gsm_hard",
    rubric=Rubric(math_answer(), answer_tag(weight=0.1)),
    hub=Hub("reasoning-machines/gsm-hard"),
    splits={"test": "train"},
    columns=("input", "target"),
    sizes={"test": 1_319},
    licence="MIT",
    citation="Gao et al. 2022, PAL: Program-aided Language Models, arXiv:2211.10435",
    kind="math",
)
def gsm_hard(row: Mapping[str, Any]) -> Problem:
    """Some questions make no sense: the target follows the program.
    Whole targets are exact, others within 0.1 per cent."""
    target = float(row["target"])
    if target.is_integer():
        return Problem(prompt=row["input"].strip(), reference=str(int(target)))
    return Problem(prompt=row["input"].strip(), reference={"answer": repr(target), "tolerance": TOLERANCE})
