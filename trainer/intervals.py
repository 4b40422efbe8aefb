"""Pass-rates with their uncertainty: pass@k, 95 % intervals, the paired difference of two runs.
Imports no torch.

Problems are the independent units: samples of one problem are correlated, so n samples of P problems are not
n * P observations. Suffix: P problems.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ..tasks.core.proportion import wilson

DRAWS = 20_000
"""Of the bootstrap. The ends of an interval then repeat to about 1 % of its width under another seed."""


@dataclass(frozen=True)
class Estimate:
    """A pass-rate in [0, 1] and its interval.

    value: nan when no problem could be counted (the interval is then [0, 1]: nothing is known).
    problems: how many were counted.
    excluded: problems left out because fewer than k of their completions were scored.
    """

    value: float
    low: float
    high: float
    problems: int
    excluded: int = 0

    def __str__(self) -> str:
        if not self.problems:
            return "no problem could be counted"
        return f"{100 * self.value:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class Difference:
    """Second run minus first run on the problems that both scored, in [-1, 1], and its interval.

    wins, losses: problems on which the second run has the higher, the lower value.
    excluded: problems that only one of the runs could score.
    """

    value: float
    low: float
    high: float
    problems: int
    wins: int
    losses: int
    excluded: int = 0

    def __str__(self) -> str:
        if not self.problems:
            return "no problem was scored by both runs"
        return f"{100 * self.value:+.1f} points [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"


def tango(wins: int, losses: int, problems: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of the difference (wins - losses) / problems of two paired proportions (Tango 1998).

    What Wilson's interval is for one proportion: its ends are the differences that a score test does not
    reject, so that it is no point where no problem was won or lost. [-1, 1] when `problems` is 0.
    Raises ValueError for counts that don't go together.
    """
    if min(wins, losses) < 0 or wins + losses > problems:
        raise ValueError(f"{wins} won and {losses} lost of {problems} problems; one of the counts is wrong.")
    if not problems:
        return -1.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)

    def score(difference: float) -> float:
        """Standard errors by which the seen difference lies above this one."""
        linear = (2 * problems - wins + losses) * difference - wins - losses
        root = math.sqrt(max(0.0, linear**2 + 8 * problems * losses * difference * (1 - difference)))
        lost = (root - linear) / (4 * problems)  # most likely share of losses under this difference
        variance = problems * (2 * lost + difference * (1 - difference))
        distance = wins - losses - problems * difference
        return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)

    seen = (wins - losses) / problems
    low = -1.0 if losses == problems else _find_root(lambda x: score(x) - z, -1.0, seen)
    high = 1.0 if wins == problems else _find_root(lambda x: score(x) + z, seen, 1.0)
    return low, high


def _find_root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls is 0, to 1e-12."""
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


def bootstrap(
    values_P: Sequence[float],
    least: float,
    most: float,
    confidence: float = 0.95,
    seed: int = 0,
    draws: int = DRAWS,
) -> tuple[float, float]:
    """Interval of the mean of values in [least, most] by a Bayesian bootstrap over problems (Rubin 1981),
    seeded.

    Each end carries one phantom problem, `most` for the upper end and `least` for the lower (Gaffke 2005;
    Learned-Miller and Thomas 2019, arXiv:1905.06208). That keeps the interval honest where the plain
    bootstrap collapses to a point: when all values are equal. For values of 0 and 1 it is the exact interval
    of Clopper and Pearson (1934).
    Equal values share one gamma draw, so the cost does not grow with the number of problems.
    """
    values_U, counts_U = np.unique(np.asarray(values_P, dtype=np.float64), return_counts=True)
    if values_U.size == 0:
        return least, most
    if not (least <= values_U[0] and values_U[-1] <= most):  # nan sorts last and fails this too
        raise ValueError(
            f"Values of a bootstrap must lie in [{least}, {most}]; got {values_U[0]} .. {values_U[-1]}."
        )
    rng = np.random.default_rng(seed)
    rows = max(1, 1_000_000 // values_U.size)
    lows, highs = [], []
    for start in range(0, draws, rows):
        weights = rng.standard_gamma(counts_U, size=(min(rows, draws - start), values_U.size))
        phantom = rng.standard_exponential(weights.shape[0])
        total, weighted = weights.sum(1) + phantom, weights @ values_U
        lows.append((weighted + phantom * least) / total)
        highs.append((weighted + phantom * most) / total)
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(lows), tail), np.quantile(np.concatenate(highs), 1 - tail)
    # Rounding must not push an end off the scale: the mean of equal values is that value only to 1e-16.
    return max(least, float(low)), min(most, float(high))


def list_ks(samples: int, most: int = 128) -> list[int]:
    """The powers of two up to the number of samples, and to `most`."""
    return [2**power for power in range(min(samples, most).bit_length())] if samples else []


def pass_at_k_of_problem(correct: int, samples: int, k: int) -> float:
    """Unbiased estimate of the chance that at least one of k samples passes: 1 - C(n - c, k) / C(n, k).

    Chen et al. 2021 (arXiv:2107.03374), equation 1. Raises ValueError unless 0 <= correct <= samples and
    1 <= k <= samples.
    """
    if not 0 <= correct <= samples or not 1 <= k <= samples:
        raise ValueError(
            f"pass@{k} of {correct} correct in {samples} samples needs 0 <= correct <= n and 1 <= k <= n."
        )
    return 1 - math.comb(samples - correct, k) / math.comb(samples, k)


def pass_at_k(
    correct_P: Sequence[int],
    samples: int | Sequence[int],
    k: int = 1,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Mean over problems of the unbiased pass@k, with an interval that allows for the choice of problems.

    correct_P: completions that passed, per problem. samples: completions that were scored, per problem
    (abstained ones are not among them), or one number for all. A problem with fewer than k scored completions
    is left out and counted. The interval is Wilson's where every problem has one sample,
    else a bootstrap over problems.
    """
    if k < 1:
        raise ValueError(f"k={k} is no number of samples; pass@k needs k of 1 or more.")
    samples_P = [samples] * len(correct_P) if isinstance(samples, int) else list(samples)
    if len(samples_P) != len(correct_P):
        raise ValueError(
            f"{len(correct_P)} problems have counts of passes but {len(samples_P)} have counts of samples."
        )
    for index, (correct, count) in enumerate(zip(correct_P, samples_P, strict=True)):
        if not 0 <= correct <= count:
            raise ValueError(
                f"Problem {index} has {correct} passes in {count} scored completions; one count is wrong."
            )
    counted = [(c, n) for c, n in zip(correct_P, samples_P, strict=True) if n >= k]
    excluded = len(samples_P) - len(counted)
    if not counted:
        return Estimate(math.nan, 0.0, 1.0, 0, excluded)
    values_P = [pass_at_k_of_problem(c, n, k) for c, n in counted]
    value = math.fsum(values_P) / len(values_P)
    if all(n == 1 for _, n in counted):
        low, high = wilson(sum(c for c, _ in counted), len(counted), confidence)
    else:
        low, high = bootstrap(values_P, 0.0, 1.0, confidence, seed)
    return Estimate(value, low, high, len(counted), excluded)


