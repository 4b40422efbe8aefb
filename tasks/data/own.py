"""Data of one's own as a task: the same for flags, task files and Python."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..core.errors import TaskError
from ..core.problem import Problem
from ..core.programs import fence
from ..core.task import Task
from .judges import Judge, find_file, make_judge
from .places import open_place, stamp
from .rows import guess_judge
from .spec import DataSpec
from .table import FIRST_ROWS, Table


def make_task(spec: DataSpec, name: str = "", **about: Any) -> Task:
    """A task of these data. name: "" takes the file's, the folder's or the hub id's.

    Reads no row where `verify` is given. about: further fields of `Task` (instruction, licence, ...).
    Raises DataError where nothing is at that place, and where nobody says how answers are judged and
    the rows don't show it.
    """
    if spec.verify:
        judge = make_judge(spec.verify)
        table = Table(name or open_place(spec.data).name, spec, judge)
    else:
        table = _guess(spec, name)
        judge = table.judge
    plain = Task(
        table.name,
        table,
        judge.rubric,
        kind=judge.kind,
        summary=f"Problems from {_name_place(spec)}.",
        origin=_name_place(spec),
        instruction=judge.rubric.instruction,
        solve=_show_program if judge.reads == "tests" else _Render(judge) if judge.reads == "any" else None,
        demonstrate=None if judge.reads == "tests" else _Demonstrate(judge),
    )
    return replace(plain, **about)


def open_task(spec: DataSpec) -> Task:
    """`make_task` of files, kept until one of them changes: what checks data before anything heavy is loaded
    and what trains on them read them once."""
    code, path = find_file(spec.verify), Path(spec.data).expanduser()
    if path.exists():
        spec = replace(spec, data=str(path.absolute()))
    return _open(spec, stamp(spec.data) + (stamp(code) if code else ()))


@lru_cache(maxsize=2)
def _open(spec: DataSpec, _stamp: tuple[Any, ...]) -> Task:
    return make_task(spec)


def _guess(spec: DataSpec, name: str) -> Table:
    """The table with the judge that its first rows call for."""
    place = open_place(spec.data)
    unjudged = Table(name or place.name, spec, make_judge("exact"))
    first = next(iter(unjudged.origins.values())).name
    guess = guess_judge(spec, unjudged.read_first(first, FIRST_ROWS), spec.label)
    return Table(unjudged.name, spec, guess.judge, guess.why)


def _name_place(spec: DataSpec) -> str:
    """What others may read of where the data are: of a file or a folder its own name, not the path to it."""
    return Path(spec.label).name if Path(spec.label).expanduser().exists() else spec.label


class _Demonstrate:
    """The worked solution, where the data have one, then the answer in the form that the rubric reads. Where
    the rubric reads none, the solution or the answer as it stands."""

    def __init__(self, judge: Judge) -> None:
        self.render = judge.rubric.correctness.render

    def __call__(self, problem: Problem, _rng: random.Random) -> str:
        worked = problem.metadata.get("solution")
        if self.render is not None and problem.reference is not None:
            final = self.render(problem.reference)
            return f"{worked}\n{final}" if worked else final
        text = worked or problem.reference
        if not isinstance(text, str) or not text:
            raise TaskError(f"{problem.name} has no text to imitate; --solution names the column of one.")
        return text


class _Render:
    """A completion that is right, where a judge of one's own says how one looks and the row has an answer."""

    def __init__(self, judge: Judge) -> None:
        self.render = judge.rubric.correctness.render

    def __call__(self, problem: Problem) -> str:
        if self.render is None or problem.reference is None:
            raise TaskError(f"{problem.name} has no right completion: nothing says how one looks.")
        return self.render(problem.reference)


def _show_program(problem: Problem) -> str:
    program = problem.metadata.get("solution")
    if not program:
        raise TaskError(
            f"{problem.name} has no program that passes its tests; --solution names their column."
        )
    return fence(program)
