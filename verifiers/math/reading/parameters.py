"""Clauses that say from which set a parameter is: `k \\in \\mathbb{Z}`, `n \\ge 2`, `t > 0`,
`k \\in \\{0, 1, 2\\}`.

A parameter gets the name of its set (`integer 1`), so that families which differ in their letters alone are
one. An integer with one bound is that bound plus a `whole` number (0, 1, 2, ...); one with a finite list of
values is each of them in turn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from ..deciding import realset
from ..deciding.exact import constant
from ..show import show
from ..traversal import names_in, negative, substitute
from ..values import (
    Expr,
    Interval,
    Named,
    Num,
    RealSet,
    Sequence,
    Sum,
    Sym,
    Unreadable,
    Value,
    Words,
    are_expressions,
)

MAX_VALUES = 48  # of a parameter that has a finite list of them
_SETS = {"Z": "integer", "R": "real", "N": "natural", "Q": "rational", "C": "complex"}
_KINDS = {f"set of {kind}s": kind for kind in _SETS.values()} | {"set of complexes": "complex"}
_COUNTED = frozenset("ijklmn")  # letters that stand for integers when only a bound is said
_COORDINATES = frozenset("xyz")


@dataclass(frozen=True, slots=True)
class Parted:
    """The clauses that say something else, with their parameters renamed.

    family: whether they have parameters. several: the values of the one
        parameter that has finitely many, by its name.
    """

    items: list[Value]
    family: bool = False
    several: tuple[str, tuple[Expr, ...]] | None = None


@dataclass(frozen=True, slots=True)
class _Said:
    """What clauses say of one name: a kind of number, sets of reals, a finite set."""

    kinds: frozenset[str]
    sets: tuple[RealSet, ...]
    finite: tuple[Sequence, ...]


def split(items: list[Value]) -> Parted:
    """Parts the memberships of parameters from what they are parameters of.
    Raises Unreadable for an empty range."""
    clauses = [clause for item in items if (clause := _clause(item)) is not None]
    if not clauses:
        return Parted(items)
    explicit = {clause.name for clause in clauses if _kind_of(clause.value)}
    arguments = {name for item in items if isinstance(item, Named) for name in item.parameters}
    if explicit and explicit <= arguments:  # f(x) = 2x, x in R
        return Parted(
            [item for item in items if (clause := _clause(item)) is None or clause.name not in explicit]
        )
    free = {name for item in items for name in names_in(item)}
    owners = {item.name for item in items if isinstance(item, Named) and _clause(item) is None}
    names = list(dict.fromkeys(clause.name for clause in clauses))
    names = [name for name in names if name in explicit or (name in free and _may_be_bound(name, owners))]
    rest = [item for item in items if (clause := _clause(item)) is None or clause.name not in names]
    if not names or not all(any(name in names_in(item) for item in rest) for name in names):
        return Parted(items)
    mapping: dict[str, Expr] = {}
    several = None
    for index, name in enumerate(names, 1):
        replacement = _standing_for(name, _collect(name, clauses), index)
        if not isinstance(replacement, tuple) and any(owner.endswith(f"_{name}") for owner in owners):
            continue  # a_n = 2n, n > 0: the place in a sequence
        if isinstance(replacement, tuple):
            if several is not None:
                raise Unreadable("several parameters with lists of values")
            several = (name, replacement)
        else:
            mapping[name] = replacement
    return Parted([substitute(item, mapping) for item in rest], bool(mapping), several)


def instances(value: Value, name: str, values: tuple[Expr, ...]) -> list[Value]:
    """The value at each value of a parameter."""
    return [substitute(value, {name: each}) for each in values]


def _clause(item: Value) -> Named | None:
    """What limits one name to a set."""
    if not isinstance(item, Named) or item.parameters:
        return None
    match item.value:
        case RealSet() | Sequence("set"):
            return item
    return item if _kind_of(item.value) else None


def _kind_of(value: Value) -> str | None:
    match value:
        case Words(text):
            return _KINDS.get(text)
        case Sym(name):
            return _SETS.get(name)
        case RealSet((Interval(low, high, False, False),)) if low == negative(high):
            return "real"
    return None


def _collect(name: str, clauses: list[Named]) -> _Said:
    about = [clause.value for clause in clauses if clause.name == name]
    kinds = frozenset(kind for value in about if (kind := _kind_of(value)))
    sets = tuple(value for value in about if isinstance(value, RealSet) and _kind_of(value) is None)
    return _Said(kinds, sets, tuple(value for value in about if isinstance(value, Sequence)))


def _may_be_bound(name: str, owners: set[str]) -> bool:
    """Whether a name with a range alone is a parameter: no set's name, and no
    coordinate, as x is in `y = 2x, x > 0`."""
    return not name[0].isupper() and not (name in _COORDINATES and owners & _COORDINATES)


def _standing_for(name: str, said: _Said, index: int) -> Expr | tuple[Expr, ...]:
    """What stands in a parameter's place: a name of its set, a bound and a
    whole number, or each of its values."""
    if len(said.kinds) > 1 or len(said.finite) > 1:
        raise Unreadable("a parameter of two sets")
    if said.finite:
        values = said.finite[0].items
        if said.sets or not 0 < len(values) <= MAX_VALUES or not are_expressions(values):
            raise Unreadable("a parameter of no set")
        return values
    kind = next(iter(said.kinds), "integer" if name[0] in _COUNTED else "real")
    if not said.sets:
        return Sym(f"{kind} {index}")
    where = realset.combine_all("intersection", list(said.sets))
    if kind in ("integer", "natural") and len(where.parts) == 1:
        first, last = _ceiling(where.parts[0].low, where.parts[0].low_closed), _floor(where.parts[0])
        if kind == "natural" and (first is None or first < 1):
            return Sym(f"natural in {show(where)} {index}")
        return _count(first, last, index)
    if not where.parts:
        raise Unreadable("a parameter of no value")
    return Sym(f"{kind} in {show(where)} {index}")


def _count(first: int | None, last: int | None, index: int) -> Expr | tuple[Expr, ...]:
    whole = Sym(f"whole {index}")
    if first is not None and last is not None:
        if not 0 <= last - first < MAX_VALUES:
            raise Unreadable("a parameter of no value, or of too many")
        return tuple(Num(Fraction(value)) for value in range(first, last + 1))
    if first is not None:
        return Sum((whole, Num(Fraction(first)))) if first else whole
    return Sum((Num(Fraction(last or 0)), negative(whole)))


def _ceiling(low: Expr, closed: bool) -> int | None:
    """The first integer from an end on; None from minus infinity. Raises
    Unreadable for an end that is no rational number."""
    if realset.infinite(low):
        return None
    value = constant(low)
    if value is None:
        raise Unreadable("a bound that is no number")
    return math.ceil(value) if closed else math.floor(value) + 1


def _floor(part: Interval) -> int | None:
    first = _ceiling(negative(part.high), part.high_closed)
    return None if first is None else -first
