"""What each turn of an episode earned: a criterion that pays turn by turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

from ..criterion import Criterion
from ..types import Completion, ProblemLike, Verdict, no_answer
from .reached import judge

MOST_REWARD = 1e6  # of one turn, in size: many of them still have an exact sum
Rewards = Callable[[Completion, Any], Sequence[float]]


def turn_rewards(
    rewards: Rewards | None = None, name: str = "turn_rewards", weight: float = 1.0, *, low: float = 0.0
) -> Criterion:
    """The sum of what the turns of an episode earned, each as the world said after it (an episode's attribute
    `reward`), or as a function of one's own judges it.

    rewards: a function of the completion and the problem that gives a number for each turn of the policy.
        None: the world's own rewards; a turn of which the world said nothing earned 0.
    low: the least that a whole episode may earn, 0 or less.

    A sum of 1 is correct, between 0 and 1 partial, 0 and less wrong. The most is 1, the least `low`: what
    turns earn beyond either counts no further, so that nothing is won by going on, and no penalty is escaped.
    The verdict says what each turn brought in (`Verdict.by_turn`): `--advantages.turns` and
    `--ppo.turn-rewards` give credit by it, and without them the sum alone counts.

    >>> import palaestra as pal
    >>> rubric = pal.Rubric(pal.criteria.reached(), pal.criteria.turn_rewards())
    >>> turns = pal.Turn("policy", "U", reward=0.25), pal.Turn("world", "..."), pal.Turn("policy", "R")
    >>> played = pal.Completion("U\\nR", turns=turns, state={"reward": 1})
    >>> score = rubric.score(played, pal.Problem("Walk from S to G."))
    >>> score.reward, score.by_turn
    (0.625, (0.125, 0.0))
    """
    if not low <= 0:
        raise ValueError(f"low={low} is the least that an episode may earn; give 0 or less.")

    def check(completion: Completion, problem: ProblemLike) -> Verdict:
        said = [turn for turn in completion.turns if turn.role == "policy"]
        if not said:  # a function is not asked, so that it can't be made to fail where it always would
            return no_answer("There are no turns: it was never played.")
        if rewards is not None:
            earned = [float(reward) for reward in rewards(completion, problem)]
            if len(earned) != len(said):
                raise ValueError(f"gave {len(earned)} rewards for {len(said)} turns; give one for each.")
        elif all(turn.reward is None for turn in said):
            return no_answer("The world said of no turn what it earned (an episode's `reward`).")
        else:
            earned = [turn.reward or 0.0 for turn in said]
        if not all(abs(reward) <= MOST_REWARD for reward in earned):  # nan, too
            raise ValueError(f"gave a reward that is no number of at most {MOST_REWARD:g} in size.")
        bounded = bound(earned, low)
        return replace(judge(bounded.total, bounded.reason), by_turn=bounded.by_turn)

    return Criterion(name, check, weight, low=low, several=True, by_turn=True)


@dataclass(frozen=True)
class Bounded:
    """total: from `low` to 1.  by_turn: what each turn adds to it.  reason: "" where nothing was cut."""

    total: float
    by_turn: tuple[float, ...]
    reason: str


def bound(earned: Sequence[float], low: float) -> Bounded:
    """What turns earn while their sum so far lies from `low` to 1; what goes beyond adds nothing.

    >>> from palaestra.verifiers.criteria.turn_rewards import bound
    >>> bound([0.5, 0.75, -0.5], 0.0).by_turn
    (0.5, 0.5, -0.25)
    """
    total = math.fsum(earned)
    sums = [0.0, *accumulate(earned)]
    held = [max(low, min(1.0, each)) for each in sums]
    by_turn = tuple(
        reward if (before, after) == (held[place], held[place + 1]) else held[place + 1] - held[place]
        for place, (reward, (before, after)) in enumerate(zip(earned, pairwise(sums), strict=True))
    )
    counted = max(low, min(1.0, total))
    reason = "" if counted == total else f"The turns earned {total:g}, which counts as {counted:g}."
    return Bounded(counted, by_turn, reason)
