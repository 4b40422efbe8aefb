"""What stands where an expression is expected: brackets that only group, and what is no expression yet."""

from __future__ import annotations

from typing import cast, overload

from ..traversal import children
from ..values import EXPRESSIONS, Call, Expr, Sequence, Unreadable, Value


def unresolved(value: Value) -> Expr:
    """What stands where only an expression will be left: a matrix, tuple or set among operands. `read` and
    `linear` work it out, and `sound` refuses what they leave."""
    return cast("Expr", value)


@overload
def ungrouped(value: Expr) -> Expr: ...
@overload
def ungrouped(value: Value) -> Value: ...
def ungrouped(value: Value) -> Value:
    """What square brackets group, where they can hold no list: `2[x+1]`."""
    if isinstance(value, Sequence) and value.kind == "list" and len(value.items) == 1:
        return value.items[0] if isinstance(value.items[0], EXPRESSIONS) else value
    return value


def expression_of(value: Value) -> Expr:
    value = ungrouped(value)
    if not isinstance(value, EXPRESSIONS):
        raise Unreadable("arithmetic on what is no number")
    return value


def check_arithmetic(expr: Value) -> None:
    """Raises Unreadable where an operand is no expression: there is no sum of a set and a number."""
    if not isinstance(expr, EXPRESSIONS) or (
        isinstance(expr, Call) and expr.name in ("union", "intersection")
    ):
        raise Unreadable("arithmetic on what is no number")
    for child in children(expr):
        check_arithmetic(child)
