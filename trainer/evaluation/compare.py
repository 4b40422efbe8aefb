"""Two evaluations of the same problems: the difference of their pass-rates, paired by problem."""

from __future__ import annotations

import math

from ...tasks.core.errors import UserError
from ..intervals import Difference, paired_difference
from .evaluate import Evaluation
from .run import EvaluationRun


def compare(first: EvaluationRun | Evaluation, second: EvaluationRun | Evaluation) -> Difference:
    """The second evaluation's pass@1 minus the first's, in [-1, 1], with its 95 % interval.

    Problem by problem, so that the spread between easy and hard problems is no part of the interval: it is
    narrower than two separate ones let one guess. Problems that only one of the two has scored are left out
    and counted.
    Raises UserError where the two have no problem in common, or their task verifies nothing.

    >>> import palaestra as pal
    >>> small = {"task": "gcd", "model": "embedded", "problems": 20, "threads": 1}
    >>> said = []
    >>> before = pal.evaluate(**small, max_new_tokens=4, out="runs/before", say=said.append)
    >>> after = pal.evaluate(**small, max_new_tokens=8, out="runs/after", say=said.append)
    >>> print(pal.compare(before, after))  # doctest: +ELLIPSIS
    +0.0 points [...]
    """
    rates = [
        rate_problems(each.result if isinstance(each, EvaluationRun) else each) for each in (first, second)
    ]
    if not rates[0].keys() & rates[1].keys():
        raise UserError(
            "The two evaluations have no problem in common, so they can't be compared: evaluate the same "
            "task, split, level and seed twice."
        )
    ids = list(dict.fromkeys([*rates[0], *rates[1]]))
    first_P, second_P = ([each.get(id, math.nan) for id in ids] for each in rates)
    return paired_difference(first_P, second_P)


def rate_problems(evaluation: Evaluation) -> dict[str, float]:
    """The share of each problem's scored completions that passed, by the problem's id.

    nan where none was scored. Raises UserError where nothing was verified.
    """
    if not evaluation.pass_at:
        raise UserError("Nothing verifies the completions of this task: there are no pass-rates to compare.")
    rates = {}
    for group in evaluation.groups:
        scored = [score.passed for score in group.scores_G if not score.abstained]
        rates[group.problem.id] = sum(scored) / len(scored) if scored else math.nan
    return rates
