"""Sets of real numbers: unions of intervals, sorted and merged by the exact order of their ends."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from .exact import constant
from .lexer import Unreadable
from .numeric import agree, approximate
from .values import EXPRESSIONS, INFINITY, Const, Expr, Interval, Num, Product, RealSet, Sequence, Value, negative

_NEAR = Fraction(1, 10**60)  # ends closer than this, relative to their size, are compared by more than their approximations
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
        case Sequence("tuple" | "list" as kind, (low, high)) if isinstance(low, EXPRESSIONS) and isinstance(high, EXPRESSIONS):
            return RealSet((Interval(low, high, kind == "list", kind == "list"),))
        case Sequence("set" | "answers", items) if all(isinstance(item, EXPRESSIONS) for item in items):
            return RealSet(tuple(Interval(item, item, True, True) for item in items))  # pyrefly: ignore
    raise Unreadable("no set of reals")


def combine_all(operation: str, values: list[Value]) -> RealSet:
    total = as_set(values[0])
    for value in values[1:]:
        total = combine(operation, total, value)
    return total


def combine(operation: str, left: Value, right: Value) -> RealSet:
    """The union, intersection or difference, in its normal form. Raises Unreadable."""
    a, b = as_set(left), as_set(right)
    ends: dict[Fraction, Expr] = {}
    for part in (*a.parts, *b.parts):
        for end in (part.low, part.high):
            if not infinite(end):
                ends.setdefault(position(end), end)
    cuts: list[Fraction] = []
    for cut in sorted(ends):
        if not cuts or not _same(ends[cuts[-1]], ends[cut], cut - cuts[-1] <= _NEAR * abs(cut)):
            cuts.append(cut)
    decide = _OPERATIONS[operation]
    # Elementary pieces in order: (-oo, c1), {c1}, (c1, c2), {c2}, ..., (cn, oo); piece 2k is open, 2k + 1 a point.
    inside = [decide(_holds(a, k, cuts), _holds(b, k, cuts)) for k in range(2 * len(cuts) + 1)]
    return _from_pieces(inside, cuts, ends)


def _same(a: Expr, b: Expr, near: bool) -> bool:
    """Whether two ends, whose approximations differ, are one. Raises Unreadable where that can't be told."""
    if not near or (constant(a) is not None and constant(b) is not None):
        return False
    found = agree(a, b)
    if found is None:
        raise Unreadable("two ends that can't be told apart")
    return found


def normal(value: Value) -> RealSet:
    """A set's normal form: parts in order, touching ones merged, empty ones away."""
    return combine("union", value, RealSet(()))


def _holds(which: RealSet, piece: int, cuts: list[Fraction]) -> bool:
    return any(_part_holds(part, piece, cuts) for part in which.parts)


def _part_holds(part: Interval, piece: int, cuts: list[Fraction]) -> bool:
    low = -1 if infinite(part.low) < 0 else len(cuts) if infinite(part.low) else _index(part.low, cuts)
    high = len(cuts) if infinite(part.high) > 0 else -1 if infinite(part.high) else _index(part.high, cuts)
    at, is_point = divmod(piece, 2)
    if is_point:
        return (
            low < at < high
            or (at == low and part.low_closed and at <= high and (at < high or part.high_closed))
            or (at == high and part.high_closed and low < at)
        )
    return low < at <= high  # the open piece before cut `at`


def _index(end: Expr, cuts: list[Fraction]) -> int:
    where = position(end)
    return min(range(len(cuts)), key=lambda k: abs(cuts[k] - where))


def _from_pieces(inside: list[bool], cuts: list[Fraction], ends: dict[Fraction, Expr]) -> RealSet:
    parts: list[Interval] = []
    start: int | None = None
    for piece in range(len(inside) + 1):
        held = piece < len(inside) and inside[piece]
        if held and start is None:
            start = piece
        elif not held and start is not None:
            last = piece - 1
            low = ends[cuts[(start - 1) // 2]] if start else negative(INFINITY)
            high = ends[cuts[last // 2]] if last < len(inside) - 1 else INFINITY
            parts.append(Interval(low, high, start % 2 == 1, last % 2 == 1))
            start = None
    return RealSet(tuple(parts))


__all__ = ["as_set", "combine", "combine_all", "half_line", "infinite", "normal", "position"]
