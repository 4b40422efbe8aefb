"""Questions about logic grid puzzles, with options (ZebraLogic, Lin et al. 2025, arXiv:2502.01100)."""

from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any

from ..verifiers import Rubric, answer_tag
from ..verifiers.criteria.choice import choice
from .common.options import list_options
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "zebra_logic",
    rubric=Rubric(choice(), answer_tag(weight=0.1)),
    hub=Hub("WildEval/ZebraLogic", config="mc_mode"),
    splits={"test": "test"},
    columns=("puzzle", "question", "choices", "answer"),
    sizes={"test": 3_259},
    licence="unknown",
    citation="Lin et al. 2025, ZebraLogic, arXiv:2502.01100",
    kind="logic",
)
def zebra_logic(row: Mapping[str, Any]) -> Problem:
    choices = list(row["choices"])
    question = f"{row['puzzle'].strip()}\n\n{row['question'].strip()}"
    reference = ascii_uppercase[choices.index(row["answer"])]
    return Problem(list_options(question, choices), reference, {"choices": choices})
