"""Answers for every value of a parameter: `\\frac{\\pi}{4} + k\\pi, k \\in \\mathbb{Z}`.
Its letter doesn't count."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, permutations

from ..traversal import children, names_in, negative, rebuild, substitute, symbols
from ..units import DEGREE, radians
from ..values import (
    EXPRESSIONS,
    MINUS_ONE,
    Congruence,
    Expr,
    Family,
    Named,
    Num,
    Power,
    Product,
    Quantity,
    Sequence,
    Sum,
    Sym,
    System,
    Value,
    Zero,
    are_expressions,
)
from .exact import constant
from .numeric import approximate

INTEGER = Sym("integer 1")
REAL = Sym("real 1")
_ZERO, _ONE = Num(Fraction(0)), Num(Fraction(1))


def adapt(family: Family, other: Value) -> Value:
    """Another value with its parameters named as the family's, where it has as
    many letters that may be them, at most three.

    A bound has to be said: no letter is taken for a parameter that has one.
    """
    parameters = sorted(name for name in names_in(family.value) if " " in name)
    if any(name.startswith("whole ") or " in " in name for name in parameters):
        return other
    own = names_in(family.value)
    letters = sorted(name for name in names_in(other) if name not in own)
    if not 0 < len(parameters) == len(letters) <= 3:
        return other
    return substitute(other, dict(zip(letters, map(Sym, parameters), strict=True)))


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
    """The numbers that a value with the parameter `integer 1` stands for; None
    for tuples, systems, curves, letters."""
    match value:
        case Named(_, inner):
            return runs_of(inner, equal)
        case Quantity(inner) if value.unit.dims == DEGREE.dims:
            return runs_of(radians(value), equal) if isinstance(inner, EXPRESSIONS) else None
        case Congruence(residue, modulus):
            return Runs((), (Progression(residue, modulus),))
        case Sequence("answers" | "set", items) if not any(isinstance(item, Congruence) for item in items):
            parts = [runs_of(item, equal) for item in items]
            kept = [part for part in parts if part is not None]
            if len(kept) < len(parts):
                return None
            return Runs(
                sum((part.points for part in kept), ()), sum((part.progressions for part in kept), ())
            )
    if not isinstance(value, EXPRESSIONS) or not symbols(value) <= {INTEGER.name}:
        return None
    if not symbols(value):
        return Runs((value,), ())
    lines = (
        [_line(value, equal)]
        if not _alternates(value)
        else [_line(_sample(value, start), equal) for start in (0, 1)]
    )
    kept = tuple(line for line in lines if line is not None)
    return Runs((), kept) if len(kept) == len(lines) else None


def _alternates(expr: Expr) -> bool:
    """Whether a power of -1 has the parameter in its exponent: `(-1)^k`, one
    value for even k and another for odd ones."""
    match expr:
        case Power(Num(base), exponent) if base == -1:
            return bool(symbols(exponent))
    return any(map(_alternates, children(expr)))


def _sample(expr: Expr, start: int) -> Expr:
    """The expression at every second integer from a start on, where the powers of -1 are constant."""
    twice = Sum((Product((Num(Fraction(2)), INTEGER)), Num(Fraction(start))))
    return substitute(_settle_signs(expr, start), {INTEGER.name: twice})


def _settle_signs(expr: Expr, start: int) -> Expr:
    match expr:
        case Power(Num(base), exponent) if base == -1:
            at = [
                constant(substitute(exponent, {INTEGER.name: Num(Fraction(start + 2 * n))})) for n in range(3)
            ]
            whole = [value.numerator for value in at if value is not None and value.denominator == 1]
            if len(whole) == 3 and _linear_in_parameter(exponent) and (whole[1] - whole[0]) % 2 == 0:
                return Num(Fraction((-1) ** (whole[0] % 2)))
    parts = children(expr)
    return rebuild(expr, tuple(_settle_signs(part, start) for part in parts)) if parts else expr


def _linear_in_parameter(expr: Expr) -> bool:
    match expr:
        case Sum(terms):
            return all(map(_linear_in_parameter, terms))
        case Product(factors):
            return sum(bool(symbols(factor)) for factor in factors) < 2 and all(
                map(_linear_in_parameter, factors)
            )
    return expr == INTEGER or not symbols(expr)


def find_left_out(value: Value) -> Named | None:
    """The numbers that a family of inequalities `x != k pi` leaves out, with the name of the variable."""
    match value:
        case Zero(Sum((Sym(name), Product((Num(minus), numbers)))), "!=") if minus == -1:
            return Named(name, numbers)
    return None


def renamings(value: Value) -> Iterator[Value]:
    """The value with its parameters of one kind in every other order; at most three."""
    names = sorted(name for name in names_in(value) if " " in name)
    if not 1 < len(names) <= 3 or len({name.rpartition(" ")[0] for name in names}) > 1:
        return
    for order in list(permutations(names))[1:]:
        yield substitute(value, dict(zip(names, map(Sym, order), strict=True)))


def same_family(a: Value, b: Value, equal: Equal) -> bool:
    """Whether two families hold the same numbers, or the same tuples along a line of the parameter."""
    if len({each.name for each in (a, b) if isinstance(each, Named | Congruence)} - {None}) > 1:
        return False
    mine = runs_of(a, equal)
    if mine is None:
        return are_reparametrised(a, b, equal)
    its = runs_of(b, equal)
    return its is not None and same_runs(mine, its, equal)


def same_runs(a: Runs, b: Runs, equal: Equal) -> bool:
    """Whether two families hold the same numbers, however they are parted:
    `k pi / 2` is `k pi` and `pi / 2 + k pi`."""
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


def same_residues(a: Congruence, b: Congruence, equal: Equal) -> bool:
    """Whether two residue classes are one: of one number modulus, or of equal
    numbers where it has letters (`mod p`)."""
    first, second = constant(a.value), constant(b.value)
    modulus, other = constant(a.modulus), constant(b.modulus)
    if a.name and b.name and a.name != b.name:
        return False
    if modulus is None or other is None:
        return equal(a.modulus, b.modulus) and equal(a.value, b.value)
    if first is None or second is None or modulus != other or modulus == 0:
        return False
    return (first - second) % modulus == 0


def are_reparametrised(a: Value, b: Value, equal: Equal) -> bool:
    """Whether two families of tuples are one along t -> p t + q: `(t, 1 - t)` and `(1 - s, s)`.

    p is 1 or -1 and q an integer for integers; any rational number but 0 and any real number for reals.
    """
    mine, its = _entries(a), _entries(b)
    used = {name for entry in (*mine, *its) for name in symbols(entry)}
    if len(mine) != len(its) or not mine or len(used) != 1 or not used <= {INTEGER.name, REAL.name}:
        return False
    name = used.pop()
    for x, y in zip(mine, its, strict=True):
        lines = [_line(substitute(each, {name: INTEGER}), equal) for each in (x, y)]
        if (scale := _scale(*lines, equal=equal)) is None or lines[0] is None or lines[1] is None:
            continue
        step = Product((Sum((lines[0].start, negative(lines[1].start))), Power(lines[1].step, MINUS_ONE)))
        if name == INTEGER.name and (abs(scale) != 1 or not _multiple_whole(step, _ONE, equal)):
            return False
        moved = Sum((Product((Num(scale), Sym(name))), step))
        return all(equal(one, substitute(other, {name: moved})) for one, other in zip(mine, its, strict=True))
    return False


def _scale(a: Progression | None, b: Progression | None, equal: Equal) -> Fraction | None:
    """The steps' quotient where it is a rational number that isn't 0."""
    if a is None or b is None or equal(a.step, _ZERO) or equal(b.step, _ZERO):
        return None
    return _multiple(a.step, b.step, equal)


def _entries(value: Value) -> tuple[Expr, ...]:
    """The coordinates of a tuple or a system; none for anything else."""
    match value:
        case Sequence("tuple" | "vector", items):
            parts = items
        case System(entries):
            parts = tuple(inner for _, inner in entries)
        case _:
            return ()
    return parts if are_expressions(parts) else ()


def _same_points(a: tuple[Expr, ...], b: tuple[Expr, ...], equal: Equal) -> bool:
    return all(any(equal(x, y) for y in b) for x in a) and all(any(equal(x, y) for x in a) for y in b)


def _line(expr: Expr, equal: Equal) -> Progression | None:
    """The progression that an expression in the parameter runs through; None where it is not linear."""
    at = [substitute(expr, {INTEGER.name: Num(Fraction(value))}) for value in (0, 1)]
    line = Progression(at[0], Sum((at[1], negative(at[0]))))
    return line if equal(expr, Sum((line.start, Product((line.step, INTEGER))))) else None


def _multiple(expr: Expr, unit: Expr, equal: Equal) -> Fraction | None:
    """expr / unit where that is a rational number of a small denominator, checked by `equal`."""
    value = _ratio(expr, unit)
    if value is None:
        return None
    near = value.limit_denominator(MAX_RESIDUES)
    return near if equal(expr, Product((Num(near), unit))) else None


def _multiple_whole(expr: Expr, unit: Expr, equal: Equal) -> bool:
    value = _ratio(expr, unit)
    return (
        value is not None
        and abs(value - round(value)) < _NEAR
        and equal(expr, Product((Num(Fraction(round(value))), unit)))
    )


_NEAR = Fraction(1, 1000)  # only what is this near to a whole number is asked about


def _ratio(expr: Expr, unit: Expr) -> Fraction | None:
    ratio = Product((expr, Power(unit, Num(Fraction(-1)))))
    value = constant(ratio)
    return approximate(ratio) if value is None else value


def _common(strides: list[Fraction]) -> Fraction:
    """The least common multiple of positive rational numbers."""
    below = math.lcm(*(stride.denominator for stride in strides))
    return Fraction(math.lcm(*(int(stride * below) for stride in strides)), below)
