"""Answers for every value of a parameter: `\\frac{\\pi}{4} + k\\pi, k \\in \\mathbb{Z}`. Its letter doesn't count."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

from .exact import constant
from .numeric import approximate
from .units import DEGREE, radians
from .values import (
    EXPRESSIONS,
    Congruence,
    Expr,
    Family,
    Interval,
    Matrix,
    Named,
    Num,
    Power,
    Product,
    Quantity,
    RealSet,
    Sequence,
    Sum,
    Sym,
    System,
    Value,
    Words,
    children,
    negative,
    rebuild,
    symbols,
)

INTEGER = Sym("integer 1")
_SETS = {"Z": "integer", "R": "real", "N": "natural", "Q": "rational", "C": "complex"}
_KINDS = {f"set of {kind}s": kind for kind in _SETS.values()} | {"set of complexes": "complex"}


def split(items: list[Value]) -> tuple[list[Value], bool]:
    """The items without the memberships of their parameters, which get names of their own; whether there were any."""
    declared = {item.name: kind for item in items if isinstance(item, Named) and (kind := _kind_of(item.value))}
    rest = [item for item in items if not (isinstance(item, Named) and item.name in declared)]
    arguments = {name for item in rest if isinstance(item, Named) for name in item.parameters}
    if declared and declared.keys() <= arguments:  # f(x) = 2x, x in R
        return rest, False
    used = [name for name in declared if any(name in names_in(item) for item in rest)]
    if not used or len(used) < len(declared):
        return items, False
    mapping = {name: Sym(f"{declared[name]} {1 + index}") for index, name in enumerate(used)}
    return [replaced(item, mapping) for item in rest], True


def _kind_of(value: Value) -> str | None:
    match value:
        case Words(text):
            return _KINDS.get(text)
        case Sym(name):
            return _SETS.get(name)
        case RealSet((Interval(low, high, False, False),)) if low == negative(high):
            return "real"
    return None


def adapted(family: Family, other: Value) -> Value:
    """Another value with its parameter named as the family's, where it has one letter that may be it."""
    parameters = sorted(name for name in names_in(family.value) if " " in name)
    own = names_in(family.value)
    letters = [name for name in names_in(other) if name not in own]
    return replaced(other, {letters[0]: Sym(parameters[0])}) if len(parameters) == len(letters) == 1 else other


def names_in(value: Value) -> frozenset[str]:
    """Every variable in a value's expressions; not the names that are given values."""
    if isinstance(value, EXPRESSIONS):
        return symbols(value)
    match value:
        case Named(_, inner, parameters):
            return names_in(inner) - frozenset(parameters)
        case Quantity(inner) | Family(inner):
            return names_in(inner)
    return frozenset().union(*map(names_in, _parts(value)))


def replaced(value: Value, mapping: Mapping[str, Expr]) -> Value:
    """A value with other expressions in the place of variables."""
    if isinstance(value, Sym):
        return mapping.get(value.name, value)
    if isinstance(value, EXPRESSIONS):
        parts = children(value)
        return rebuild(value, tuple(replaced(part, mapping) for part in parts)) if parts else value  # pyrefly: ignore
    again = lambda each: replaced(each, mapping)  # noqa: E731
    match value:
        case Named(name, inner, parameters):
            return Named(name, again(inner), parameters)
        case Quantity(inner, unit, letters):
            return Quantity(again(inner), unit, letters and again(letters), value.optional)  # pyrefly: ignore
        case Sequence(kind, items):
            return Sequence(kind, tuple(map(again, items)))
        case RealSet(parts):
            return RealSet(tuple(map(again, parts)))  # pyrefly: ignore
        case Interval(low, high, low_closed, high_closed):
            return Interval(again(low), again(high), low_closed, high_closed)  # pyrefly: ignore
        case Matrix(rows):
            return Matrix(tuple(tuple(map(again, row)) for row in rows))
        case System(entries):
            return System(tuple((name, again(inner)) for name, inner in entries))
    return value


def _parts(value: Value) -> tuple[Value, ...]:
    match value:
        case Sequence(_, items):
            return items
        case RealSet(parts):
            return parts
        case Interval(low, high):
            return (low, high)
        case Matrix(rows):
            return sum(rows, ())
        case System(entries):
            return tuple(inner for _, inner in entries)
    return ()


MAX_RESIDUES = 48  # of all progressions together, within their common period


