"""A generator whose problems are drawn once and kept: whoever looks at the same problems again and again asks
this. Not for training, which sees each once."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from .problem import Problem
from .sources import Procedural
from .task import Task

Place = tuple[str, int, int, int]  # split, index, seed, level


@dataclass(frozen=True)
class Remembered(Procedural):
    """A `Procedural` that keeps what it gave. kept: the problems, by where they are."""

    kept: dict[Place, Problem] = field(default_factory=dict, repr=False, compare=False)

    def at(self, split: str, index: int, seed: int = 0, level: int | None = None) -> Problem:
        place = (split, index, seed, level if level is not None else 1 + index % self.levels)
        found = self.kept.get(place)
        if found is None:
            found = self.kept[place] = super().at(split, index, seed, level)
        return found


def remember(task: Task) -> Task:
    """The task with a memory of its problems; as it is where it reads them from rows, which keep them."""
    source = task.source
    if type(source) is not Procedural:
        return task
    return replace(
        task, source=Remembered(**{each.name: getattr(source, each.name) for each in fields(source)})
    )


def forget(task: Task) -> Task:
    """The task without it: each problem is drawn anew."""
    source = task.source
    if not isinstance(source, Remembered):
        return task
    own = {each.name: getattr(source, each.name) for each in fields(Procedural)}
    return replace(task, source=Procedural(**own))
