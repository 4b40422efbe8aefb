"""Contest problems with programs known to be right and known to be wrong
(CodeContests, Li et al. 2022, arXiv:2203.07814)."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, code, one_block
from .core.contests import LIMITS, make_problem, solve_known
from .core.dataset import Hub, dataset_task
from .core.problem import Problem

PYTHON_3 = 3  # of the column `language`; 1 is Python 2
TESTS = ("public_tests", "private_tests", "generated_tests")


@dataset_task(
    "code_contests",
    rubric=Rubric(code(limits=LIMITS), one_block()),
    kind="code",
    hub=Hub("deepmind/code_contests"),
    splits={"train": "train", "validation": "valid", "test": "test"},
    columns=("name", "description", *TESTS, "solutions", "incorrect_solutions"),
    sizes={"train": 13_328, "validation": 117, "test": 165},
    licence="CC-BY-4.0",
    citation="Li et al. 2022, Competition-Level Code Generation with AlphaCode, arXiv:2203.07814",
    solve=solve_known,
)
def code_contests(row: Mapping[str, Any]) -> Problem | None:
    """CodeContests. Its wrong Python programs are what `task check` tries; rows without a test are out."""
    table = {
        "inputs": [given for tests in TESTS for given in row[tests]["input"]],
        "outputs": [wanted for tests in TESTS for wanted in row[tests]["output"]],
    }
    if not table["inputs"]:
        return None
    right, wrong = (_list_python(row[column]) for column in ("solutions", "incorrect_solutions"))
    return make_problem(row["description"], table, "", right, wrong, name=row["name"])


def _list_python(programs: Mapping[str, Any]) -> list[str]:
    pairs = zip(programs["language"], programs["solution"], strict=True)
    return [source for language, source in pairs if language in (PYTHON_3, "PYTHON3")]
