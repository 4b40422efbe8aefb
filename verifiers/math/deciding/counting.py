"""Factorials and binomials of letters, which stand for integers."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import lru_cache

from ..traversal import children, contains, symbols
from ..values import EXPRESSIONS, Call, Expr, Named, Num, Sequence
from .exact import Inexact, UndefinedValue, evaluate

_COUNTS = frozenset(("factorial", "binomial"))
# these may differ at other integers alone
_BEYOND = frozenset(str.split("floor ceil abs sgn max min gcd lcm factorial2"))
MANY_POINTS = 16
FEWEST = 6  # points at which both sides have an exact value
_SIZES = (12, 40, 150, 400)  # the integers to try are below these in turn


def choose_count(value: Named, beside: Expr) -> Expr | None:
    """The number of choices that `C(5, 3)` is beside a number, and `C(2n, n)`
    beside a factorial or binomial; else None."""
    match value:
        case Named("C", Sequence("tuple", (Num(n), Num(k)))) if (
            n.denominator == k.denominator == 1 and 0 <= k <= n
        ):
            return Call("binomial", (Num(n), Num(k)))
        case Named("C", Sequence("tuple", (n, k))) if isinstance(n, EXPRESSIONS) and isinstance(
            k, EXPRESSIONS
        ):
            return Call("binomial", (n, k)) if contains(beside, _COUNTS) else None
    return None


def agree_at_integers(a: Expr, b: Expr) -> bool | None:
    """Whether expressions with factorials or binomials of letters are equal at random integers, exactly; None
    where too few of these give both a value, and where steps may hide a difference."""
    if not (contains(a, _COUNTS) or contains(b, _COUNTS)) or contains(a, _BEYOND) or contains(b, _BEYOND):
        return None
    if not (symbols(a) | symbols(b)) <= _counted_names(a) | _counted_names(b):
        return None
    agreed = 0
    for index in range(MANY_POINTS):
        point = lambda name, index=index: _integer(name, index)  # noqa: E731
        try:
            if evaluate(a, point) != evaluate(b, point):
                return False
        except (Inexact, UndefinedValue):
            continue
        agreed += 1
    return True if agreed >= FEWEST else None


def _counted_names(expr: Expr) -> frozenset[str]:
    """Letters within factorials and binomials."""
    if isinstance(expr, Call) and expr.name in _COUNTS:
        return symbols(expr)
    return frozenset().union(*map(_counted_names, children(expr)))


@lru_cache(maxsize=4096)
def _integer(name: str, index: int) -> Fraction:
    return Fraction(
        random.Random(f"palaestra/counting/{index}/{name}").randrange(_SIZES[index % len(_SIZES)])
    )


__all__ = ["agree_at_integers", "choose_count"]
