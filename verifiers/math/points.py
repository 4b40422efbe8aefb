"""Where two expressions in variables are tried: random points, and the corners and steps of piecewise functions."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, pairwise

from .exact import Inexact, UndefinedValue, evaluate
from .values import Call, Expr, Num, Power, Sum, children, contains, negative, symbols

POINTS = 14
MAX_CORNERS = 40  # of one variable
WHOLE_POINTS = 68  # all of them must agree: gcd(n, 12) and gcd(n, 24) are one at most integers
_FAR = tuple(sign * Fraction(10) ** power for sign in (-1, 1) for power in (-40, -15, -6, 6, 15, 40))
_STEPS = frozenset(("floor", "ceil"))
_CORNERS = frozenset(("abs", "sgn", "max", "min"))
PIECEWISE = _STEPS | _CORNERS
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
    flips = random.Random(f"palaestra/sign/{index // 2}/{name}").random() < 0.5  # 4 and 5, 6 and 7: opposite signs
    return -1 if flips == (index % 2 == 0) else 1


@lru_cache(maxsize=4096)
def whole_point(name: str, index: int) -> Fraction:
    """An integer of at most 60 for most indices, of 60 bits for the last: each name runs through 1 to 60 in its own order."""
    rng = random.Random(f"palaestra/whole/{name}")
    order = rng.sample(range(1, 61), 60)
    return Fraction(order[index] if index < 60 else random.Random(f"palaestra/whole/{index}/{name}").getrandbits(60) + 1)


def of_integers(expr: Expr) -> bool:
    return contains(expr, _WHOLE)


def corner_points(a: Expr, b: Expr, names: frozenset[str]) -> Iterator[Mapping[str, Fraction]]:
    """Points where a step or a corner may lie, between them and far beyond; none for expressions without any."""
    arguments = list(dict.fromkeys((*_arguments(a), *_arguments(b))))
    if not arguments:
        return
    for index, name in enumerate(sorted(names)[:3]):
        others = {other: real_point(other, index) for other in names if other != name}
        corners: set[Fraction] = set(_USUAL) if len(names) == 1 else {Fraction(0)}
        for argument, levels in arguments[:20]:
            if name in symbols(argument):
                corners.update(_crossings(argument, others, levels))
        ordered = sorted(corners)[:MAX_CORNERS]
        between = [(low + high) / 2 for low, high in pairwise(ordered)]
        for value in (*ordered, *between, ordered[0] - 1, ordered[-1] + 1, *_FAR):
            yield {**others, name: value}
    if len(names) > 1:  # all of them at whole and half numbers
        for index in range(8):
            yield {name: random.Random(f"palaestra/half/{index}/{name}").choice(_USUAL) for name in names}


def _arguments(expr: Expr) -> Iterator[tuple[Expr, tuple[int, ...]]]:
    """What crosses a level where a step or corner is: the arguments of floors at integers, of signs and bars at 0."""
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


def _crossings(expr: Expr, others: Mapping[str, Fraction], levels: tuple[int, ...]) -> list[Fraction]:
    """Where an expression that is linear in the one variable that is not among the others takes the levels."""
    try:
        at = [evaluate(expr, lambda each, value=value: others.get(each, Fraction(value))) for value in range(3)]
    except (Inexact, UndefinedValue):
        return []
    slope = at[1] - at[0]
    if not slope or at[2] - at[1] != slope:
        return []
    return [(level - at[0]) / slope for level in levels]
