"""The file of a new task, whose check passes at once: over data of one's own, or a generator."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..core.errors import UserError
from ..core.registry import names
from ..core.task import Task
from .table import Table

_FROM_DATA = '''"""Problems from {label}: say here what they are about."""

from palaestra.tasks import dataset_task

# Change what was guessed wrongly, then: palaestra task check ./{file}
{name} = dataset_task(
    "{name}",
    data={data},  # from this file's folder; or a folder with a file a split, or a hub id
{columns}    verify={verify},  # math, number, exact, choice, code, regex:PATTERN, or a Rubric of your own
    test_share={test_share},  # of the problems, held out where the data have no test split
    licence="unknown",  # of the data
)
'''
_PROCEDURAL = '''"""Sums of two numbers; each level adds a digit. Say here what your task is about."""

from palaestra.tasks import Problem, task
from palaestra.verifiers import Rubric, answer_tag, number


@task("{name}", rubric=Rubric(number(), answer_tag(weight=0.1)), levels=3)
def {name}(rng, level):
    """One problem, drawn from `rng` alone. `key` says what makes two problems the same."""
    a, b = (rng.randrange(10**level, 10 ** (level + 1)) for _ in range(2))
    return Problem(
        prompt=f"What is {{a}} plus {{b}}?",
        reference=str(a + b),
        key=f"{{min(a, b)}} {{max(a, b)}}",
    )
'''


def choose_file(name: str) -> Path:
    """Where a new task's file goes: NAME.py, in the current folder or the one that the name says.

    Raises UserError for a name that is none in Python, is taken, or whose file is there.
    """
    path = Path(name if name.endswith(".py") else f"{name}.py")
    if not path.stem.isidentifier():
        raise UserError(f"{path.stem!r} can't name a task: use letters, digits and _, such as my_task.")
    if os.path.lexists(path):
        raise UserError(f"{path} is there already; it was left as it is. Choose another name.")
    if path.stem in names():
        raise UserError(f"There is a task {path.stem} already. Choose another name.")
    if not path.parent.is_dir():
        raise UserError(f"There is no folder {path.parent} for {path.name}. Make it first.")
    return path


def write_procedural(path: Path) -> None:
    """A generator of problems, to be changed."""
    _write(path, _PROCEDURAL.format(name=path.stem))


def write_from_data(path: Path, task: Task) -> None:
    """A task over the data of `task`, with its columns and its verifier said."""
    table = task.source
    assert isinstance(table, Table)
    spec, columns = table.spec, table.layout.columns
    said: dict[str, Any] = {
        "prompt": columns.prompt,
        "answer": columns.answer,
        "choices": ",".join(columns.choices),
        "solution": columns.solution,
        "split": spec.split,
        "bad_rows": spec.bad_rows if spec.bad_rows != "refuse" else "",
    }
    lines = "".join(f"    {what}={json.dumps(value)},\n" for what, value in said.items() if value)
    text = _FROM_DATA.format(
        label=spec.label,
        file=path.name,
        name=path.stem,
        data=json.dumps(_write_place(spec.data, path)),
        columns=lines,
        verify=json.dumps(table.judge.name),
        test_share=spec.test_share,
    )
    _write(path, text)


def _write_place(data: str, path: Path) -> str:
    """A path as it is seen from the new file's folder, where it lies in it; else whole."""
    place, folder = Path(data).expanduser(), path.parent.resolve()
    if not place.exists():
        return data
    place = place.resolve()
    return str(place.relative_to(folder)) if place.is_relative_to(folder) else str(place)


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
