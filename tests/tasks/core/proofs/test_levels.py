"""Levels are harder, by what a scripted solver manages."""

from dataclasses import replace

import pytest
from palaestra import tasks
from palaestra.tasks.core.proofs.levels import TRIES, find_easier, measure_levels
from palaestra.tasks.core.proofs.proof import Level
from palaestra.tasks.core.proportion import Proportion
from palaestra.tasks.core.sources import Procedural

SOLVED = [name for name in tasks.names() if tasks.get(name).attempt is not None]


@pytest.mark.parametrize("name", SOLVED)
def test_each_level_is_harder_than_the_one_before(name):
    task = tasks.get(name)
    levels = measure_levels(task, TRIES if task.kind == "math" else 100)
    assert len(levels) == task.source.levels
    assert find_easier(levels) == ""
    assert levels[0].solved.interval[0] > levels[-1].solved.interval[1]


def test_a_level_that_is_no_harder_is_found():
    def make(*counts):
        return tuple(Level(level, Proportion(count, 100)) for level, count in enumerate(counts, 1))

    assert find_easier(make(90, 50, 0, 0)) == ""
    assert find_easier(make(90, 60, 61, 20)) == ""  # chance explains that
    assert find_easier(make(90, 90)).startswith("Level 2 is no harder than level 1")
    assert find_easier(make(90, 20, 60)).startswith("Level 3 is easier than level 2")
    assert find_easier(make(0, 40)).startswith("Level 2 is easier than level 1")
    assert find_easier(make(0, 0)) == ""  # the solver manages nothing, so that harder can't be seen
    gcd = tasks.get("gcd")
    flat = replace(gcd.source, generate=lambda rng, level: next(gcd.source.generate(rng, 1)))
    assert find_easier(measure_levels(replace(gcd, source=flat), 100)) != ""


def test_a_task_without_a_solver_or_levels_has_no_figure():
    gcd, addition = tasks.get("gcd"), tasks.get("addition")
    assert measure_levels(replace(gcd, attempt=None)) == ()
    assert measure_levels(replace(addition, attempt=gcd.attempt)) == ()
    assert isinstance(gcd.source, Procedural)
