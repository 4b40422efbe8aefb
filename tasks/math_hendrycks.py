"""Competition mathematics of seven subjects and five levels.

MATH, Hendrycks et al. 2021, arXiv:2103.03874.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..verifiers import Rubric, answer_box, last_boxed, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem
from .core.rowfiles import read_rows

SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)


def fold(problem: str) -> str:
    """A problem's text without white space: copies of the data differ in it."""
    return "".join(problem.split())


@cache
def read_excluded(path: str) -> frozenset[str]:
    return frozenset(fold(row.values["problem"]) for row in read_rows(Path(path)))


@dataset_task(
    "math",
    rubric=Rubric(math_answer(sources=("boxed", "tag"), base_optional=True), answer_box(weight=0.1)),
    hub=Hub("EleutherAI/hendrycks_math", config=SUBJECTS),
    splits={"train": "train", "test": "test"},
    columns=("problem", "level", "type", "solution"),
    sizes={"train": 7_500, "test": 5_000},
    licence="MIT",
    citation=(
        "Hendrycks et al. 2021, Measuring Mathematical Problem Solving With the MATH Dataset, "
        "arXiv:2103.03874"
    ),
    kind="math",
)
def math(row: Mapping[str, Any], *, exclude: str = "") -> Problem | None:
    """MATH. `exclude` names a file of problems to leave out besides (a copy of MATH-500, say).

    The 500 problems of MATH-500 are in the test split, and no problem of the test split is in
    the train split.
    """
    problem = row["problem"].strip()
    if exclude and fold(problem) in read_excluded(exclude):
        return None
    answer = last_boxed(row["solution"])
    if answer is None:
        raise ValueError("the solution has no \\boxed{...}")
    metadata = {"subject": row["type"], "level": row["level"], "solution": row["solution"]}
    return Problem(prompt=problem, reference=answer, metadata=metadata, key=fold(problem))
