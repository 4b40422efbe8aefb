"""Plus-minus: one text for several values. Signs are chosen independently of each other unless a minus-plus
stands among them, which is the opposite of every plus-minus beside it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from ..traversal import children, contains, negative, rebuild
from ..values import EXPRESSIONS, Call, Expr, Sequence, Unreadable, Value
from .operands import unresolved

_BOTH_SIGNS = frozenset(("pm", "mp"))
_ORDERED = ("tuple", "list", "vector")
MAX_SIGNS = 4


def holds_signs(value: Value) -> bool:
    """Whether a plus-minus stands in an expression, or in a tuple or list of them."""
    if isinstance(value, Sequence):
        return value.kind in _ORDERED and any(map(holds_signs, value.items))
    return isinstance(value, EXPRESSIONS) and contains(value, _BOTH_SIGNS)


def choices(value: Value) -> tuple[Value, ...]:
    """A value for each choice of its signs. Raises Unreadable for too many."""
    return tuple(each[0] for each in chosen_together((value,)))


def chosen_together(values: tuple[Value, ...]) -> list[tuple[Value, ...]]:
    """Several values for each choice of the signs in all of them. Raises Unreadable for too many."""
    names = [name for value in values for name in _signs(value)]
    if len(names) > MAX_SIGNS:
        raise Unreadable("too many signs")
    patterns = (
        [(1,) * len(names), (-1,) * len(names)] if "mp" in names else product((1, -1), repeat=len(names))
    )
    chosen = []
    for pattern in patterns:
        signs = iter(pattern)
        chosen.append(tuple(_with_signs(value, signs) for value in values))
    return chosen


def _signs(value: Value) -> list[str]:
    """The names of the signs, in the order in which `_with_signs` meets them."""
    own = [value.name] if isinstance(value, Call) and value.name in _BOTH_SIGNS else []
    return own + [name for part in _parts(value) for name in _signs(part)]


def _with_signs(value: Value, signs: Iterator[int]) -> Value:
    match value:
        case Call("pm" | "mp" as name, (term,)):
            kept = (next(signs) > 0) == (name == "pm")
            inner = _with_signs(term, signs)
            return inner if kept else _opposite(inner)
        case Sequence(kind, items):
            return Sequence(kind, tuple(_with_signs(item, signs) for item in items))
    if not isinstance(value, EXPRESSIONS) or not (parts := children(value)):
        return value
    return rebuild(value, tuple(unresolved(_with_signs(part, signs)) for part in parts))


def _opposite(value: Value) -> Value:
    match value:
        case Sequence("tuple" | "vector" as kind, items):
            return Sequence(kind, tuple(map(_opposite, items)))
    if not isinstance(value, EXPRESSIONS):
        raise Unreadable("both signs of what is no number")
    return negative(value)


def _parts(value: Value) -> tuple[Value, ...]:
    if isinstance(value, Sequence):
        return value.items
    return children(value) if isinstance(value, EXPRESSIONS) else ()


def has_both_signs(expr: Expr) -> bool:
    """Whether a plus-minus stands in an expression."""
    return contains(expr, _BOTH_SIGNS)
