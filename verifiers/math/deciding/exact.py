"""Stage 6a: exact rational arithmetic, on constants and on polynomials at integer points. Bounded by bits.

Two rational functions that agree at random 60-bit integer points are equal but for a chance of degree / 2^60
per point (Schwartz 1980, Zippel 1979); nothing is rounded, so constants are decided for certain.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from ..values import Call, Const, Expr, Num, Power, Product, Sum, Sym

MAX_BITS = 20_000
MAX_FACTORIAL = 500


class Inexact(Exception):
    """The value is not rational, or too long for exact arithmetic."""


class UndefinedValue(Exception):
    """Division by zero and the like: there is no value."""


@lru_cache(maxsize=4096)
def integer_point(name: str, index: int) -> Fraction:
    return Fraction(random.Random(f"palaestra/{index}/{name}").getrandbits(60) | 1)


def constant(expr: Expr) -> Fraction | None:
    """The exact value of a rational constant; None when it is none (or has no value)."""
    if isinstance(expr, Num):
        return expr.value
    try:
        return evaluate(expr, _no_symbol)
    except (Inexact, UndefinedValue):
        return None


def _no_symbol(_: str) -> Fraction:
    raise Inexact


def evaluate(expr: Expr, point: Callable[[str], Fraction]) -> Fraction:
    """Raises Inexact or UndefinedValue."""
    match expr:
        case Num(value):
            return value
        case Sym(name):
            return point(name)
        case Sum(terms):
            total = Fraction(0)
            for term in terms:
                total = _bound(total + evaluate(term, point))
            return total
        case Product(factors):
            total = Fraction(1)
            for factor in factors:
                total = _bound(total * evaluate(factor, point))
            return total
        case Power(base, exponent):
            return _power(evaluate(base, point), evaluate(exponent, point))
        case Call(name, args):
            return _call(name, [evaluate(arg, point) for arg in args])
        case Const():
            raise Inexact
    raise Inexact


def _bound(value: Fraction) -> Fraction:
    if value.numerator.bit_length() + value.denominator.bit_length() > MAX_BITS:
        raise Inexact
    return value


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        return root(_power(base, Fraction(exponent.numerator)), exponent.denominator)
    if base == 0 and exponent <= 0:
        raise UndefinedValue
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if bits > 1 and bits * abs(exponent.numerator) > MAX_BITS:
        raise Inexact
    if bits <= 1:  # 1, -1 or 0, to any power
        return base if exponent.numerator % 2 else abs(base)
    return base ** int(exponent)


def root(value: Fraction, order: int) -> Fraction:
    """The rational root of a perfect power; negative radicands only under odd roots."""
    if (value < 0 and order % 2 == 0) or not 1 <= order <= 64:
        raise Inexact
    above, below = _integer_root(abs(value.numerator), order), _integer_root(value.denominator, order)
    if above is None or below is None:
        raise Inexact
    return Fraction(above if value >= 0 else -above, below)


def _integer_root(value: int, order: int) -> int | None:
    if value < 2 or order == 1:
        return value
    if order == 2:
        guess = math.isqrt(value)
        return guess if guess * guess == value else None
    guess = 1 << -(-value.bit_length() // order)  # Newton's iteration from above
    while True:
        better = ((order - 1) * guess + value // guess ** (order - 1)) // order
        if better >= guess:
            return guess if guess**order == value else None
        guess = better


_OF_TWO = frozenset(("root", "binomial"))
_OF_ANY = frozenset(("gcd", "lcm", "max", "min"))


def _call(name: str, args: list[Fraction]) -> Fraction:
    if len(args) != 2 if name in _OF_TWO else not args if name in _OF_ANY else len(args) != 1:
        raise Inexact
    first = args[0]
    whole = all(arg.denominator == 1 for arg in args)
    match name:
        case "abs":
            return abs(first)
        case "floor":
            return Fraction(math.floor(first))
        case "ceil":
            return Fraction(math.ceil(first))
        case "root" if args[1].denominator == 1 and args[1] > 0:
            return root(first, int(args[1]))
        case "factorial" if whole and 0 <= first <= MAX_FACTORIAL:
            return Fraction(math.factorial(int(first)))
        case "factorial2" if whole and 0 <= first <= MAX_FACTORIAL:
            return Fraction(math.prod(range(int(first), 0, -2)))
        case "binomial" if whole and 0 <= first <= 4 * MAX_FACTORIAL and 0 <= args[1] <= first:
            return _bound(Fraction(math.comb(int(first), int(args[1]))))
        case "gcd" if whole:
            return Fraction(math.gcd(*map(int, args)))
        case "lcm" if whole:
            return _bound(Fraction(math.lcm(*map(int, args))))
        case "max":
            return max(args)
        case "min":
            return min(args)
        case "sgn":
            return Fraction((first > 0) - (first < 0))
    raise Inexact
