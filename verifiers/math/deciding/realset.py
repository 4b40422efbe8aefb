"""Sets of real numbers: unions of intervals, sorted and merged by the exact order of their ends."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from ..traversal import negative
from ..values import (
    EXPRESSIONS,
    INFINITY,
    Const,
    Expr,
    Interval,
    Num,
    Product,
    RealSet,
    Sequence,
    Unreadable,
    Value,
    are_expressions,
)
from .exact import constant
from .numeric import agree, approximate

# ends closer than this, relative to their size, are compared by more than their approximations
_NEAR = Fraction(1, 10**60)
MAX_PARTS = 100
_OPERATIONS: dict[str, Callable[[bool, bool], bool]] = {
    "union": lambda a, b: a or b,
    "intersection": lambda a, b: a and b,
    "difference": lambda a, b: a and not b,
}


def half_line(operator: str, end: Expr) -> RealSet:
    """The solutions of `x operator end`."""
    minus = negative(INFINITY)
    match operator:
        case "<" | "<=":
            return RealSet((Interval(minus, end, False, operator == "<="),))
        case ">" | ">=":
            return RealSet((Interval(end, INFINITY, operator == ">=", False),))
        case "!=":
            return RealSet((Interval(minus, end, False, False), Interval(end, INFINITY, False, False)))
    raise Unreadable(f"the relation {operator}")


def infinite(expr: Expr) -> int:
    """1 or -1 for plus or minus infinity, 0 for anything else."""
    match expr:
        case Const("infinity"):
            return 1
        case Product((Num(value), Const("infinity"))):
            return 1 if value > 0 else -1 if value < 0 else 0
    return 0


def holds_infinity(part: Interval) -> bool:
    """Whether an interval is closed at an infinite end: `[2, oo]` is more than the reals from 2 on."""
    return bool((part.low_closed and infinite(part.low)) or (part.high_closed and infinite(part.high)))


def position(expr: Expr) -> Fraction:
    """Where a finite end lies. Raises Unreadable when it has no real value."""
    value = constant(expr)
    if value is None:
        value = approximate(expr)
    if value is None:
        raise Unreadable("an interval's end has no real value")
    return value


def as_set(value: Value) -> RealSet:
    """A value read as a set of reals: intervals, brackets with two ends, finite sets. Raises Unreadable."""
    match value:
        case RealSet():
            return value
        case Interval():
            return RealSet((value,))
        case Sequence("tuple" | "list" as kind, (low, high)) if isinstance(low, EXPRESSIONS) and isinstance(
            high, EXPRESSIONS
        ):
            return RealSet((Interval(low, high, kind == "list", kind == "list"),))
        case Sequence("set" | "answers", items) if are_expressions(items):
            return RealSet(tuple(Interval(item, item, True, True) for item in items))
    raise Unreadable("no set of reals")


def combine_all(operation: str, values: list[Value]) -> RealSet:
    total = as_set(values[0])
    for value in values[1:]:
        total = combine(operation, total, value)
    return total


def combine(operation: str, left: Value, right: Value) -> RealSet:
    """The union, intersection or difference, in its normal form. Raises Unreadable."""
    a, b = as_set(left), as_set(right)
    if any(map(holds_infinity, (*a.parts, *b.parts))):
        raise Unreadable("an interval that is closed at infinity is no set of reals")
    if len(a.parts) + len(b.parts) > MAX_PARTS:
        raise Unreadable(f"more than {MAX_PARTS} intervals")
    line = Line((*a.parts, *b.parts))
    decide = _OPERATIONS[operation]
    inside = [decide(bool(mine), bool(its)) for mine, its in zip(line.pieces(a), line.pieces(b), strict=True)]
    return line.set_of(inside)


class Line:
    """The real line cut at the ends of intervals, in elementary pieces: (-oo,
    c1), {c1}, (c1, c2), {c2}, ..., (cn, oo)."""

    def __init__(self, parts: tuple[Interval, ...]) -> None:
        ends = [end for part in parts for end in (part.low, part.high) if not infinite(end)]
        self.where = {end: position(end) for end in ends}
        self.cuts: list[Expr] = []
        self.index: dict[Fraction, int] = {}  # of the cut at a position
        for end in sorted(self.where, key=self.where.__getitem__):
            at = self.where[end]
            if at not in self.index:
                if not self.cuts or not _same(self.cuts[-1], end, self.where[self.cuts[-1]], at):
                    self.cuts.append(end)
                self.index[at] = len(self.cuts) - 1

    def pieces(self, which: RealSet) -> bytearray:
        """1 for each piece that lies in a set; piece 2k + 1 is cut k, piece 2k what is open before it."""
        last = 2 * len(self.cuts)
        inside = bytearray(last + 1)
        for part in which.parts:
            low, high = infinite(part.low), infinite(part.high)
            start = 0 if low < 0 else last + 1 if low else 2 * self._cut(part.low) + 2
            end = last if high > 0 else -1 if high else 2 * self._cut(part.high)
            if low or high or start <= end:
                start -= not low and part.low_closed
                end += not high and part.high_closed
            elif start == end + 2 and part.low_closed and part.high_closed:  # a point
                start = end = end + 1
            if start <= end:
                inside[start : end + 1] = b"\1" * (end + 1 - start)
        return inside

    def _cut(self, end: Expr) -> int:
        return self.index[self.where[end]]

    def set_of(self, inside: list[bool]) -> RealSet:
        parts: list[Interval] = []
        start: int | None = None
        for piece in range(len(inside) + 1):
            held = piece < len(inside) and inside[piece]
            if held and start is None:
                start = piece
            elif not held and start is not None:
                last = piece - 1
                low = self.cuts[(start - 1) // 2] if start else negative(INFINITY)
                high = self.cuts[last // 2] if last < len(inside) - 1 else INFINITY
                parts.append(Interval(low, high, start % 2 == 1, last % 2 == 1))
                start = None
        return RealSet(tuple(parts))


def _same(a: Expr, b: Expr, x: Fraction, y: Fraction) -> bool:
    """Whether two ends are one, whose approximations differ. Raises Unreadable where that can't be told."""
    if (constant(a) is not None and constant(b) is not None) or y - x > _NEAR * abs(y):
        return False
    same = agree(a, b)
    if same is None:
        raise Unreadable("two ends that can't be told apart")
    return same


def normal(value: Value) -> RealSet:
    """A set's normal form: parts in order, touching ones merged, empty ones away."""
    return combine("union", value, RealSet(()))


__all__ = [
    "Line",
    "as_set",
    "combine",
    "combine_all",
    "half_line",
    "holds_infinity",
    "infinite",
    "normal",
    "position",
]
