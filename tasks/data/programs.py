"""Tests as data sets have them, as the reference of a code problem."""

from __future__ import annotations

import ast
import builtins
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.programs import fence, find_imports, find_tested_names
from .answers import UnusableError, is_missing

FORMS = ("tests", "calls", "cases")
ENTRY_POINTS = ("entry_point", "fn_name", "function_name", "func_name")
SETUPS = ("test_setup_code", "test_imports", "test_setup", "setup_code")
EXAMPLE = "Your code should pass this test:"


@dataclass(frozen=True)
class Coded:
    """prompt: with a test where the text does not name the function.  reference: as `code` reads it.
    solution: a whole program; "" where none is given."""

    prompt: Any
    reference: Mapping[str, Any]
    solution: str = ""


def read_tests(row: Mapping[str, Any], prompt: Any, value: Any, solution: str) -> Coded:
    """A row of a code data set.

    value: the cell of the tests: `assert` statements (a text or a list), a `check(candidate)` function, a
    reference as `code` reads it, or `{"inputs": [...], "outputs": [...]}` of whole programs; tables as JSON
    text, too. Raises UnusableError.
    """
    value = _parse_json(value)
    if is_missing(value):
        raise UnusableError("there are no tests")
    if isinstance(value, Mapping):
        return Coded(prompt, _read_table(value), solution)
    tests = [value] if isinstance(value, str) else list(value)
    if not all(isinstance(test, str) for test in tests):
        raise UnusableError("the tests are no texts")
    text = prompt if isinstance(prompt, str) else ""
    begins = f"{text.rstrip()}\n" if "def " in text and solution[:1].isspace() else ""
    program = (begins + solution).replace("\r\n", "\n")
    try:
        return _read_statements(row, prompt, tests, program)
    except (ValueError, SyntaxError, RecursionError) as failure:
        raise UnusableError("the tests or the solution are no Python that can be read") from failure


def _read_statements(row: Mapping[str, Any], prompt: Any, tests: list[str], program: str) -> Coded:
    named = next((str(row[name]) for name in ENTRY_POINTS if not is_missing(row.get(name))), "")
    setup = "\n".join(_as_lines(row.get(name)) for name in SETUPS if not is_missing(row.get(name)))
    setup = setup.replace("\r\n", "\n")
    checks = [test for test in tests if "def check(" in test]
    classes: tuple[str, ...] = ()
    functions = [named] if named else []
    if program:
        found = find_tested_names(program, [*tests, setup])
        classes = found.classes
        functions = functions or list(found.functions)
    functions = functions or _list_called(tests) or (_list_functions(program) if checks else [])
    if not functions:
        raise UnusableError("the tests call no function of the program")
    if checks and not any("\ncheck(" in test for test in checks):
        tests = [f"{test}\ncheck({functions[0]})\n" for test in tests]
    reference: dict[str, Any] = {
        "entry_point": functions[0],
        "entry_points": functions[1:],
        "classes": list(classes),
        "setup": "\n".join(filter(None, (find_imports(program) if program else "", setup))),
        "tests": tests,
    }
    text = prompt if isinstance(prompt, str) else ""
    if f"def {functions[0]}(" in text:
        reference |= {"prompt": text, "setup": f"{text.rstrip()}\n    pass\n{reference['setup']}"}
    elif text and functions[0] not in text:
        prompt = f"{text}\n{_show_example(tests, functions[0])}"
    return Coded(prompt, reference, program)


def _show_example(tests: Sequence[str], function: str) -> str:
    """One test, so that the function gets its name; a program could answer the others by heart.

    The name alone, where no statement of the tests is an `assert` that calls it.
    """
    for test in tests:
        for node in ast.walk(ast.parse(test)):
            called = {each.func.id for each in ast.walk(node)
                      if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)}  # fmt: skip
            if isinstance(node, ast.Assert) and function in called:
                return f"{EXAMPLE}\n\n{fence(ast.get_source_segment(test, node) or ast.unparse(node))}"
    return f"Name the function `{function}`."


def _read_table(value: Mapping[str, Any]) -> Mapping[str, Any]:
    if any(value.get(form) for form in FORMS):
        return value
    inputs, outputs = value.get("inputs"), value.get("outputs")
    if not isinstance(inputs, Sequence) or not isinstance(outputs, Sequence) or len(inputs) != len(outputs):
        raise UnusableError(f"the tests are a table without {', '.join(FORMS)}, or inputs and outputs")
    if not inputs:
        raise UnusableError("there are no tests")
    name = value.get("fn_name")
    if name:
        calls = [
            {"args": list(args), "expected": expected} for args, expected in zip(inputs, outputs, strict=True)
        ]
        return {"entry_point": str(name), "calls": calls, "compare": "json"}
    return {
        "cases": [
            {"stdin": _as_lines(given), "stdout": _as_lines(expected)}
            for given, expected in zip(inputs, outputs, strict=True)
        ]
    }


def _as_lines(value: Any) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _parse_json(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _list_called(tests: Sequence[str]) -> list[str]:
    """The functions that tests call and nobody defines, in their order."""
    called: dict[str, None] = {}
    defined: set[str] = set(vars(builtins))
    for test in tests:
        for node in ast.walk(ast.parse(test)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                called[node.func.id] = None
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                defined.add(node.name)
            elif isinstance(node, ast.arg):  # the candidate of `def check(candidate)`
                defined.add(node.arg)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                defined.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                defined.add(node.id)
    return [name for name in called if name not in defined]


def _list_functions(program: str) -> list[str]:
    """The only function of a program, which is then what `check(candidate)` checks; nothing for several."""
    found = [node.name for node in ast.parse(program).body if isinstance(node, ast.FunctionDef)]
    return found if len(found) == 1 else []
