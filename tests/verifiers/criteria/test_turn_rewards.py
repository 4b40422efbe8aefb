"""The criterion of turns: what each earned adds up within bounds; beyond them nothing is won or escaped."""

import math
import random

import pytest
from palaestra import Completion, Problem, Rubric, criteria
from palaestra.verifiers import Status, Turn
from palaestra.verifiers.criteria.turn_rewards import bound

PROBLEM = Problem("Walk.", "a secret")


def play(*rewards, **about):
    turns = [each for reward in rewards for each in (Turn("policy", "x", reward=reward), Turn("world", "y"))]
    return Completion("x", turns=tuple(turns), **about)


def judge(criterion, *rewards, **about):
    return Rubric(criterion).score(play(*rewards, **about), PROBLEM)


@pytest.mark.parametrize(
    ("rewards", "reward", "status"),
    [
        ((0.25, 0.75), 1, Status.CORRECT),
        ((0.1,) * 10, 1, Status.CORRECT),  # which as a running sum is 0.9999999999999999
        ((0.25, None, 0.25), 0.5, Status.PARTIAL),
        ((0, True, -0.5), 0.5, Status.PARTIAL),
        ((0.5, -0.5), 0, Status.WRONG),
        ((-0.25, -0.5), -0.75, Status.WRONG),
        ((-1, -1, -1), -1, Status.WRONG),
        ((1, 1), 1, Status.CORRECT),
        ((None, None), 0, Status.NO_ANSWER),
        ((), 0, Status.NO_ANSWER),
    ],
)
def test_the_turns_rewards_add_up_within_their_bounds(rewards, reward, status):
    score = judge(criteria.turn_rewards(low=-1.0), *rewards)
    assert (score.reward, score.parts["turn_rewards"].status) == (reward, status)
    assert (score.passed, score.abstained) == (reward == 1, False)
    assert sum(score.by_turn) == pytest.approx(reward)


@pytest.mark.parametrize("seed", range(40))
def test_what_turns_add_sums_to_what_is_counted(seed):
    rng = random.Random(seed)
    low = -rng.random()
    earned = [rng.choice([0.1, rng.uniform(-2, 2)]) for _ in range(rng.randint(1, 8))]
    bounded = bound(earned, low)
    assert bounded.total == max(low, min(1.0, math.fsum(earned)))
    assert math.fsum(bounded.by_turn) == pytest.approx(bounded.total, abs=1e-9)
    assert len(bounded.by_turn) == len(earned)
    so_far = [math.fsum(bounded.by_turn[: place + 1]) for place in range(len(earned))]
    assert all(low - 1e-9 <= each <= 1 + 1e-9 for each in so_far)


def test_a_penalty_beyond_the_least_is_no_way_out():
    """More of what costs costs no less, and never makes the score abstain."""
    criterion = criteria.turn_rewards(low=-0.5)
    few, many = judge(criterion, -0.25, -0.25), judge(criterion, *[-0.25] * 100)
    assert few.reward == many.reward == -0.5
    assert not many.abstained
    assert many.by_turn[:3] == (-0.25, -0.25, 0.0)


def test_a_function_judges_each_turn():
    def polite(completion, _problem):
        return [0.5 * (turn.text == "x") for turn in completion.turns if turn.role == "policy"]

    rubric = Rubric(criteria.turn_rewards(polite, weight=0.5), criteria.reached(weight=1.5))
    score = rubric.score(play(None, None, state={"reward": 0}), PROBLEM)
    assert (score.reward, score.by_turn) == (0.25, (0.125, 0.125))


@pytest.mark.parametrize("given_", [[1.0], [0.1, float("nan")], [0.1, 1e300], ["a", 1]])
def test_a_function_that_fails_at_an_episode_never_abstains(given_):
    score = judge(criteria.turn_rewards(lambda _completion, _problem: given_, low=-1), None, None)
    assert score.parts["turn_rewards"].status is Status.MALFORMED
    assert (score.reward, score.abstained, score.by_turn) == (-1, False, ())


def test_no_turn_is_paid_where_a_gate_fails_or_the_world_gave_no_reply():
    gated = Rubric(criteria.turn_rewards(low=-1), criteria.pattern("y", gate=True))
    assert gated.score(play(0.5, -0.5), PROBLEM).by_turn == ()
    failed = judge(criteria.turn_rewards(), 0.5, 0.5, finish_reason="raised")
    assert (failed.reward, failed.by_turn) == (0, ())
    assert judge(criteria.turn_rewards(), 0.5, finish_reason="unavailable").abstained
    with pytest.raises(ValueError, match="0 or less"):
        criteria.turn_rewards(low=0.1)
