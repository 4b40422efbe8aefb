"""What sets of contest problems share: tests as tables of inputs and outputs, known programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...sandbox import MIB, Limits
from ..data.answers import UnusableError
from ..data.programs import read_tests
from .errors import NoSolution
from .problem import Problem
from .programs import fence, render_solution

LIMITS = Limits(wall_s=30, cpu_s=30, memory=1024 * MIB, result=16 * MIB)  # of all cases of a problem
MOST_CASES = 60  # of a problem; some have hundreds, of which a wrong program fails an early one
MOST_PROGRAMS = 8  # right and wrong ones each that are kept of a problem; some have thousands
WHOLE = "Write a Python program that reads standard input and writes to standard output.\n\n"
METHOD = "Solution"  # the class that holds the function to write, where there is one


def make_problem(
    question: str,
    table: Mapping[str, Any],
    starter: str,
    right: Sequence[str] = (),
    wrong: Sequence[str] = (),
    **about: Any,
) -> Problem:
    """A problem of a table {"inputs", "outputs"} of whole programs, or with "fn_name" of a function's calls.

    starter: source that the function begins with, "" for none; the function is a method of `Solution` where
    this or the first right program has that class.  about: further metadata.
    Raises ValueError for a table that can't be read or has no tests.
    """
    few = {name: list(table.get(name) or ())[:MOST_CASES] for name in ("inputs", "outputs")}
    name = table.get("fn_name")
    if name:
        few["outputs"] = _unwrap(few["outputs"])
        if f"class {METHOD}" in (starter.strip() or "".join(right[:1])):
            name = f"{METHOD}.{name}"
        shown = f"Begin with:\n\n{fence(starter)}" if starter.strip() else f"Name the function `{name}`."
        prompt = f"{question.strip()}\n\n{shown}"
    else:
        prompt = WHOLE + question.strip()
    try:
        reference = dict(read_tests({}, prompt, {**few, "fn_name": name}, "").reference)
    except UnusableError as failure:
        raise ValueError(str(failure)) from failure
    metadata: dict[str, Any] = {key: value for key, value in about.items() if value not in (None, "")}
    if right:
        metadata |= {"solution": right[0], "right_solutions": list(right[1:MOST_PROGRAMS])}
    if wrong:
        metadata["wrong_solutions"] = list(wrong[:MOST_PROGRAMS])
    return Problem(prompt, reference, metadata)


def _unwrap(outputs: list[Any]) -> list[Any]:
    """Results of calls, which most rows keep in a list of one. A function that gives nothing but lists of one
    can't be told from it."""
    wrapped = all(isinstance(value, list) and len(value) == 1 for value in outputs)
    return [value[0] for value in outputs] if wrapped else outputs


def read_json(text: Any) -> Any:
    """A cell of JSON text; None for an empty one, and for numbers of more digits than Python reads.

    Raises ValueError for what is no JSON.
    """
    if not isinstance(text, str):
        return text
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return None


def from_row(row: Mapping[str, Any], **about: Any) -> Problem | None:
    """A row of APPS and of the sets in its form; None for one whose tests are missing or don't fit."""
    table = read_json(row["input_output"])
    if not table or not table.get("inputs"):
        return None
    if table.get("fn_name") and not all(isinstance(given, list) for given in table["inputs"]):
        return None
    solutions = read_json(row["solutions"]) or []
    try:
        return make_problem(row["question"], table, row["starter_code"] or "", solutions[:1], **about)
    except ValueError:
        return None


def solve_known(problem: Problem) -> str:
    """The published solution as a completion. Raises NoSolution where a row has none."""
    if "solution" not in problem.metadata:
        raise NoSolution(f"{problem.name} has no published solution in Python; choose another problem.")
    return render_solution(problem)
