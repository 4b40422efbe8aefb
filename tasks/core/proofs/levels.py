"""Whether levels are harder, by how much of them a task's scripted solver manages: one with a fixed budget
of steps, or a model of errors that counts the steps of a right solution and errs in one of so many."""

from __future__ import annotations

import random
from itertools import pairwise

from ..proportion import Proportion
from ..sources import Procedural
from ..task import Task
from .proof import Level

TRIES = 200  # problems of a level


def measure_levels(task: Task, tries: int = TRIES) -> tuple[Level, ...]:
    """The solver's pass-rate at each level; () for a task without a solver, or with one level."""
    if task.attempt is None or not isinstance(task.source, Procedural) or task.source.levels < 2:
        return ()
    return tuple(_measure(task, level, tries) for level in range(1, task.source.levels + 1))


def _measure(task: Task, level: int, tries: int) -> Level:
    assert task.attempt is not None
    solved = 0
    problems = task.problems("train", tries, level=level)
    for problem in problems:
        text = task.attempt(problem, random.Random(problem.id))
        solved += task.score(text, problem).passed
    return Level(level, Proportion(solved, len(problems)))


def find_easier(levels: tuple[Level, ...]) -> str:
    """A sentence where, beyond what chance explains, a level is easier than the one before it; or where the
    last is not harder than the first, though the solver manages some of that; "" else."""
    for before, after in pairwise(levels):
        if after.solved.interval[0] > before.solved.interval[1]:
            return _say(f"Level {after.level} is easier than level {before.level}", before, after)
    first, last = levels[0], levels[-1]
    if first.solved.count and last.solved.interval[1] >= first.solved.interval[0]:
        return _say(f"Level {last.level} is no harder than level {first.level}", first, last)
    return ""


def _say(what: str, before: Level, after: Level) -> str:
    return (
        f"{what}: the scripted solver passes {after.solved} against {before.solved}. Make it harder, or "
        "leave it out."
    )
