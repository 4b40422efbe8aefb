"""Where two expressions in variables are tried: random points,
and the corners and steps of piecewise functions."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, pairwise

from ..traversal import children, negative, symbols
from ..values import Call, Expr, Num, Power, Product, Sum
from .balls import Point
from .exact import Inexact, UndefinedValue, constant, evaluate
from .polynomials import polynomial, zeros

POINTS = 14
MAX_CORNERS = 40  # of one variable
WHOLE_POINTS = 68  # all of them must agree: gcd(n, 12) and gcd(n, 24) are one at most integers
_FAR = tuple(sign * Fraction(10) ** power for sign in (-1, 1) for power in (-40, -15, -6, 6, 15, 40))
_FAR_BRANCHES = tuple(sign * Fraction(1379, 10) * 10**power for power in (0, 2, 6, 38) for sign in (-1, 1))
_STEPS = frozenset(("floor", "ceil"))
_BRANCHES = frozenset(str.split("asin acos atan acot asec acsc acosh asech ln log lg log_base"))
_GROWING = frozenset(str.split("exp sinh cosh tanh coth sech csch factorial factorial2 binomial cis"))
_WHOLE = frozenset(("gcd", "lcm", "factorial2"))  # functions of integers alone
_USUAL = tuple(Fraction(value, 2) for value in (-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 14, 20))
_RANGES = ((0.05, 0.95), (1.05, 3.0), (3.0, 20.0), (0.05, 0.95), (1.05, 3.0), (3.0, 20.0))


@lru_cache(maxsize=4096)
def real_point(name: str, index: int) -> Fraction:
    """A random point, by its index: small and large; each variable takes both signs in the first six."""
    rng = random.Random(f"palaestra/real/{index}/{name}")
    low, high = _RANGES[index % len(_RANGES)]
    value = Fraction(rng.getrandbits(62), 1 << 62) * Fraction(high - low) + Fraction(low)
    if index == POINTS - 1:
        value *= 100
    return value if _sign(name, index) > 0 else -value


def _sign(name: str, index: int) -> int:
    if index < 2:
        return 1
    if index == 2:
        return -1
    # 4 and 5, 6 and 7: opposite signs
    flips = random.Random(f"palaestra/sign/{index // 2}/{name}").random() < 0.5
    return -1 if flips == (index % 2 == 0) else 1


@lru_cache(maxsize=4096)
def whole_point(name: str, index: int, least: int) -> Fraction:
    """An integer: each name runs through 60 integers from the least one up in its
    own order, then through some of 60 bits."""
    order = random.Random(f"palaestra/whole/{name}").sample(range(least, least + 60), 60)
    return Fraction(
        order[index] if index < 60 else random.Random(f"palaestra/whole/{index}/{name}").getrandbits(60) + 1
    )


def whole_names(expr: Expr) -> dict[str, int]:
    """Variables that stand for integers, with the least one to try: in
    `gcd(m, n)`, or over a negative number: `(-1)^n`."""
    lowest: dict[str, int] = {}
    match expr:
        case Call(name, _) if name in _WHOLE:
            return dict.fromkeys(symbols(expr), 1)
        case Power(base, exponent) if symbols(exponent) and not symbols(base) and (constant(base) or 0) < 0:
            lowest = dict.fromkeys(symbols(exponent), -11)
    for child in children(expr):
        for name, least in whole_names(child).items():
            lowest[name] = max(least, lowest.get(name, least))
    return lowest


def points(whole: Mapping[str, int]) -> Iterator[Point]:
    """Points to try in turn; where integers occur, there are many."""
    for index in range(WHOLE_POINTS if whole else POINTS):
        yield lambda name, index=index: _coordinate(name, index, whole)


def _coordinate(name: str, index: int, whole: Mapping[str, int]) -> Fraction:
    return whole_point(name, index, whole[name]) if name in whole else real_point(name, index)


def corner_points(a: Expr, b: Expr, whole: Mapping[str, int]) -> Iterator[Mapping[str, Fraction]]:
    """Where a step, a corner or another branch may lie, between such points and far beyond."""
    arguments = list(dict.fromkeys((*_arguments(a), *_arguments(b))))
    branches = list(dict.fromkeys((*_radicands(a), *_radicands(b))))
    if not arguments and not branches:
        return
    names = symbols(a) | symbols(b)
    far = _FAR if arguments else _FAR_BRANCHES[:2] if _grows(a) or _grows(b) else _FAR_BRANCHES
    if not arguments and len(names) > 1:  # as many points again for each variable would be slow
        far = far[:2] + far[-2:]
    for name, point in zip(sorted(names - whole.keys())[:3], points(whole), strict=False):
        others = {other: point(other) for other in names if other != name}
        usual = () if not arguments else _USUAL if len(names) == 1 else (Fraction(0),)
        corners: set[Fraction] = set(usual)
        for argument, levels in (*arguments[:20], *((branch, (0,)) for branch in branches[:8])):
            if name in symbols(argument):
                corners.update(_crossings(argument, name, others, levels))
        ordered = sorted(corners)[:MAX_CORNERS]
        between = [(low + high) / 2 for low, high in pairwise(ordered)]
        beyond = (ordered[0] - 1, ordered[-1] + 1) if ordered else ()
        for value in (*ordered, *between, *beyond, *far):
            yield {**others, name: value}
    if arguments and len(names) > 1:  # all of them at whole and half numbers
        for index in range(8):
            half = random.Random(f"palaestra/half/{index}")
            yield {
                name: whole_point(name, index, whole[name]) if name in whole else half.choice(_USUAL)
                for name in sorted(names)
            }


def _arguments(expr: Expr) -> Iterator[tuple[Expr, tuple[int, ...]]]:
    """What crosses a level where a step or corner is: the arguments of floors
    at integers, of signs and bars at 0."""
    match expr:
        case Call(name, args) if name in _STEPS:
            for arg in args:
                yield arg, (0, 1, -1, 2, 5)
        case Call("max" | "min", args):
            for first, second in combinations(args[:5], 2):
                yield Sum((first, negative(second))), (0,)
        case Call("abs" | "sgn", args):
            for arg in args:
                yield arg, (0,)
        case Call("root", (Power(base, Num(power)), _)) if power.denominator == 1 and power % 2 == 0:
            yield base, (0,)
        case Power(Power(base, Num(power)), _) if power.denominator == 1 and power % 2 == 0:
            yield base, (0,)
    for child in children(expr):
        yield from _arguments(child)


def _radicands(expr: Expr) -> Iterator[Expr]:
    """What changes its sign, or has a pole, where an even root, a logarithm or an
    inverse function may take another branch."""
    match expr:
        case Call("root", (radicand, order)) if (
            known := constant(order)
        ) is None or known.numerator % 2 == 0:
            yield from _factors(radicand)
        case Power(base, exponent) if (known := constant(exponent)) is None or known.denominator % 2 == 0:
            yield from _factors(base)
        case Call(name, args) if name in _BRANCHES:
            for arg in args:
                yield from _factors(arg)
                yield from _poles(arg)
    for child in children(expr):
        yield from _radicands(child)


def _factors(expr: Expr) -> Iterator[Expr]:
    match expr:
        case Product(factors):
            for factor in factors:
                yield from _factors(factor)
        case Power(base, Num()):
            yield from _factors(base)
        case _ if symbols(expr):
            yield expr


def _poles(expr: Expr) -> Iterator[Expr]:
    match expr:
        case Power(base, Num(power)) if power < 0:
            yield from _factors(base)
    for child in children(expr):
        yield from _poles(child)


def _grows(expr: Expr) -> bool:
    """Whether far values of it would be out of reach."""
    if isinstance(expr, Power) and symbols(expr.exponent):
        return True
    return (isinstance(expr, Call) and expr.name in _GROWING) or any(map(_grows, children(expr)))


def _crossings(
    expr: Expr, name: str, others: Mapping[str, Fraction], levels: tuple[int, ...]
) -> list[Fraction]:
    """Where a polynomial in one variable, or what is as good as linear in it, takes the levels."""
    coefficients = polynomial(expr, name, others)
    if coefficients is not None:
        return [zero for level in levels for zero in zeros(coefficients - level)]
    try:
        at = [
            evaluate(expr, lambda each, value=value: others.get(each, Fraction(value))) for value in range(3)
        ]
    except (Inexact, UndefinedValue):
        return []
    slope = at[1] - at[0]
    if not slope or at[2] - at[1] != slope:
        return []
    return [(level - at[0]) / slope for level in levels]
