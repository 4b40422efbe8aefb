"""Find a task by its name or by the path of its file.

A name is that of a file in this package, beside it or in a subject's folder (`math/`), or of an installed
package's entry point.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Container, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from .errors import UnknownTask, UserError
from .modules import load_module
from .task import REGISTERED, Task

ENTRY_POINTS = "palaestra.tasks"
_PACKAGE = "palaestra.tasks"
# found by PACKAGE:NAME
PACKAGES = {
    name: f"palaestra.tasks.packages.{name}"
    for name in ("reasoning_gym", "gymnasium", "textarena", "openenv", "verifiers")
}
# folders of machinery; every other one holds tasks
_NO_SUBJECTS = ("adapters", "common", "core", "data", "packages")
_got: dict[str, Task] = {}  # of files by their resolved paths, of packages by PACKAGE:NAME


def names() -> list[str]:
    """Every task that can be found by name, sorted. Imports all of them."""
    for place in _list_places():
        for module in pkgutil.iter_modules(importlib.import_module(place).__path__):
            if not module.ispkg:
                importlib.import_module(f"{place}.{module.name}")
    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()
    return sorted(REGISTERED)


def get(name: str, options: Mapping[str, Any] | None = None) -> Task:
    """The task of that name, or the one in the Python file at that path, with its generator's options set.

    Raises UnknownTask when there is none, TaskError for an option that the task does not have.
    """
    package, colon, rest = name.partition(":")
    if name.endswith(".py"):
        task = _got[str(Path(name).resolve())] = _from_path(Path(name))
    elif colon and package in PACKAGES:
        task = _got[name] = _from_package(package, rest)
    else:
        task = _from_name(name)
    return task.with_options(options or {})


def find_loaded(name: str) -> Task | None:
    """The task of that name, without its options, where this process has it: no file runs again, no server is
    asked again."""
    return REGISTERED.get(name) or _got.get(str(Path(name).resolve()) if name.endswith(".py") else name)


def _from_package(package: str, name: str) -> Task:
    """The task that another package makes."""
    return importlib.import_module(PACKAGES[package]).find(name)


def _list_places() -> Iterator[str]:
    """The packages whose modules are tasks: this one, and a folder for each subject."""
    yield _PACKAGE
    for module in pkgutil.iter_modules(sys.modules[_PACKAGE].__path__):
        if module.ispkg and module.name not in _NO_SUBJECTS:
            yield f"{_PACKAGE}.{module.name}"


def _from_name(name: str) -> Task:
    if name not in REGISTERED and name.isidentifier():
        for place in _list_places():
            if importlib.util.find_spec(f"{place}.{name}") is not None:
                importlib.import_module(f"{place}.{name}")
                break
    if name not in REGISTERED:
        known = names()
        if name not in known:
            _refuse_part_of_mixture(name, known)
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"Known tasks: {', '.join(known)}."
            raise UnknownTask(
                f"There is no task named {name!r}. {hint} A file of your own is given as ./my_task.py."
            )
    return REGISTERED[name]


def _refuse_part_of_mixture(name: str, known: Container[str]) -> None:
    """Raise UnknownTask for NAME@LEVEL or NAME:WEIGHT of a known task, which were not read as such."""
    head = re.split("[@:]", name, maxsplit=1)[0]
    if head in known:
        raise UnknownTask(
            f"There is no task named {name!r}. A level (@) and a weight (:, a number) are said of the tasks "
            f"of a mixture, as {head}@1:2,sorting:1. Of one task name {head} alone, its level by --level."
        )


def _from_path(path: Path) -> Task:
    before = dict(REGISTERED)
    try:
        load_module(path, "task")
    except UserError as failure:
        raise UnknownTask(str(failure)) from failure
    defined = [task for name, task in REGISTERED.items() if before.get(name) is not task]
    if len(defined) != 1:
        raise UnknownTask(
            f"{path} defines {len(defined)} tasks; a task file defines exactly one, with @task."
        )
    return defined[0]
