"""An order in which several things come as evenly as their weights let them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PERIOD = 1_000  # most places after which the order begins again


@dataclass(frozen=True)
class Slot:
    """A place in the order: the number of what comes there, and how often it came before."""

    number: int
    rank: int


def count_slots(weights: Sequence[float]) -> list[int]:
    """How often each comes in a period of the order: the weights in the smallest whole numbers, or rounded to
    a period of `PERIOD` by largest remainders, each at least 1.

    >>> count_slots([2, 1]), count_slots([0.5, 0.25]), count_slots([1e-9, 1])
    ([2, 1], [2, 1], [1, 999])
    """
    least = min(weights)
    for factor in range(1, PERIOD + 1):
        scaled = [weight / least * factor for weight in weights]
        if sum(scaled) > PERIOD:
            break
        if all(abs(value - round(value)) <= 1e-9 * value for value in scaled):
            return [round(value) for value in scaled]
    total = sum(weights)
    exact = [weight / total * PERIOD for weight in weights]
    counts = [max(1, int(value)) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda k: counts[k] - exact[k])
    for k in by_remainder[: max(0, PERIOD - sum(counts))]:
        counts[k] += 1
    while sum(counts) > PERIOD and max(counts) > 1:
        counts[counts.index(max(counts))] -= 1
    return counts


def order_slots(counts: Sequence[int]) -> list[Slot]:
    """The order: what lags most behind its share is the next."""
    total, given, order = sum(counts), [0] * len(counts), []
    for position in range(1, total + 1):
        behind = [count * position / total - have for count, have in zip(counts, given, strict=True)]
        k = behind.index(max(behind))
        order.append(Slot(k, given[k]))
        given[k] += 1
    return order
