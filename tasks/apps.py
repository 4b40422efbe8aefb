"""Ten thousand programs to write, from interviews to competitions
(APPS, Hendrycks et al. 2021, arXiv:2105.09938)."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, code, one_block
from .core.contests import LIMITS, from_row, solve_known
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "apps",
    rubric=Rubric(code(limits=LIMITS), one_block()),
    kind="code",
    hub=Hub("codeparrot/apps"),
    splits={"train": "train", "test": "test"},
    columns=("problem_id", "question", "solutions", "input_output", "difficulty", "starter_code"),
    sizes={"train": 5_000, "test": 5_000},
    licence="MIT",
    citation="Hendrycks et al. 2021, Measuring Coding Challenge Competence With APPS, arXiv:2105.09938",
    solve=solve_known,
)
def apps(row: Mapping[str, Any]) -> Problem | None:
    return from_row(row, difficulty=row["difficulty"], problem_id=row["problem_id"])
