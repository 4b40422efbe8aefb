"""Control arms: other rewards, the same pass-rates."""

from dataclasses import replace

import pytest
from palaestra import tasks
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.rollouts.control_arms import apply_control
from palaestra.verifiers import Rubric, answer_tag, number

from ..support.groups import make_group


def test_control_arms_change_rewards_and_never_pass_rates():
    task = replace(tasks.get("addition"), rubric=Rubric(number(), answer_tag(weight=0.1)))
    groups = [
        make_group(["RIGHT", "<answer>7654321</answer>", "no"] * 20, index, task=task) for index in range(6)
    ]
    truth = [[score.passed for score in g.scores_G] for g in groups]
    for control in ("random", "format", "shuffled", "none"):
        changed = apply_control(groups, task, control, 0, 0)
        assert [[score.passed for score in g.scores_G] for g in changed] == truth
    coin = [score.reward for g in apply_control(groups, task, "random", 0, 0) for score in g.scores_G]
    assert set(coin) == {0.0, 1.0}
    for g in apply_control(groups, task, "random", 0, 0):
        assert all(s.values == {"control": s.reward} and s.weights == {"control": 1.0} for s in g.scores_G)
    assert 0.4 < sum(coin) / len(coin) < 0.6
    assert [score.reward for score in apply_control(groups, task, "format", 0, 0)[0].scores_G[:3]] == [
        1.0,
        1.0,
        0.0,
    ]
    shuffled = [
        score.reward for g in apply_control(groups, task, "shuffled", 0, 0) for score in g.scores_G[:1]
    ]
    assert max(shuffled) < 1, "a right answer must not be right for another problem's reference"
    with pytest.raises(UserError, match="no criterion on form"):
        apply_control(groups, replace(task, rubric=Rubric(number())), "format", 0, 0)


def test_what_turns_earned_of_the_true_reward_is_no_part_of_a_control():
    group = make_group(["RIGHT", "no"])
    group = replace(group, scores_G=[replace(score, by_turn=(0.5, 0.5)) for score in group.scores_G])
    for control in ("random", "shuffled"):
        changed = apply_control([group, make_group(["RIGHT", "no"], 1)], tasks.get("gcd"), control, 0, 0)
        assert all(score.by_turn == () for score in changed[0].scores_G)
