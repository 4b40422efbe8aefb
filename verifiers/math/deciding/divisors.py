"""Integers at which two functions of divisors differ: where the arguments of a gcd
share a factor that few integers show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import combinations, islice

from ..traversal import children, contains, symbols
from ..values import Call, Expr, Num
from .exact import Inexact, UndefinedValue, evaluate
from .points import whole_point
from .polynomials import polynomial

EVERY = 200  # integers from the least one up, of each variable
MAX_CHOSEN = 120  # others, of each variable
_TRIAL = 2_000  # factors below
_DIVISORS = frozenset(("gcd", "lcm"))


def agree_at_integers(a: Expr, b: Expr, whole: Mapping[str, int]) -> bool:
    """Whether two expressions in integers agree, by exact arithmetic, wherever both can be evaluated so."""
    if not (contains(a, _DIVISORS) or contains(b, _DIVISORS)) or (symbols(a) | symbols(b)) - whole.keys():
        return True
    for point in _points(a, b, whole):
        try:
            if evaluate(a, point.__getitem__) != evaluate(b, point.__getitem__):
                return False
        except (Inexact, UndefinedValue):
            continue
    return True


def _points(a: Expr, b: Expr, whole: Mapping[str, int]) -> Iterator[Mapping[str, Fraction]]:
    fixed = {name: whole_point(name, 0, least) for name, least in whole.items()}
    constants = list(islice(dict.fromkeys((*_integers(a), *_integers(b))), 12))
    near = [
        each
        for value in constants
        for part in (value, *_divisors(value))
        for each in (part, part - 1, part + 1, 2 * part)
    ]
    for name, least in list(whole.items())[:3]:
        others = {each: value for each, value in fixed.items() if each != name}
        chosen = [*range(least, least + EVERY), *near[:MAX_CHOSEN]]
        chosen += islice((value for expr in (a, b) for value in _common(expr, name, others)), MAX_CHOSEN)
        for value in dict.fromkeys(chosen):
            if value >= least:
                yield {**fixed, name: Fraction(value)}
    if len(whole) > 1:  # all of them at multiples of one number
        for value in dict.fromkeys(near[:MAX_CHOSEN]):
            if value > 0:
                yield {name: Fraction(value * index) for index, name in enumerate(whole, 1)}


def _integers(expr: Expr) -> Iterator[int]:
    if isinstance(expr, Num) and expr.value.denominator == 1 and 1 < abs(expr.value) < 1 << 200:
        yield abs(int(expr.value))
    for child in children(expr):
        yield from _integers(child)


def _divisors(value: int) -> list[int]:
    """Powers of primes that divide an integer, and what has no small factor."""
    divisors, rest = [], abs(value)
    for prime in range(2, _TRIAL):
        power = 1
        while rest > 1 and rest % prime == 0:
            rest //= prime
            power *= prime
            divisors.append(power)
        if prime * prime > rest:
            break
    return [*divisors, rest] if rest > 1 else divisors


def _common(expr: Expr, name: str, others: Mapping[str, Fraction]) -> Iterator[int]:
    """Where two linear arguments of a gcd share a factor: a divisor of what is
    left when the variable is eliminated."""
    if isinstance(expr, Call) and expr.name in _DIVISORS:
        lines = [line for arg in expr.args[:4] if (line := _line(arg, name, others)) is not None]
        for (slope, start), (its, other) in combinations(lines, 2):
            left = abs(slope * other - its * start)
            for divisor in (*_divisors(left), left) if left else ():
                for factor, offset in ((slope, start), (its, other)):
                    if divisor > 1 and math.gcd(factor, divisor) == 1:
                        at = -offset * pow(factor, -1, divisor) % divisor
                        yield from (at, at + divisor)
                        break
    for child in children(expr):
        yield from _common(child, name, others)


def _line(expr: Expr, name: str, others: Mapping[str, Fraction]) -> tuple[int, int] | None:
    """Slope and start of an expression that is linear with whole coefficients."""
    coefficients = polynomial(expr, name, others)
    if coefficients is None or coefficients.degree() > 1 or coefficients.denom() != 1:
        return None
    return int(coefficients[1].p), int(coefficients[0].p)


__all__ = ["agree_at_integers"]
