"""McNemar's exact test by its formula, for what counts signs."""

import math
from fractions import Fraction


def mcnemar(wins: int, losses: int) -> float:
    """The exact two-sided p-value of so many problems won and lost; 1.0 where none is (McNemar 1947)."""
    total, fewer = wins + losses, min(wins, losses)
    if wins == losses:
        return 1.0
    tail = sum(math.comb(total, count) for count in range(fewer + 1))
    return float(min(Fraction(1), Fraction(2 * tail, 2**total)))
