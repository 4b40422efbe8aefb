"""Intervals that a name stands before, and chains of inequalities about a named quantity."""

from __future__ import annotations

import re

from ..traversal import symbols
from ..values import Apply, Expr, Interval, RealSet, Sym, Unreadable

_NAME = re.compile(r"(?:[A-Za-z]|\\[a-z]{2,8})(?:_(?:\w|\{\w\}))?(?= ?[(\[])")
_OPENING, _CLOSING = "([", ")]"
_COORDINATES = frozenset("xyz")


def read_named_interval(text: str) -> str | None:
    """`t(0,4]` as `t \\in (0,4]`; None where the bracket behind the first name
    closes as it opened, or there is none."""
    match = _NAME.match(text)
    if match is None:
        return None
    rest, depth = text[match.end() :].lstrip(), 0
    for sign in rest:
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if not depth:
            half_open = _OPENING.index(rest[0]) != _CLOSING.index(sign)
            return f"{match[0]} \\in {rest}" if half_open else None
    return None


def is_quantity(expr: Expr) -> bool:
    """Whether an expression of several letters names what was asked for
    (`m + n`, `|AB|`), as no curve does."""
    names = symbols(expr)
    return len(names) > 1 and not names & _COORDINATES


def interval_between(operands: tuple[Expr, ...], operators: tuple[str, ...]) -> RealSet | None:
    """The ends of `low < middle <= high` as a set; None for another relation,
    and for an inequality still to be solved.

    Raises Unreadable for a chain that points both ways.
    """
    if len(operators) != 2 or "!=" in operators:
        return None
    low, middle, high = operands
    if not _can_be_bounded(middle, symbols(low) | symbols(high)):
        return None
    if operators[0][0] != operators[1][0]:
        raise Unreadable("a chain that points both ways")
    closed = [operator.endswith("=") for operator in operators]
    if operators[0][0] == "<":
        return RealSet((Interval(low, high, closed[0], closed[1]),))
    return RealSet((Interval(high, low, closed[1], closed[0]),))


def _can_be_bounded(middle: Expr, ends: frozenset[str]) -> bool:
    """Whether a chain says where its middle lies. ends: the variables in low and
    high; only a letter may lie between them."""
    if isinstance(middle, Sym):
        return middle.name not in ends
    names = symbols(middle)
    capitals = bool(names) and all(name.isalpha() and name.isupper() for name in names)  # cos A, |P|
    return not ends and (isinstance(middle, Apply) or is_quantity(middle) or capitals)


__all__ = ["interval_between", "is_quantity", "read_named_interval"]
