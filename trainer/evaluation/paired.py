"""Two measurements of the same problems: tests of their difference, and what so many problems could show.

Exact where that can be counted out, else by seeded draws. Imports no torch. Suffixes: P problems, N
discordant problems (on which the two differ).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from statistics import NormalDist

import numpy as np

LEVEL, POWER = 0.05, 0.8  # two-sided error of the first kind; chance to see what is there
DRAWS = 200_000  # of a test that can't be counted out
MOST_STATES = 200_000  # sums that are counted out
MOST_PARTS = 5_040  # into which a value of 1 is divided for that: a multiple of every number to 10


def flip_signs(differences_P: Sequence[float], seed: int = 0) -> float:
    """The two-sided p-value of a mean of differences, against "either sign was as likely" (Fisher 1935).

    Of differences that are -1, 0 or 1 that is McNemar's exact test. Counted out over all choices of signs
    where the differences are multiples of a common part, else from 200,000 seeded choices.
    """
    sizes = [abs(value) for value in differences_P if value]
    if not sizes:
        return 1.0
    parts = _find_parts(sizes)
    if parts is None:
        return _draw_signs(sizes, abs(math.fsum(differences_P)), seed)
    units = [round(size * parts) for size in sizes]
    seen = abs(sum(round(value * parts) for value in differences_P))
    shares = np.zeros(2 * sum(units) + 1)  # of the sums from -total to total
    shares[sum(units)] = 1.0
    for unit in units:
        shares = (np.roll(shares, unit) + np.roll(shares, -unit)) / 2  # nothing is at the ends to wrap yet
    sums = np.arange(len(shares)) - sum(units)
    return float(min(1.0, shares[np.abs(sums) >= seen].sum()))


def _find_parts(sizes: Sequence[float]) -> int | None:
    """Into how many parts 1 is divided so that all sizes are whole numbers of them; None for too many."""
    parts = 1
    for size in set(sizes):
        near = Fraction(size).limit_denominator(1_000)
        if abs(float(near) - size) > 1e-12:
            return None
        parts = math.lcm(parts, near.denominator)
        if parts > MOST_PARTS:
            return None
    return parts if sum(sizes) * parts <= MOST_STATES else None


def _draw_signs(sizes: Sequence[float], seen: float, seed: int) -> float:
    """As many equal sizes share one draw, the cost does not grow with the number of problems."""
    values_U, counts_U = np.unique(np.asarray(sizes), return_counts=True)
    rng = np.random.default_rng(seed)
    rows, reached = max(1, 2_000_000 // len(values_U)), 0
    for start in range(0, DRAWS, rows):
        drawn = rng.binomial(counts_U, 0.5, size=(min(rows, DRAWS - start), len(values_U)))
        reached += int((np.abs((2 * drawn - counts_U) @ values_U) >= seen - 1e-9).sum())
    return (reached + 1) / (DRAWS + 1)


def correct_by_holm(p_values: Sequence[float]) -> list[float]:
    """The p-values as they count when all of them are looked at (Holm 1979), in the same order.

    >>> correct_by_holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected, largest = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


@dataclass(frozen=True)
class Reach:
    """What a comparison could have shown.

    smallest: the smallest true difference, in (0, 1], that these problems show (p < 0.05) in four of five
    repeats; None where no difference is shown so often.  problems: how many would show the difference that
    was seen; None where none was seen.
    """

    smallest: float | None
    problems: int | None


def find_reach(differences_P: Sequence[float]) -> Reach:
    """By the spread of these differences between problems.

    Where each is -1, 0 or 1 it is the power of McNemar's exact test, with as many discordant problems as here
    (or as the difference itself needs). Else by the normal distribution: (1.96 + 0.84) standard errors, but
    never less than what six problems won and none lost need: no exact test shows anything with fewer.
    """
    count = len(differences_P)
    if not count:
        return Reach(None, None)
    values_P = np.asarray(differences_P, dtype=np.float64)
    mean, whole = float(values_P.mean()), set(values_P.tolist()) <= {-1.0, 0.0, 1.0}
    discordant, spread = float(np.mean(values_P != 0)), float(values_P.std())
    sigmas = NormalDist().inv_cdf(1 - LEVEL / 2) + NormalDist().inv_cdf(POWER)
    needed = max(math.ceil((sigmas * spread / mean) ** 2), math.ceil(6 / abs(mean))) if mean else None
    floor = _bisect(lambda share: _compute_power(count, share, share))
    if whole or floor is None:
        found = _bisect(lambda size: _compute_power(count, max(discordant, size), size))
        return Reach(found, needed)
    return Reach(min(1.0, max(floor, sigmas * spread / math.sqrt(count))), needed)


def _bisect(power: Callable[[float], float]) -> float | None:
    """The smallest share at which a growing power reaches POWER; None where it is not reached at 1."""
    if power(1.0) < POWER:
        return None
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def _compute_power(problems: int, discordant: float, difference: float) -> float:
    """The chance that McNemar's exact test gives p < LEVEL: `discordant` of the problems differ, and the
    share won is larger than the share lost by `difference`."""
    counts_N = np.arange(problems + 1)
    centre, width = problems * discordant, 8 * math.sqrt(problems * discordant * (1 - discordant)) + 12
    counts_N = counts_N[np.abs(counts_N - centre) <= width]
    weights_N = np.exp(_log_binomial(problems, counts_N, discordant))
    won = (discordant + difference) / (2 * discordant)
    return float(sum(
        weight * _compute_rejected(int(count), won)
        for count, weight in zip(counts_N, weights_N, strict=True) if weight > 1e-9
    ))  # fmt: skip


def _compute_rejected(count: int, won: float) -> float:
    """The chance that a sign test over `count` discordant problems rejects, each won with this chance."""
    most = _find_most_losses(count)
    if most < 0:
        return 0.0
    few = np.arange(most + 1)
    chances = [np.exp(_log_binomial(count, few, share)).sum() for share in (won, 1 - won)]
    return float(sum(chances))


@cache
def _find_most_losses(count: int) -> int:
    """The losses among `count` discordant problems that still reject; -1 where none do."""
    below = np.cumsum(np.exp(_log_binomial(count, np.arange(count + 1), 0.5)))
    return int(np.searchsorted(below, LEVEL / 2, side="right")) - 1


def _log_binomial(total: int, counts: np.ndarray, chance: float) -> np.ndarray:
    """The logarithms of the chances of `counts` among `total`."""
    logs = _log_factorials(1 << total.bit_length())
    ways = logs[total] - logs[counts] - logs[total - counts]
    with np.errstate(divide="ignore", invalid="ignore"):
        hit = np.where(counts == 0, 0.0, counts * np.log(chance))
        missed = np.where(counts == total, 0.0, (total - counts) * np.log1p(-chance))
    return ways + hit + missed


@cache
def _log_factorials(most: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])