@dataclass(frozen=True, slots=True)
class Progression:
    """start + step * n for every integer n."""

    start: Expr
    step: Expr


@dataclass(frozen=True, slots=True)
class Runs:
    """What a family of numbers runs through: single points and progressions."""

    points: tuple[Expr, ...]
    progressions: tuple[Progression, ...]


Equal = Callable[[Expr, Expr], bool]


def runs_of(value: Value, equal: Equal) -> Runs | None:
    """The numbers that a value with the parameter `integer 1` stands for; None for tuples, systems, curves, letters."""
    match value:
        case Named(_, inner):
            return runs_of(inner, equal)
        case Quantity(inner) if value.unit.dims == DEGREE.dims:
            return runs_of(radians(value), equal) if isinstance(inner, EXPRESSIONS) else None
        case Congruence(residue, modulus):
            return Runs((), (Progression(residue, modulus),))
        case Sequence("answers" | "set", items):
            parts = [runs_of(item, equal) for item in items]
            kept = [part for part in parts if part is not None]
            if len(kept) < len(parts):
                return None
            return Runs(sum((part.points for part in kept), ()), sum((part.progressions for part in kept), ()))
    if not isinstance(value, EXPRESSIONS) or not symbols(value) <= {INTEGER.name}:
        return None
    if not symbols(value):
        return Runs((value,), ())
    line = _line(value)
    return Runs((), (line,)) if equal(value, Sum((line.start, Product((line.step, INTEGER))))) else None


def same_runs(a: Runs, b: Runs, equal: Equal) -> bool:
    """Whether two families hold the same numbers, however they are parted: `k pi / 2` is `k pi` and `pi / 2 + k pi`."""
    if not a.progressions or not b.progressions or not _same_points(a.points, b.points, equal):
        return False
    every = (*a.progressions, *b.progressions)
    unit = every[0].step
    if len(every) > MAX_RESIDUES:
        return False
    strides = [_multiple(each.step, unit, equal) for each in every]
    if any(stride is None or stride == 0 for stride in strides):
        return False
    period = _common([abs(stride) for stride in strides if stride])
    counts = [int(period / abs(stride)) for stride in strides if stride]
    if sum(counts) > MAX_RESIDUES:
        return False
    residues = [
        [Sum((each.start, Product((Num(Fraction(j)), each.step)))) for j in range(count)]
        for each, count in zip(every, counts, strict=True)
    ]
    mine = list(chain.from_iterable(residues[: len(a.progressions)]))
    its = list(chain.from_iterable(residues[len(a.progressions) :]))
    whole = Product((Num(period), unit))
    meets = [[_multiple_whole(Sum((x, negative(y))), whole, equal) for y in its] for x in mine]
    return all(map(any, meets)) and all(map(any, zip(*meets, strict=True)))


def _same_points(a: tuple[Expr, ...], b: tuple[Expr, ...], equal: Equal) -> bool:
    return all(any(equal(x, y) for y in b) for x in a) and all(any(equal(x, y) for x in a) for y in b)


def _line(expr: Expr) -> Progression:
    at = [replaced(expr, {INTEGER.name: Num(Fraction(value))}) for value in (0, 1)]
    return Progression(at[0], Sum((at[1], negative(at[0]))))  # pyrefly: ignore


def _multiple(expr: Expr, unit: Expr, equal: Equal) -> Fraction | None:
    """expr / unit where that is a rational number of a small denominator, checked by `equal`."""
    value = _ratio(expr, unit)
    if value is None:
        return None
    near = value.limit_denominator(MAX_RESIDUES)
    return near if equal(expr, Product((Num(near), unit))) else None


def _multiple_whole(expr: Expr, unit: Expr, equal: Equal) -> bool:
    value = _ratio(expr, unit)
    return value is not None and abs(value - round(value)) < _NEAR and equal(expr, Product((Num(Fraction(round(value))), unit)))


_NEAR = Fraction(1, 1000)  # only what is this near to a whole number is asked about


def _ratio(expr: Expr, unit: Expr) -> Fraction | None:
    ratio = Product((expr, Power(unit, Num(Fraction(-1)))))
    value = constant(ratio)
    return approximate(ratio) if value is None else value


def _common(strides: list[Fraction]) -> Fraction:
    """The least common multiple of positive rational numbers."""
    below = math.lcm(*(stride.denominator for stride in strides))
    return Fraction(math.lcm(*(int(stride * below) for stride in strides)), below)
