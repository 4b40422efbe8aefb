"""Walks over values: their variables and parts, the same value on other parts,
other expressions in the place of variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any, NamedTuple, overload

from .values import (
    EXPRESSIONS,
    MINUS_ONE,
    Apply,
    Call,
    Condition,
    Const,
    Expr,
    Family,
    Interval,
    Matrix,
    Named,
    Num,
    Piece,
    Piecewise,
    Power,
    Product,
    Quantity,
    RealSet,
    Sequence,
    Sum,
    Sym,
    System,
    Unit,
    Value,
    Words,
    Zero,
)

_NAMED = (Const, Call)
_LEAVES = (Num, Sym, Const, Words, Unit, str, int, type(None))
_NO_NAMES: frozenset[str] = frozenset()
_HAVE_NAMES = frozenset((Sym, Const, Call, Apply))
_PARTS: dict[type, Callable[[Any], tuple[Expr, ...]]] = {
    Sum: attrgetter("terms"),
    Product: attrgetter("factors"),
    Power: lambda expr: (expr.base, expr.exponent),
    Call: attrgetter("args"),
    Apply: attrgetter("args"),
}


def negative(expr: Expr) -> Expr:
    return Num(-expr.value) if isinstance(expr, Num) else Product((MINUS_ONE, expr))


def symbols(expr: Expr) -> frozenset[str]:
    """Names of the variables in an expression, and of its unknown functions as `f()`."""
    if isinstance(expr, Sym):
        return frozenset((expr.name,))
    parts = children(expr)
    # no constant: its value is not known
    own = frozenset((f"{expr.name}()",)) if isinstance(expr, Apply) else _NO_NAMES
    return own.union(*map(symbols, parts)) if parts else own


def children(expr: Expr) -> tuple[Expr, ...]:
    # every walk over an expression comes by here; asking type by type takes twice as long
    parts = _PARTS.get(type(expr))
    return parts(expr) if parts is not None else ()


class Survey(NamedTuple):
    """kinds: the types of all parts of an expression.  names: of its functions, constants and variables."""

    kinds: set[type]
    names: set[str]


def survey(expr: Value) -> Survey:
    """One walk that answers for many, where nothing unusual is in an expression."""
    kinds: set[type] = set()
    names: set[str] = set()
    stack: list[Any] = [expr]
    while stack:
        part = stack.pop()
        kind = type(part)
        kinds.add(kind)
        if kind in _HAVE_NAMES:
            names.add(part.name)
        parts = _PARTS.get(kind)
        if parts is not None:
            stack.extend(parts(part))
    return Survey(kinds, names)


def fits(value: Value | tuple[tuple[Value, ...], ...], limit: int) -> bool:
    """Whether a value, written out, has at most so many parts; shared ones count
    each time. Looks at no more than that."""
    left = limit
    stack: list[Any] = [value]
    while stack:
        part = stack.pop()
        left -= 1
        if left < 0:
            return False
        if isinstance(part, tuple):
            stack.extend(part)
        elif not isinstance(part, _LEAVES):
            stack.extend(getattr(part, name) for name in part.__dataclass_fields__)
    return True


def terms_of(expr: Expr) -> list[Expr]:
    """The terms of a sum, and of the sums in it; an expression that is no sum is its own term."""
    return [term for part in expr.terms for term in terms_of(part)] if isinstance(expr, Sum) else [expr]


def contains(expr: Expr, names: frozenset[str]) -> bool:
    """Whether a constant or function of one of these names occurs."""
    if isinstance(expr, _NAMED) and expr.name in names:
        return True
    for child in children(expr):  # noqa: SIM110 - a generator in any() costs as much as the walk
        if contains(child, names):
            return True
    return False


def rebuild(expr: Expr, parts: tuple[Expr, ...]) -> Expr:
    """The same operation on other operands."""
    match expr:
        case Sum():
            return Sum(parts)
        case Product():
            return Product(parts)
        case Power():
            return Power(*parts)
        case Call(name, _):
            return Call(name, parts)
        case Apply(name, _):
            return Apply(name, parts)
    return expr


def names_in(value: Value) -> frozenset[str]:
    """Every variable in a value's expressions; not the names that are given values."""
    if isinstance(value, EXPRESSIONS):
        return symbols(value)
    match value:
        case Named(_, inner, parameters):
            return names_in(inner) - frozenset(parameters)
        case Quantity(inner) | Family(inner) | Zero(inner):
            return names_in(inner)
    return frozenset().union(*map(names_in, _parts(value)))


@overload
def substitute(value: Expr, mapping: Mapping[str, Expr]) -> Expr: ...
@overload
def substitute(value: RealSet, mapping: Mapping[str, Expr]) -> RealSet: ...
@overload
def substitute(value: Interval, mapping: Mapping[str, Expr]) -> Interval: ...
@overload
def substitute(value: Value, mapping: Mapping[str, Expr]) -> Value: ...
def substitute(value: Value, mapping: Mapping[str, Expr]) -> Value:
    """A value with other expressions in the place of variables."""
    if isinstance(value, Sym):
        return mapping.get(value.name, value)
    if isinstance(value, EXPRESSIONS):
        parts = children(value)
        return rebuild(value, tuple(substitute(part, mapping) for part in parts)) if parts else value
    match value:
        case Named(name, inner, parameters):
            return Named(name, substitute(inner, mapping), parameters)
        case Quantity(inner, unit, letters):
            return Quantity(
                substitute(inner, mapping), unit, letters and substitute(letters, mapping), value.optional
            )
        case Sequence(kind, items):
            return Sequence(kind, tuple(substitute(item, mapping) for item in items))
        case RealSet(parts):
            return RealSet(tuple(substitute(part, mapping) for part in parts))
        case Interval(low, high, low_closed, high_closed):
            return Interval(substitute(low, mapping), substitute(high, mapping), low_closed, high_closed)
        case Matrix(rows):
            return Matrix(tuple(tuple(substitute(entry, mapping) for entry in row) for row in rows))
        case System(entries):
            return replace(
                value, entries=tuple((name, substitute(inner, mapping)) for name, inner in entries)
            )
        case Piecewise(name, pieces):
            renamed = mapping.get(name)
            kept = tuple(_substitute_in_piece(piece, mapping) for piece in pieces)
            return replace(value, name=renamed.name if isinstance(renamed, Sym) else name, pieces=kept)
        case Zero(expression, operator):
            return Zero(substitute(expression, mapping), operator)
        case Condition(held, residues):
            return Condition(substitute(held, mapping), residues)
    return value


def _substitute_in_piece(piece: Piece, mapping: Mapping[str, Expr]) -> Piece:
    return Piece(substitute(piece.value, mapping), piece.condition and substitute(piece.condition, mapping))


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
        case Piecewise(_, pieces):
            return tuple(piece.value for piece in pieces)
    return ()
