"""A proportion and its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


def wilson(passed: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927); [0, 1] when `total` is 0. For one sample per problem.

    At 0 of n the upper end is z² / (n + z²) > 0; at n of n the lower end is n / (n + z²) < 1.
    """
    if not 0 <= passed <= total:
        raise ValueError(f"{passed} passed of {total} is not a proportion; give 0 <= passed <= total.")
    if total == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = passed / total
    centre = rate + z * z / (2 * total)
    half = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    low = 0.0 if passed == 0 else (centre - half) / scale
    high = 1.0 if passed == total else (centre + half) / scale
    return low, high


@dataclass(frozen=True, slots=True)
class Proportion:
    """count of total, 0 <= count <= total."""

    count: int
    total: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval, in [0, 1]."""
        return wilson(self.count, self.total)

    def __str__(self) -> str:
        if not self.total:
            return "-"
        low, high = self.interval
        return f"{100 * self.count / self.total:.3g} % [{100 * low:.2g}, {100 * high:.2g}]"
