"""Values by conditions, compared as functions: wherever one side has a value the
other has the same, and nowhere else."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise

from ..traversal import substitute, symbols
from ..values import (
    EXPRESSIONS,
    Condition,
    Expr,
    Interval,
    Named,
    Num,
    Piece,
    Piecewise,
    RealSet,
    System,
    Unreadable,
    Value,
    are_expressions,
)
from .decide import Decision
from .points import corner_points
from .realset import Line, infinite, normal, position

POINTS = 12  # of an open interval; all of them must agree
MAX_CORNER_POINTS = 60
MAX_WHOLE = 600  # integers that are tried
_AROUND = 3  # integers on both sides of an end
Values = Callable[[Value, Value], Decision]


def over_line(value: Value, other: Piecewise) -> Piecewise:
    """A single value as one piece that holds wherever the other's variable may lie."""
    return Piecewise(other.name, (Piece(value, None),), other.whole, other.least)


def over_domain(system: System, named: Named) -> Piecewise | None:
    """`f(x) = ..., 0 < x < 2` as one piece, where the other side is f by
    conditions on x; None for other systems."""
    entries = dict(system.entries)
    other = named.value
    if len(entries) != 2 or not isinstance(other, Piecewise) or named.name not in entries:
        return None
    domain = entries.get(other.name)
    if not isinstance(domain, RealSet):
        return None
    value = entries[named.name]
    if isinstance(value, Named):  # a function keeps its argument
        value = value.value
    return Piecewise(other.name, (Piece(value, Condition(domain)),), other.whole)


def same_function(a: Piecewise, b: Piecewise, values: Values) -> Decision:
    if a.name and b.name and a.name != b.name:
        return _differ("Conditions on another variable.")
    try:
        return _Functions(a, b, values).compare_rows()
    except Unreadable:
        return _pair(a, b, values)


def _pair(a: Piecewise, b: Piecewise, values: Values) -> Decision:
    """Row by row, where a condition is no set of numbers."""
    if len(a.pieces) != len(b.pieces):
        return _differ("Another number of cases.")
    rest = list(b.pieces)
    for mine in a.pieces:
        partner = next((its for its in rest if _same_condition(mine.condition, its.condition, values)), None)
        if partner is None:
            return _differ("A case has no match.")
        rest.remove(partner)
        decision = values(mine.value, partner.value)
        if not decision.equal:
            return decision
    return Decision(True, "structure")


def _same_condition(a: Condition | Value | None, b: Condition | Value | None, values: Values) -> bool:
    if isinstance(a, Condition) and isinstance(b, Condition):
        return a.residues == b.residues and values(a.held, b.held).equal
    if a is None or b is None or isinstance(a, Condition) or isinstance(b, Condition):
        return a is b
    return values(a, b).equal


def _differ(reason: str) -> Decision:
    return Decision(False, "structure", reason)


@dataclass(frozen=True, slots=True)
class _Place:
    """An open interval by its ends, as fractions (None: infinite); or the one point `at`."""

    low: Fraction | None = None
    high: Fraction | None = None
    at: Expr | None = None


