"""Prompts with instructions that a program can check (IFEval, Zhou et al. 2023, arXiv:2311.07911)."""

from collections.abc import Mapping
from typing import Any

from .common.following import solve_ifeval
from .common.instructions import CHECKS, make_rubric, read_instructions
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "ifeval",
    rubric=make_rubric(CHECKS),
    kind="instructions",
    hub=Hub("google/IFEval", revision="966cd89545d6b6acfd7638bc708b98261ca58e84"),
    splits={"test": "train"},
    columns=("key", "prompt", "instruction_id_list", "kwargs"),
    sizes={"test": 541},
    instruction="",
    licence="Apache-2.0",
    citation="Zhou et al. 2023, Instruction-Following Evaluation for Large Language Models, arXiv:2311.07911",
    solve=solve_ifeval,
)
def ifeval(row: Mapping[str, Any]) -> Problem | None:
    """IFEval. `passed` is its strict prompt-level accuracy, the reward its instruction-level one. Sentences
    are split and languages found without a model: figures may differ a little from those of its code."""
    return read_instructions(row, CHECKS)
