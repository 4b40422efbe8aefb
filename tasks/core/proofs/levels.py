"""Whether levels are harder, by what a scripted solver with a fixed budget still manages."""

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
    """A sentence where a level is no harder than the one before it, beyond what chance explains; ""."""
    for before, after in pairwise(levels):
        if after.solved.interval[0] >= before.solved.interval[0] and not _at_end(before.solved):
            return (
                f"Level {after.level} is no harder than level {before.level}: the scripted solver passes "
                f"{after.solved} against {before.solved}. Make it harder, or leave it out."
            )
    return ""


def _at_end(rate: Proportion) -> bool:
    """Whether the solver manages nothing any more, so that harder can't be seen."""
    return rate.count == 0
