"""What the code tasks share: reading test suites, which come with a data set, and rendering solutions."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from ...sandbox.syntax import parse
from .problem import Problem


def fence(source: str) -> str:
    return f"```python\n{source.strip()}\n```"


def render_solution(problem: Problem) -> str:
    """The published solution as a completion."""
    return fence(problem.metadata["solution"])


# Set-up of tests that compare by numpy, which finds an empty array close to every number: a function that
# always returns [] would pass wherever floats are expected.
OF_ONE_SHAPE = """import numpy, numpy.testing
def _demand_one_shape(compare):
    def compare_strictly(actual, desired, *args, **kwargs):
        assert numpy.shape(actual) == numpy.shape(desired), "the shapes differ"
        return compare(actual, desired, *args, **kwargs)
    return compare_strictly
numpy.allclose = _demand_one_shape(numpy.allclose)
numpy.testing.assert_allclose = _demand_one_shape(numpy.testing.assert_allclose)
"""


@dataclass(frozen=True, slots=True)
class Tested:
    """functions, classes: names that a reference program defines and its tests use, in their order."""

    functions: tuple[str, ...]
    classes: tuple[str, ...]


def find_tested_names(solution: str, tests: Sequence[str]) -> Tested:
    """What the tests take from the program. Both are the data set's own text.

    Raises ValueError if it does not parse.
    """
    used = {node.id for test in tests for node in ast.walk(_parse(test)) if isinstance(node, ast.Name)}
    defined = [node for node in _parse(solution).body if getattr(node, "name", None) in used]
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return Tested(
        tuple(node.name for node in defined if isinstance(node, functions)),
        tuple(node.name for node in defined if isinstance(node, ast.ClassDef)),
    )


def find_imports(source: str) -> str:
    """The import statements at the top level of a program."""
    statements = (node for node in _parse(source).body if isinstance(node, ast.Import | ast.ImportFrom))
    return "\n".join(map(ast.unparse, statements))


def _parse(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # published programs hold escapes such as "\\d" outside raw strings
        return parse(source)
