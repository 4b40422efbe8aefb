"""Functions that call many libraries, to write from a description, with tests
(BigCodeBench, Zhuo et al. 2024, arXiv:2406.15877)."""

import ast
import importlib.util
import sys
from collections.abc import Mapping
from typing import Any

from ..sandbox import MIB, Limits
from ..verifiers import Rubric, code, one_block
from .core.dataset import Hub, dataset_task
from .core.problem import Problem
from .core.programs import render_solution

LIMITS = Limits(wall_s=60, cpu_s=60, memory=2048 * MIB)
# Those that most of its problems use. A problem that needs another one, or one not installed, is left out.
LIBRARIES = ("numpy", "pandas", "matplotlib", "sklearn", "scipy", "seaborn", "requests", "dateutil", "pytz")
INSTALLED = tuple(name for name in LIBRARIES if importlib.util.find_spec(name) is not None)
# The row's unittest cases, run where the program is: they patch what it calls.
RUN = """
import unittest as _unittest
_found = _unittest.TestResult()
_unittest.defaultTestLoader.loadTestsFromTestCase(TestCases).run(_found)
_failed = [str(case) for case, _ in _found.failures + _found.errors]
assert _found.testsRun and _found.wasSuccessful(), str(_failed)
"""


@dataset_task(
    "bigcodebench",
    rubric=Rubric(code(limits=LIMITS, weak="accept", modules=INSTALLED), one_block()),
    kind="code",
    hub=Hub("bigcode/bigcodebench"),
    splits={"test": "v0.1.4"},
    columns=(
        "task_id",
        "instruct_prompt",
        "code_prompt",
        "canonical_solution",
        "test",
        "entry_point",
        "libs",
    ),
    sizes={"test": 1_140},
    instruction="",
    licence="Apache-2.0",
    citation="Zhuo et al. 2024, BigCodeBench: Benchmarking Code Generation with Diverse Function Calls and "
    "Complex Instructions, arXiv:2406.15877",
    solve=render_solution,
)
def bigcodebench(row: Mapping[str, Any]) -> Problem | None:
    """BigCodeBench, for evaluation alone: its tests patch what a program calls, so that they run inside of
    it, where it could forge them. It has no train split. Problems whose libraries are not installed are left
    out."""
    libraries = ast.literal_eval(row["libs"]) if isinstance(row["libs"], str) else row["libs"]
    if not all(name in sys.stdlib_module_names or name in INSTALLED for name in libraries):
        return None
    return Problem(
        prompt=row["instruct_prompt"],
        reference={"entry_point": row["entry_point"], "tests": [row["test"] + RUN], "weak": True},
        metadata={
            "solution": row["code_prompt"] + row["canonical_solution"],
            "task_id": row["task_id"],
            "libraries": list(libraries),
        },
        key=row["task_id"],
    )
