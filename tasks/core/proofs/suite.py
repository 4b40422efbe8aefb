"""Every task proven in one go: those whose problems are at hand, or whose data lie where one says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..dataset import Dataset
from ..errors import UserError
from ..reach import find_reach
from ..rowfiles import SUFFIXES
from ..task import Task
from .fresh import Elsewhere, Recipe
from .overlap import KnownSets
from .proof import Proof
from .prove import prove


def find_data(tasks: Sequence[Task], places: Sequence[str]) -> dict[str, str]:
    """Where the data of data set tasks lie, by the tasks' names.

    places: NAME=PATH, or a folder with NAME/ or NAME.jsonl (.json, .csv, .parquet, ...) for some of them.
    Raises UserError for a place that is not there, and a name that is no task of the kind.
    """
    names = [task.name for task in tasks if isinstance(task.source, Dataset)]
    found: dict[str, str] = {}
    for place in places:
        name, equals, path = place.partition("=")
        if equals and name not in names:
            known = ", ".join(names)
            raise UserError(f"--data {place}: {name} is no task that reads data; they are {known}.")
        if not Path(path if equals else place).exists():
            there = path if equals else place
            raise UserError(f"--data {place}: there is no {there}. Give a file or a folder.")
        if equals:
            found[name] = path
            continue
        for task in tasks:
            beside = _find_in(Path(place), task.name)
            if task.name in names and task.name not in found and beside and _has_splits(task, beside):
                found[task.name] = str(beside)
    return found


def _find_in(folder: Path, name: str) -> Path | None:
    """NAME/, or the only file of data in it; NAME.jsonl and its like."""
    inside = folder / name
    if inside.is_dir():
        files = [path for path in sorted(inside.iterdir()) if path.name.endswith(SUFFIXES)]
        return files[0] if len(files) == 1 else inside
    return next((path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file()), None)


def _has_splits(task: Task, path: Path) -> bool:
    """Whether every split of the task can be read there."""
    chosen = task.with_options({"data": str(path)})
    try:
        return all(chosen.source.size(split) for split in task.splits)
    except UserError:
        return False


def prove_all(
    tasks: Sequence[Task], count: int | None = None, data: Mapping[str, str] | None = None
) -> Iterator[Proof]:
    """The proof of each task, in their order; of one whose data are not at hand that it was left out.

    count: as of `prove`.  data: paths by tasks' names. Raises UserError, before anything is proven, for data
    that can't be read.
    """
    data = data or {}
    options = {task.name: {"data": data[task.name]} if task.name in data else {} for task in tasks}
    all_chosen = [task.with_options(options[task.name]) for task in tasks]
    for chosen in all_chosen:
        for split in chosen.splits if chosen.name in data else ():
            chosen.source.size(split)
    known = KnownSets(tasks, data)
    with Elsewhere() as elsewhere:
        for task, chosen in zip(tasks, all_chosen, strict=True):
            if find_reach(chosen) == "network":
                yield Proof(task.name, task.kind, 0, (), left_out=f"its data are not here: {task.origin}")
                continue
            try:
                chosen.problem(chosen.splits[0], 0)
            except UserError as failure:  # the package that holds its data is not installed
                yield Proof(task.name, task.kind, 0, (), left_out=str(failure))
                continue
            yield prove(
                chosen, count, recipe=Recipe(task.name, options[task.name]), known=known, elsewhere=elsewhere
            )
