"""The part of MBPP that its authors checked by hand, with clearer texts
(Austin et al. 2021, arXiv:2108.07732)."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, code, one_block
from .core.dataset import Hub, dataset_task
from .core.problem import Problem
from .core.programs import render_solution
from .mbpp import CITATION, SPLITS, belongs, from_row


@dataset_task(
    "mbpp_sanitized",
    rubric=Rubric(code(), one_block()),
    kind="code",
    hub=Hub("google-research-datasets/mbpp", config="sanitized"),
    splits=SPLITS,
    columns=("task_id", "prompt", "code", "test_list", "test_imports"),
    files=dict.fromkeys(SPLITS, "sanitized-mbpp.json"),
    sizes={"train": 120, "validation": 43, "test": 257, "prompt": 7},
    belongs=belongs,
    licence="CC-BY-4.0",
    citation=CITATION,
    solve=render_solution,
)
def mbpp_sanitized(row: Mapping[str, Any], *, shown: int = 1) -> Problem | None:
    return from_row(row["prompt"], row, "\n".join(row["test_imports"]), shown)
