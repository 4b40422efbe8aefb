"""The train stream of a mixture: shares that were set, and shares that follow what is being learned."""

from collections import Counter
from dataclasses import asdict

import pytest
from palaestra.tasks import mix
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.rollouts.collect import choose_level, take_next_problems
from palaestra.trainer.rollouts.ledger import Item, Ledger
from palaestra.trainer.rollouts.stream import LEAST, WINDOW, Position, measure_progress, weigh

from ..support.groups import make_group

MIXTURE = mix({"gcd": 2, "sorting": 1, "countdown": 1})
FIXED = TrainConfig.of(task="gcd:2,sorting,countdown", seed=3)
MOVING = FIXED.but(mixture="progress")


def take(count, config, position, ledger=None):
    return take_next_problems(count, MIXTURE, config, position, ledger or Ledger(), lambda problem: True)


def visited(*rates):
    """An item with one visit of 100 completions for each pass-rate."""
    return Item([[step, round(100 * rate), 100] for step, rate in enumerate(rates, 1)])


def test_fixed_shares_are_kept_and_the_stream_goes_on_where_it_stood():
    position = Position()
    first = take(10, FIXED, position)
    rest = take(30, FIXED, position)
    assert Counter(problem.id.partition("/")[0] for problem in [*first, *rest]) == {
        "gcd": 20, "sorting": 10, "countdown": 10,
    }  # fmt: skip
    assert [*first, *rest] == [MIXTURE.problem("train", index, seed=3) for index in range(40)]
    assert position.summarise() == {"next": 40, "refused": 0, "skipped": 0}


def test_moving_shares_go_through_each_task_s_own_stream_and_resume_with_no_problem_lost_or_repeated():
    whole = take(60, MOVING, Position())
    position = Position()
    first = take(25, MOVING, position)
    again = Position(**asdict(position))
    assert [*first, *take(35, MOVING, again)] == whole
    assert sum(again.taken.values()) == 60
    for name, count in again.taken.items():
        own = [problem for problem in whole if problem.id.startswith(f"{name}/")]
        assert [int(problem.id.rpartition("/")[2]) for problem in own] == list(range(count))


def test_what_is_being_learned_and_what_is_being_forgotten_get_the_problems():
    still, rising, falling = [0.5] * 20, [0.0] * 10 + [0.4] * 10, [0.6] * 10 + [0.2] * 10
    weights = weigh(
        MIXTURE,
        Ledger(tasks={"gcd": visited(*still), "sorting": visited(*rising), "countdown": visited(*falling)}),
    )
    assert weights == {"gcd": pytest.approx(2 * LEAST), "sorting": 1, "countdown": pytest.approx(1)}


def test_a_task_that_was_seldom_visited_counts_as_the_fastest_and_nothing_moving_keeps_the_weights():
    assert weigh(MIXTURE, Ledger()) == {"gcd": 2, "sorting": 1, "countdown": 1}
    still = {name: visited(*[0.5] * 20) for name in ("gcd", "sorting", "countdown")}
    assert weigh(MIXTURE, Ledger(tasks=still)) == {"gcd": 2, "sorting": 1, "countdown": 1}
    assert measure_progress(visited(*[0.5] * (2 * WINDOW - 1))) is None
    assert measure_progress(visited(*[0.0] * WINDOW, *[1.0] * WINDOW)) == 1


def test_the_ledger_keeps_a_mixture_s_tasks_and_levels_apart():
    ledger = Ledger()
    groups = [make_group(["RIGHT", "no"], index, task=MIXTURE) for index in range(8)]
    ledger.add(1, groups, MIXTURE)
    assert {name: item.visits for name, item in ledger.tasks.items()} == {
        "gcd": [[1, 4, 8]], "sorting": [[1, 2, 4]], "countdown": [[1, 2, 4]],
    }  # fmt: skip
    assert all(name.partition(" level ")[0] in ledger.tasks for name in ledger.items)
    assert Ledger.of(asdict(ledger)) == ledger


def test_the_curriculum_draws_levels_by_what_is_known_of_the_same_task():
    known = {f"gcd level {n}": Item([[1, p, 10], [2, p, 10]]) for n, p in ((1, 10), (2, 5), (3, 0))}
    member = MIXTURE.find_member("gcd/train/0/1/0")
    config = FIXED.but(curriculum=True)
    drawn = [choose_level(MIXTURE, member, config, Ledger(known), index) for index in range(600)]
    assert drawn.count(2) > 400
