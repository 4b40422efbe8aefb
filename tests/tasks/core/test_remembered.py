"""A task that remembers its problems gives the very same, and draws each once."""

from dataclasses import replace

from palaestra import tasks
from palaestra.tasks.core.conformance import check_same_seed
from palaestra.tasks.core.remembered import forget, remember
from palaestra.tasks.core.sources import Procedural


def test_the_same_problems_are_given_and_drawn_once():
    task = tasks.get("addition", {"digits": 3})
    kept = remember(task)
    assert isinstance(kept.source, Procedural)
    assert kept.problems("train", 12) == task.problems("train", 12)
    assert kept.problem("train", 3) is kept.problem("train", 3, level=1 + 3 % task.source.levels)
    assert kept.problem("train", 3, seed=1) == task.problem("train", 3, seed=1)
    assert kept.source.option_defaults == task.source.option_defaults
    assert forget(kept).source == task.source


def test_rows_are_left_as_they_are():
    task = tasks.get("ice_cream")
    assert remember(task) is task is forget(task)


def test_a_memory_hides_no_generator_that_changes():
    numbers = iter(range(10_000))

    def change(rng, level):
        return tasks.Problem(f"{next(numbers)}?", "1")

    gcd = tasks.get("gcd")
    changing = replace(gcd, source=Procedural("gcd", change))
    assert next(check_same_seed(remember(changing), 4), "") != ""
    assert next(check_same_seed(remember(gcd), 4), "") == ""