def paired_difference(
    first_P: Sequence[float], second_P: Sequence[float], confidence: float = 0.95, seed: int = 0
) -> Difference:
    """Mean of second - first over the same problems in the same order; values in [0, 1],
    nan where none was scored.

    Pairing removes the spread between easy and hard problems, so the interval is narrower than that of two
    separate runs. It is the bootstrap over problems on differences in [-1, 1]; where every difference is -1,
    0 or 1, as with one sample of each problem, Tango's score interval.
    """
    if len(first_P) != len(second_P):
        raise ValueError(
            f"A paired difference needs the same problems twice; got {len(first_P)} and {len(second_P)}."
        )
    pairs = [(a, b) for a, b in zip(first_P, second_P, strict=True) if not (math.isnan(a) or math.isnan(b))]
    excluded = len(first_P) - len(pairs)
    if not pairs:
        return Difference(math.nan, -1.0, 1.0, 0, 0, 0, excluded)
    differences_P = [b - a for a, b in pairs]
    wins, losses = sum(d > 0 for d in differences_P), sum(d < 0 for d in differences_P)
    if {*differences_P} <= {-1.0, 0.0, 1.0}:
        low, high = tango(wins, losses, len(pairs), confidence)
    else:
        low, high = bootstrap(differences_P, -1.0, 1.0, confidence, seed)
    return Difference(math.fsum(differences_P) / len(pairs), low, high, len(pairs), wins, losses, excluded)


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval over problems; nan with the widest interval when nothing was counted."""

    value: float
    low: float
    high: float
    problems: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean_interval(values_PG: Sequence[Sequence[float]], least: float, most: float) -> Interval:
    """Mean over problems of the mean over their completions; values in [least, most].
    Empty problems don't count.

    The interval is a bootstrap over problems; of one yes or no a problem it is Wilson's, as a pass-rate's is.
    """
    means_P = [min(most, max(least, math.fsum(values) / len(values))) for values in values_PG if values]
    if not means_P:
        return Interval(math.nan, least, most, 0)
    lone = all(len(values) <= 1 for values in values_PG)
    if lone and (least, most) == (0, 1) and set(means_P) <= {0.0, 1.0}:
        low, high = wilson(int(sum(means_P)), len(means_P))
    else:
        low, high = bootstrap(means_P, least, most)
    return Interval(math.fsum(means_P) / len(means_P), low, high, len(means_P))


def subtract(second: Estimate | Interval, first: Estimate | Interval) -> Interval:
    """Second minus first of two means that were measured apart, and the interval of the difference.

    From the two intervals (Newcombe 1998, method 10; Zou and Donner 2008): it keeps their asymmetry near 0
    and 1. Where both are of the same problems it is wider than a paired one.
    """
    if not (first.problems and second.problems):
        return Interval(math.nan, -math.inf, math.inf, 0)
    value = second.value - first.value
    low = value - math.hypot(second.value - second.low, first.high - first.value)
    high = value + math.hypot(second.high - second.value, first.value - first.low)
    return Interval(value, low, high, min(first.problems, second.problems))
