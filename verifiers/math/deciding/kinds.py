"""Kinds of values: which is unwrapped before which, their names, which can never be one another."""

from __future__ import annotations

from typing import Any

from ..traversal import children
from ..values import (
    EXPRESSIONS,
    Choice,
    Congruence,
    Expr,
    Family,
    Named,
    Quantity,
    RealSet,
    Sequence,
    Sym,
    System,
    Value,
)


def is_as_spelled(quantity: Quantity, letters: Expr, product: Expr) -> bool:
    """Whether letters that may be a unit may be compared as variables: a sure unit
    in its order alone, so that mN is no Nm."""
    return not quantity.optional or spell(letters) == spell(product)


def spell(expr: Expr) -> str:
    return expr.name if isinstance(expr, Sym) else "".join(map(spell, children(expr)))


def rank(value: Value) -> int:
    """Names are unwrapped before units, and units before everything else."""
    ranks: tuple[tuple[Any, ...], ...] = ((Family, Choice), (Named, System), (Sequence,), (Quantity,))
    return next((rank for rank, kinds in enumerate(ranks) if isinstance(value, kinds)), len(ranks))


def name_kind(value: Value) -> str:
    name = type(value).__name__ if not isinstance(value, EXPRESSIONS) else "Expression"
    return f"{'An' if name[0] in 'AEIOU' else 'A'} {name.lower()}"


def is_of_another_kind(named: Named, other: Value) -> bool:
    """A set of numbers is no number, several values of one name are no tuple,
    and residues of another name are others."""
    if isinstance(other, Congruence):
        return other.name not in (None, named.name)
    if isinstance(named.value, RealSet):
        return isinstance(other, EXPRESSIONS)
    several = isinstance(named.value, Sequence) and named.value.kind == "answers"
    return several and isinstance(other, Sequence) and other.kind in ("tuple", "vector")
