"""Set-builders as the sets they are: `{x \\in D | condition}`, `{2k\\pi | k \\in Z}`.
Their bound letter doesn't count."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from ..deciding import realset
from ..traversal import names_in, substitute
from ..values import (
    EXPRESSIONS,
    Builder,
    Family,
    Joined,
    Named,
    Num,
    RealSet,
    Relation,
    Sequence,
    Sym,
    Unreadable,
    Value,
    Words,
    Zero,
)

_LETTER = "x"  # of a condition that is still to be solved
MAX_WHOLE = 200  # integers that are listed one by one
# 0 is a natural number to some, so a set may not depend on it
_LEAST = {"set of integers": None, "set of naturals": 1}


def build_set(builder: Builder, resolve: Callable[[Value], Value]) -> Value:
    """A set of reals, a finite set, a family, or a condition that is
    still to be solved. Raises Unreadable."""
    match builder.element:
        case Sym(name):
            return _apply_condition(name, None, builder.condition, resolve)
        case Relation((Sym(name), domain), ("in",)):
            return _apply_condition(
                name, resolve(Relation((Sym(name), domain), ("in",))), builder.condition, resolve
            )
    if not isinstance(builder.element, EXPRESSIONS):
        raise Unreadable("a set-builder of no numbers")
    clauses = builder.condition.items if isinstance(builder.condition, Joined) else (builder.condition,)
    value = resolve(Joined(",", (builder.element, *clauses)))
    if not isinstance(value, Family):
        raise Unreadable("a set-builder whose parameter has no set")
    return value


def _apply_condition(
    name: str, domain: Value | None, condition: Value, resolve: Callable[[Value], Value]
) -> Value:
    resolved = resolve(condition)
    held = _elements(name, resolved.value if isinstance(resolved, Family) else resolved, condition)
    inside = domain.value if isinstance(domain, Named) else domain
    if isinstance(resolved, Family):
        if inside is not None and not _all_reals(inside):
            raise Unreadable("a family within a set")
        return Family(held)
    if inside is None or _all_reals(inside):
        return held
    if isinstance(inside, Words) and inside.text in _LEAST:
        return _whole_in(held, _LEAST[inside.text])
    return realset.combine("intersection", inside, held)


def _elements(name: str, resolved: Value, condition: Value) -> Value:
    """What the condition on the bound letter leaves."""
    match resolved:
        case Named(own, RealSet() as held, ()) if own == name:
            return held
        case Named(own, Words() | Sym() as held, ()) if own == name and _is_membership(condition):
            return held
        case Named(own, Sequence("answers", items), ()) if own == name:
            return Sequence("set", items)
        case Named(own, held, ()) if own == name and isinstance(held, EXPRESSIONS):
            return Sequence("set", (held,))
        case Zero():
            return resolved if _LETTER in names_in(resolved) else substitute(resolved, {name: Sym(_LETTER)})
    raise Unreadable("a condition on something else")


def _is_membership(condition: Value) -> bool:
    return isinstance(condition, Relation) and condition.operators == ("in",)


def _all_reals(value: Value) -> bool:
    match value:
        case RealSet((part,)):
            return realset.infinite(part.low) < 0 and realset.infinite(part.high) > 0
    return False


def _whole_in(held: Value, least: int | None) -> Sequence:
    """The integers in a bounded set of reals, from `least` on. Raises Unreadable
    where they are too many, or 0 is in doubt."""
    integers: set[int] = set()
    for part in realset.normal(held).parts:
        if realset.infinite(part.high) or (realset.infinite(part.low) and least is None):
            raise Unreadable("a set without end")
        high = realset.position(part.high)
        low = realset.position(part.low) if not realset.infinite(part.low) else None
        if least is not None and (low is None or low < 0 or (low == 0 and part.low_closed)) and high >= 0:
            raise Unreadable("natural numbers from 0 or 1 on")
        if low is None:
            continue
        first = math.ceil(low) + (not part.low_closed and low.denominator == 1)
        last = math.floor(high) - (not part.high_closed and high.denominator == 1)
        if last - first > MAX_WHOLE or len(integers) > MAX_WHOLE:
            raise Unreadable("too many elements")
        integers.update(range(first, last + 1))
    return Sequence(
        "set", tuple(Num(Fraction(value)) for value in sorted(integers) if least is None or value >= least)
    )


__all__ = ["build_set"]
