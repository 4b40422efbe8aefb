"""Comparison of what has elements: tuples, lists and sets of answers, sets of reals, matrices."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..traversal import symbols
from ..types import Tolerance
from ..values import Matrix, RealSet, Sequence, Unreadable, Value
from .decide import Decision
from .realset import as_set, normal


def differ(reason: str) -> Decision:
    return Decision(False, "structure", reason)


class ElementComparison(ABC):
    """depth: how many unordered sequences stand around what is compared."""

    def __init__(self, tolerance: Tolerance) -> None:
        self.tolerance = tolerance
        self.depth = 0

    @abstractmethod
    def values(self, a: Value, b: Value) -> Decision:
        """Whether two values of any type are equal."""

    def _compare_in_order(self, a: Value, b: Value, flipped: bool) -> Decision:
        return self.values(b, a) if flipped else self.values(a, b)

    def _all(self, a: tuple[Value, ...], b: tuple[Value, ...], flipped: bool = False) -> Decision:
        if len(a) != len(b):
            return differ(f"{len(b)} elements, not {len(a)}.")
        stage = "structure"
        undecided: Decision | None = None
        for mine, other in zip(a, b, strict=True):
            decision = self._compare_in_order(mine, other, flipped)
            if not decision.equal and decision.open is None:
                return decision
            if not decision.equal:
                undecided = undecided or decision
            stage = decision.stage
        return undecided or Decision(True, stage)

    def _sequences(self, a: Sequence, b: Sequence, flipped: bool) -> Decision:
        kinds = {a.kind, b.kind}
        if kinds in ({"answers", "tuple"}, {"answers", "vector"}) and len(a.items) == len(b.items) > 1:
            return self._all(a.items, b.items, flipped)  # the parts of a question, with brackets and without
        if kinds <= {"set", "answers"}:
            return self._unordered(a.items, b.items, flipped, distinct="set" in kinds)
        if len(kinds) == 1 or kinds == {"tuple", "vector"} or self.tolerance.any_brackets:
            return self._all(a.items, b.items, flipped)
        if len(a.items) == 1 and a.kind == "answers":
            return self._compare_in_order(a.items[0], b, flipped)
        if len(b.items) == 1 and b.kind == "answers":
            return self._compare_in_order(a, b.items[0], flipped)
        return differ(f"A {b.kind} is not a {a.kind}.")

    def _unordered(
        self, a: tuple[Value, ...], b: tuple[Value, ...], flipped: bool, distinct: bool
    ) -> Decision:
        """Every element has its match. As sets, repetitions don't count."""
        self.depth += 1
        decision = self._match(a, b, flipped, distinct)
        self.depth -= 1
        return decision

    def _match(self, a: tuple[Value, ...], b: tuple[Value, ...], flipped: bool, distinct: bool) -> Decision:
        if distinct:
            a, b = self._distinct(a), self._distinct(b)
        if len(a) != len(b):
            return differ(f"{len(b)} answers, not {len(a)}.")
        rest, stage = list(b), "structure"
        for mine in a:
            for index, other in enumerate(rest):
                decision = self._compare_in_order(mine, other, flipped)
                if decision.equal:
                    stage = decision.stage
                    del rest[index]
                    break
            else:
                return differ("An element has no match.")
        return Decision(True, stage)

    def _distinct(self, items: tuple[Value, ...]) -> tuple[Value, ...]:
        kept: list[Value] = []
        for item in items:
            if not any(self.values(item, other).equal for other in kept):
                kept.append(item)
        return tuple(kept)

    def _sets(self, a: RealSet, b: RealSet | Sequence) -> Decision:
        try:
            mine, other = a.parts, as_set(b).parts
            if len(mine) != 1 or len(other) != 1 or not symbols(mine[0].low) | symbols(mine[0].high):
                mine, other = normal(a).parts, normal(b).parts
        except Unreadable as failure:
            return differ(f"Not comparable as sets: {failure}.")
        if len(mine) != len(other) or (not other and isinstance(b, Sequence) and b.kind in ("tuple", "list")):
            return differ("Another set of numbers.")  # (3, 1) is a point, and not the empty interval
        for part, its in zip(mine, other, strict=True):
            if (part.low_closed, part.high_closed) != (its.low_closed, its.high_closed):
                return differ("An end is open in one and closed in the other.")
            ends = self._all((part.low, part.high), (its.low, its.high))
            if not ends.equal:
                return ends
        return Decision(True, "structure")

    def _matrices(self, a: Matrix, b: Matrix | Sequence, flipped: bool) -> Decision:
        if isinstance(b, Sequence):
            return self._matrix_and_list(a, b, flipped)
        if len(a.rows) != len(b.rows) or len(a.rows[0]) != len(b.rows[0]):
            return differ("A matrix of another shape.")
        return self._all(sum(a.rows, ()), sum(b.rows, ()), flipped)

    def _matrix_and_list(self, a: Matrix, b: Sequence, flipped: bool) -> Decision:
        """A list of rows, or the coordinates of a column or row."""
        rows = [row.items for row in b.items if isinstance(row, Sequence) and row.kind == "list"]
        if b.kind == "list" and len(rows) == len(b.items):
            if [len(row) for row in a.rows] != [len(row) for row in rows]:
                return differ("A matrix of another shape.")
            return self._all(sum(a.rows, ()), sum(rows, ()), flipped)
        if b.kind in ("tuple", "vector") and (len(a.rows) == 1 or len(a.rows[0]) == 1):
            return self._all(sum(a.rows, ()), b.items, flipped)
        return differ("A matrix is no plain list.")
