"""The next groups of a run: groups without a signal, prompts over the budget, the curriculum."""

import random

import pytest
from palaestra.tasks import Problem
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.rollouts.collect import choose_level, collect, count_tokens, take_next_problems
from palaestra.trainer.rollouts.group import has_signal
from palaestra.trainer.rollouts.ledger import Item, Ledger
from palaestra.trainer.rollouts.stream import Position

from ..support.groups import DEAD, LIVE, SOLVED, TASK, make_group


def test_groups_without_a_signal_are_replaced_within_the_bound():
    source = iter([DEAD, LIVE, SOLVED, DEAD, LIVE, LIVE, LIVE])
    counter = iter(range(100))
    asked = []

    def problems(count: int) -> list[int]:
        asked.append(count)
        return [next(counter) for _ in range(count)]

    config = TrainConfig.of(prompts_per_step=3, resample=2)
    result = collect(lambda numbers: [make_group(next(source), n) for n in numbers], problems, config)
    assert asked == [3, 2, 1]
    assert (result.tried, len(result.groups)) == (6, 3)
    assert result.tokens == 2 * count_tokens(result.groups)  # all completions here are of one length
    assert all(has_signal(group, config.objective, 256) for group in result.groups)


def test_what_is_still_missing_after_the_bound_is_filled_up_and_the_bound_is_kept():
    config = TrainConfig.of(prompts_per_step=3, resample=1)
    counter = iter(range(100))
    result = collect(
        lambda ns: [make_group(DEAD, n) for n in ns],
        lambda count: [next(counter) for _ in range(count)],
        config,
    )
    assert (result.tried, len(result.groups)) == (6, 3)


def test_prompts_over_the_budget_are_counted_and_never_cut():
    position, config = Position(), TrainConfig.of(task="gcd", max_prompt_tokens=3)
    found = take_next_problems(
        5, TASK, config, position, Ledger(), lambda problem: int(problem.reference) % 2 == 1
    )
    assert len(found) == 5
    assert position.refused == position.next - 5 > 0
    with pytest.raises(UserError, match="--max-prompt-tokens"):
        take_next_problems(5, TASK, config, Position(), Ledger(), lambda problem: False)


def test_the_curriculum_prefers_levels_that_are_neither_always_nor_never_solved():
    ledger = Ledger({f"level {n}": Item([[1, p, 10], [2, p, 10]]) for n, p in ((1, 10), (2, 5), (3, 0))})
    config = TrainConfig.of(curriculum=True)
    drawn = [choose_level(TASK, TASK, config, ledger, index) for index in range(600)]
    assert drawn.count(2) > 400
    assert min(drawn.count(1), drawn.count(3)) > 10, "no level is given up for ever"
    assert choose_level(TASK, TASK, TrainConfig(), ledger, 0) is None
    assert choose_level(TASK, TASK, TrainConfig.of(level=3, curriculum=True), ledger, 0) == 3


def test_levels_draw_the_same_for_the_same_seed():
    config = TrainConfig.of(curriculum=True, seed=3)
    first = [choose_level(TASK, TASK, config, Ledger(), index) for index in range(20)]
    random.seed(1)
    assert first == [choose_level(TASK, TASK, config, Ledger(), index) for index in range(20)]
    assert isinstance(TASK.problem("train", 0, level=1), Problem)
