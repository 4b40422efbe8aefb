"""Two evaluations side by side: paired by problem, whatever else each of them holds."""

from dataclasses import replace

import palaestra as pal
import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.evaluation.compare import compare
from palaestra.trainer.evaluation.evaluate import Evaluation
from palaestra.trainer.intervals import Estimate, Interval
from palaestra.trainer.rollouts.group import Group


def evaluate(passed: dict[str, list[bool | None]]) -> Evaluation:
    """An evaluation that found this of each problem's completions; None: it could not be scored."""
    groups = [
        Group(
            pal.Problem("?", "1", id=id),
            [pal.Completion("x")] * len(found),
            [pal.Score(float(bool(one)), bool(one), {}, abstained=one is None) for one in found],
        )
        for id, found in passed.items()
    ]
    return Evaluation(
        pass_at={1: Estimate(0.5, 0.0, 1.0, len(groups))}, reward=0.5,
        reward_interval=Interval(0.5, 0.0, 1.0, len(groups)), learned={}, extracted=1.0, truncated=0.0,
        abstained=0.0, tokens=1.0, problems=len(groups), samples=2, too_long=0, seconds=0.0, groups=groups,
    )  # fmt: skip


def test_the_difference_is_of_each_problem():
    first = evaluate({f"t/{n}": [n % 2 == 0] for n in range(40)})
    second = evaluate({f"t/{n}": [n % 2 == 0 or n < 20] for n in reversed(range(40))})
    found = compare(first, second)
    assert (found.value, found.problems, found.wins, found.losses) == (0.25, 40, 10, 0)
    assert 0.05 < found.low < 0.25 < found.high < 0.45
    assert compare(second, first).value == -0.25


def test_what_only_one_has_scored_is_left_out_and_counted():
    first = evaluate({"t/0": [True, None], "t/1": [False, False], "t/2": [None, None], "t/3": [True, True]})
    second = evaluate({"t/0": [True, False], "t/1": [True, False], "t/2": [True, True], "t/4": [True, True]})
    found = compare(first, second)
    assert (found.problems, found.excluded) == (2, 3)
    assert found.value == 0.0
    assert (found.wins, found.losses) == (1, 1)


def test_what_can_not_be_compared_is_a_sentence():
    first, other = evaluate({"t/0": [True]}), evaluate({"u/0": [True]})
    with pytest.raises(UserError, match="no problem in common"):
        compare(first, other)
    with pytest.raises(UserError, match="no pass-rates"):
        compare(replace(first, pass_at={}), first)