class _Functions:
    """Two piecewise functions of one variable. Raises Unreadable where a condition is no set of numbers."""

    def __init__(self, a: Piecewise, b: Piecewise, values: Values) -> None:
        self.a, self.b, self.values = a, b, values
        self.name = a.name or b.name
        # whether two rows' values are equal on the whole line
        self.everywhere: dict[tuple[int, int], bool] = {}
        conditions = [piece.condition for piece in (*a.pieces, *b.pieces)]
        if not all(isinstance(each, Condition | None) for each in conditions):
            raise Unreadable("a condition that is no set of numbers")
        self.conditions = [each for each in conditions if isinstance(each, Condition)]

    def compare_rows(self) -> Decision:
        return self._over_integers() if self.a.whole or self.b.whole else self._over_reals()

    # -- a real variable -------------------------------------------------------------------------------------

    def _over_reals(self) -> Decision:
        line = Line(tuple(part for each in self.conditions for part in each.held.parts))
        held = {id(each): line.pieces(each.held) for each in self.conditions}
        cuts = [line.where[cut] for cut in line.cuts]
        for index in range(2 * len(cuts) + 1):
            if index % 2:
                place = _Place(at=line.cuts[index // 2])
            else:
                k = index // 2
                place = _Place(cuts[k - 1] if k else None, cuts[k] if k < len(cuts) else None)
            holds = lambda each, index=index: bool(held[id(each)][index])  # noqa: E731
            mine, its = _rows(self.a, holds), _rows(self.b, holds)
            if bool(mine) != bool(its) and (
                self._valued(self.a, mine, place) or self._valued(self.b, its, place)
            ):
                return _differ("It has a value where the other has none.")
            if not all(self._agree(i, j, place) for i in mine for j in its):
                return _differ("Another value in one of the cases.")
        return Decision(True, "numeric")

    def _valued(self, side: Piecewise, rows: list[int], place: _Place) -> bool:
        """Whether one of the rows has a value there: `|x| / x` has none at 0."""
        values = tuple(side.pieces[index].value for index in rows)
        if place.at is None or not self.name or not are_expressions(values):
            return bool(rows)
        return any(self._equal_at(each, each, place.at) for each in values)

    def _agree(self, i: int, j: int, place: _Place) -> bool:
        """Whether rows i and j have the same values in one place."""
        a, b = self.a.pieces[i].value, self.b.pieces[j].value
        if a == b and not (isinstance(a, EXPRESSIONS) and not symbols(a)):  # 1/0 isn't even itself
            return True
        if not isinstance(a, EXPRESSIONS) or not isinstance(b, EXPRESSIONS) or not self.name:
            return self._equal_everywhere(i, j)
        if place.at is not None:
            return self._equal_at(a, b, place.at)
        if self._equal_everywhere(i, j):
            return True
        return all(self._equal_at(a, b, Num(value)) for value in self._inside(a, b, place))

    def _equal_everywhere(self, i: int, j: int) -> bool:
        if (i, j) not in self.everywhere:
            self.everywhere[i, j] = self.values(self.a.pieces[i].value, self.b.pieces[j].value).equal
        return self.everywhere[i, j]

    def _equal_at(self, a: Expr, b: Expr, value: Expr) -> bool:
        return self.values(substitute(a, {self.name: value}), substitute(b, {self.name: value})).equal

    def _inside(self, a: Expr, b: Expr, place: _Place) -> Iterator[Fraction]:
        """Random points of an open interval, and those where a step or a corner may lie."""
        rng = random.Random("palaestra/piece")
        for index in range(POINTS):
            share = Fraction(rng.randrange(1, 1 << 40), 1 << 40)
            far = share * (1, 4, 30, 1000)[index % 4]
            if place.low is not None and place.high is not None:
                yield place.low + (place.high - place.low) * share
            elif place.low is not None:
                yield place.low + far
            elif place.high is not None:
                yield place.high - far
            else:
                yield far if index % 3 else -far
        if symbols(a) | symbols(b) != {self.name}:
            return
        for point in islice(corner_points(a, b, {}), MAX_CORNER_POINTS):
            value = point[self.name]
            if (place.low is None or value > place.low) and (place.high is None or value < place.high):
                yield value

    # -- an integer variable ---------------------------------------------------------------------------------

    def _over_integers(self) -> Decision:
        sets = {id(each): _bounds(each.held) for each in self.conditions}
        least = max((side.least for side in (self.a, self.b) if side.least is not None), default=None)
        for number in self._integers(sets, least):
            holds = lambda each, number=number: _within(sets[id(each)], number) and _remains(each, number)  # noqa: E731
            mine, its = _rows(self.a, holds), _rows(self.b, holds)
            if number < 1 and not (_claims(self.a, mine) or _claims(self.b, its)):
                continue  # only remainders, or what is left, reach down to here
            if bool(mine) != bool(its):
                return _differ("It has a value where the other has none.")
            place = _Place(at=Num(Fraction(number)))
            if not all(self._agree(i, j, place) for i in mine for j in its):
                return _differ("Another value in one of the cases.")
        return Decision(True, "numeric")

    def _integers(
        self, sets: dict[int, list[tuple[Interval, Fraction | None, Fraction | None]]], least: int | None
    ) -> list[int]:
        """Integers about every end and every remainder, and some far ones."""
        modulus = math.lcm(
            1, *(each.residues.modulus for each in self.conditions if each.residues is not None)
        )
        ends = [
            end
            for bounds in sets.values()
            for _, low, high in bounds
            for end in (low, high)
            if end is not None
        ]
        integers = {
            near for end in ends for near in range(math.floor(end) - _AROUND, math.floor(end) + _AROUND + 2)
        }
        last = max((math.floor(end) for end in ends), default=0)
        if modulus > 60 or len(integers) > MAX_WHOLE or abs(last) > 10**9:
            raise Unreadable("conditions with too many ends or remainders")
        integers.update(
            range(1 - modulus, max(POINTS, 6 * modulus)), range(last, last + max(POINTS, 6 * modulus))
        )
        ordered = sorted(math.floor(end) for end in ends)
        for low, high in pairwise(ordered):  # between the ends
            integers.update(range(low, min(high, low + 4 * modulus + POINTS)))
        integers.update(10**3 + each for each in range(2 * modulus))
        if len(integers) > MAX_WHOLE:
            raise Unreadable("conditions with too many ends or remainders")
        return sorted(each for each in integers if least is None or each >= least)


def _rows(side: Piecewise, holds: Callable[[Condition], bool]) -> list[int]:
    """The rows that apply; what is left for `otherwise` where none does."""
    rows = [
        index
        for index, piece in enumerate(side.pieces)
        if isinstance(piece.condition, Condition) and holds(piece.condition)
    ]
    return rows or [index for index, piece in enumerate(side.pieces) if piece.condition is None]


def _claims(side: Piecewise, rows: list[int]) -> bool:
    """Whether one of the rows says by an end, and not by remainders alone, that it reaches this far."""
    conditions = [side.pieces[index].condition for index in rows]
    return any(isinstance(each, Condition) and not _is_line(each.held) for each in conditions)


def _is_line(held: RealSet) -> bool:
    return len(held.parts) == 1 and bool(infinite(held.parts[0].low) and infinite(held.parts[0].high))


def _bounds(held: RealSet) -> list[tuple[Interval, Fraction | None, Fraction | None]]:
    """A set's intervals with the positions of their ends; None for infinite ones."""
    where = lambda end: None if infinite(end) else position(end)  # noqa: E731
    return [(part, where(part.low), where(part.high)) for part in normal(held).parts]


def _within(bounds: list[tuple[Interval, Fraction | None, Fraction | None]], number: int) -> bool:
    for part, low, high in bounds:
        above = low is None or number > low or (number == low and part.low_closed)
        below = high is None or number < high or (number == high and part.high_closed)
        if above and below:
            return True
    return False


def _remains(condition: Condition, number: int) -> bool:
    residues = condition.residues
    return residues is None or number % residues.modulus in residues.remainders


__all__ = ["over_domain", "over_line", "same_function"]
