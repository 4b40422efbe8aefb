"""Intervals that a name stands before, and chains of inequalities about a named quantity."""

from __future__ import annotations

import re

from .values import Apply, Expr, Sym, symbols

_NAME = re.compile(r"(?:[A-Za-z]|\\[a-z]{2,8})(?:_(?:\w|\{\w\}))?(?= ?[(\[])")
_OPENING, _CLOSING = "([", ")]"
_COORDINATES = frozenset("xyz")


def named_interval(text: str) -> str | None:
    """`t(0,4]` as `t \\in (0,4]`; None where the bracket behind the first name closes as it opened, or there is none."""
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
    """Whether an expression of several letters names what was asked for (`m + n`, `|AB|`), as no curve does."""
    names = symbols(expr)
    return len(names) > 1 and not names & _COORDINATES


def can_be_bounded(middle: Expr, ends: frozenset[str]) -> bool:
    """Whether `low < middle < high` says where a quantity lies, rather than being an inequality still to be solved.

    ends: the variables in low and high; only a letter may lie between them.
    """
    if isinstance(middle, Sym):
        return middle.name not in ends
    return not ends and (isinstance(middle, Apply) or is_quantity(middle))


__all__ = ["can_be_bounded", "is_quantity", "named_interval"]
