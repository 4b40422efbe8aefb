"""The last look at a value that was read: nothing in it but what the deciding stages know.
Bounded by a count of parts."""

from __future__ import annotations

from typing import Any, TypeVar

from ..traversal import children
from ..values import (
    EXPRESSIONS,
    Apply,
    Builder,
    Call,
    Joined,
    Num,
    Relation,
    Sym,
    Unit,
    Unreadable,
    Value,
    Words,
)

V = TypeVar("V", bound=Value)
MAX_PARTS = 20_000
# each was worked out, or can't be
_UNDECIDED = frozenset(("pm", "mp", "union", "intersection", "difference"))
_PLAIN = (Num, Sym)
_LEAVES = (str, int, Unit, type(None))


def check(value: V) -> V:
    """The value. Raises Unreadable where an operation has an operand it
    can't have, or the value is too large."""
    if isinstance(value, Num | Sym | Words):
        return value
    left = MAX_PARTS
    stack: list[tuple[Any, bool]] = [(value, False)]
    while stack:
        node, within = stack.pop()
        left -= 1
        if left < 0:
            raise Unreadable("a value of too many parts")
        if isinstance(node, _PLAIN):
            continue
        if isinstance(node, EXPRESSIONS):
            if isinstance(node, Call) and not within:
                _check_call(node)
            within = within or isinstance(node, Apply)
            for part in children(node):
                if not isinstance(part, EXPRESSIONS):
                    raise Unreadable("arithmetic on what is no number")
                stack.append((part, within))
        elif isinstance(node, tuple):
            stack.extend((part, within) for part in node)
        elif isinstance(node, Relation | Builder | Joined):
            raise Unreadable("a clause within a value")
        elif not isinstance(node, _LEAVES):
            stack.extend((getattr(node, name), within) for name in node.__dataclass_fields__)
    return value


def _check_call(call: Call) -> None:
    if call.name in _UNDECIDED:
        raise Unreadable("both signs, or a set, in a sum")
    if call.name == "given" or not call.name[0].isalpha():
        raise Unreadable("an event outside of its brackets")


__all__ = ["check"]
