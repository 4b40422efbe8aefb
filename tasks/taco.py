"""Twenty-six thousand programs to write, by algorithm and difficulty
(TACO, Li et al. 2023, arXiv:2312.14852)."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, code, one_block
from .core.contests import LIMITS, from_row, solve_known
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "taco",
    rubric=Rubric(code(limits=LIMITS), one_block()),
    kind="code",
    hub=Hub("BAAI/TACO"),
    splits={"train": "train", "test": "test"},
    columns=("question", "solutions", "starter_code", "input_output", "difficulty"),
    sizes={"train": 25_443, "test": 1_000},
    licence="Apache-2.0",
    citation="Li et al. 2023, TACO: Topics in Algorithmic COde generation dataset, arXiv:2312.14852",
    solve=solve_known,
)
def taco(row: Mapping[str, Any]) -> Problem | None:
    return from_row(row, difficulty=row["difficulty"])
