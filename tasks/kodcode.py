"""Python functions to write, made by models and kept where a solution passes the tests
(KodCode, Xu et al. 2025, arXiv:2503.02951)."""

import ast
from collections.abc import Mapping
from typing import Any

from ..sandbox.syntax import parse
from ..verifiers import Rubric, code, one_block
from .core.dataset import Hub, dataset_task
from .core.problem import Problem
from .core.programs import find_imports, find_tested_names, render_solution

SOLUTION = "solution"  # the module that the published tests import
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def read_tests(source: str) -> list[str]:
    """A file of pytest's plain test functions as statements: each function, with what stands beside all.

    Raises ValueError for what is not of that form: pytest itself, fixtures, parameters, no tests.
    """
    beside, tests = [], []
    for node in parse(source).body:
        if isinstance(node, ast.ImportFrom) and node.module == SOLUTION:
            continue
        if isinstance(node, ast.Import | ast.ImportFrom) and "pytest" in ast.unparse(node):
            raise ValueError("the tests use pytest")
        if isinstance(node, FUNCTIONS) and node.name.startswith("test"):
            if node.decorator_list or node.args.args or isinstance(node, ast.AsyncFunctionDef):
                raise ValueError(f"{node.name} is more than a plain function")
            tests.append(f"{ast.unparse(node)}\n{node.name}()")
        else:
            beside.append(ast.unparse(node))
    if not tests:
        raise ValueError("there are no tests")
    return ["\n".join([*beside, test]) for test in tests]


@dataset_task(
    "kodcode",
    rubric=Rubric(code(), one_block()),
    kind="code",
    hub=Hub("KodCode/KodCode-V1"),
    splits={"train": "train"},
    columns=("question_id", "question", "solution", "test", "subset", "style"),
    licence="CC-BY-NC-4.0",
    citation="Xu et al. 2025, KodCode: A Diverse, Challenging, and Verifiable Synthetic Dataset for Coding, "
    "arXiv:2503.02951",
    solve=render_solution,
)
def kodcode(row: Mapping[str, Any]) -> Problem | None:
    """KodCode, without the rows whose tests use pytest's own means. The functions are named in the prompt."""
    try:
        tests = read_tests(row["test"])
        names = find_tested_names(row["solution"], tests)
    except (SyntaxError, ValueError):
        return None
    if not names.functions:
        return None
    asked = " and ".join(f"`{name}`" for name in (*names.functions, *names.classes))
    return Problem(
        prompt=f"{row['question'].strip()}\n\nDefine {asked}.",
        reference={
            "entry_point": names.functions[0],
            "entry_points": list(names.functions[1:]),
            "classes": list(names.classes),
            "setup": find_imports(row["solution"]),
            "tests": tests,
        },
        metadata={"solution": row["solution"], "subset": row["subset"], "style": row["style"]},
        key=row["question"],
    )
