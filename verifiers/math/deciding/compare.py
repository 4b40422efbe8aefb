"""Comparison of resolved values, by type and element by element. Pure; bounded by counts;
works in any thread."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from ..traversal import names_in, substitute, symbols
from ..types import EXACT, Tolerance
from ..units import DEGREE, RADIAN, letter_unit, radians, scale_by
from ..values import (
    EXPRESSIONS,
    Choice,
    Clock,
    Congruence,
    Const,
    Date,
    Expr,
    Family,
    Matrix,
    Named,
    Num,
    Piecewise,
    Power,
    Product,
    Quantity,
    Ratio,
    RealSet,
    Sequence,
    Sum,
    Sym,
    System,
    Value,
    Words,
    Zero,
    clock24,
)
from .constants import differ_by_constant, differ_by_names_of_constants
from .conversions import letters_of, ratio_clock
from .counting import choose_count
from .curves import equation, is_equation, same_curves, same_motion
from .decide import Decision, decide, rational_factor
from .elements import ElementComparison, differ
from .exact import constant
from .families import INTEGER, adapt, find_left_out, renamings, same_family, same_residues
from .kinds import is_as_spelled, is_of_another_kind, name_kind, rank
from .numerators import numerator
from .opaque import name_applications
from .piecewise import over_domain, over_line, same_function
from .sentences import says

MAX_PAIRS = 4_000  # comparisons of elements within one check
# microseconds, about, of one; what evaluation costs counts for as many as it could have made
COST_OF_PAIR = 25
_ZERO = Num(Fraction(0))
_CURVES = (Named, Zero, Sequence)


def compare(a: Value, b: Value, tolerance: Tolerance = EXACT) -> Decision:
    """Whether b, an answer, is a, the reference."""
    return _Comparison(tolerance).values(a, b)


def alike(values: Iterable[Value]) -> bool:
    """Whether all values are equal; they share one budget of comparisons."""
    first, *others = values
    comparison = _Comparison(EXACT)
    return all(comparison.values(first, other).equal for other in others)


def distinct(values: Iterable[Value]) -> list[Value]:
    """The values without those that are shown equal to an earlier one;
    they share one budget of comparisons."""
    comparison = _Comparison(EXACT)
    kept: list[Value] = []
    for value in values:
        if not any(comparison.values(other, value).equal for other in kept):
            kept.append(value)
    return kept


class _Comparison(ElementComparison):
    """One check: its tolerance, and how many comparisons it may still make."""

    def __init__(self, tolerance: Tolerance) -> None:
        super().__init__(tolerance)
        self.left = MAX_PAIRS

    def values(self, a: Value, b: Value) -> Decision:
        self.left -= 1
        if self.left < 0:
            return Decision(False, "structure", "Too many elements to compare.")
        if isinstance(a, EXPRESSIONS) and isinstance(b, EXPRESSIONS):
            return self.expressions(a, b)
        orders = ((a, b, False), (b, a, True))
        for first, second, flipped in orders if rank(a) <= rank(b) else orders[::-1]:
            decision = self._compare_offered(first, second, flipped) or self._one_way(first, second, flipped)
            if decision is not None:
                if (
                    not decision.equal
                    and isinstance(a, _CURVES)
                    and isinstance(b, _CURVES)
                    and same_curves(a, b, self._equal)
                ):
                    return Decision(True, "exact")
                return decision
        return differ(f"{name_kind(b)} is not {name_kind(a)}.")

    def _compare_offered(self, a: Value, b: Value, flipped: bool) -> Decision | None:
        """What stands beside a choice's letter answers it, and `A, B, D` is `ABD`."""
        match a, b:
            case Choice(beside=value, colon=False), _ if value is not None and not isinstance(b, Choice):
                letter = self._plain(a, b)
                return (
                    letter
                    if letter is not None and letter.equal
                    else self._compare_in_order(value, b, flipped)
                )
            case Sequence("answers" | "set"), Product() | Words() if (letters := letters_of(a)) is not None:
                return Decision(letters == letters_of(b), "structure")
        return None

    def _one_way(self, a: Value, b: Value, flipped: bool) -> Decision | None:
        """Rules that hold both ways, written for one order. `flipped`: a
        is the answer and b the reference."""
        match a, b:
            case Family(), _:
                return self._family(a, b, flipped)
            case Named(), _:
                return self._named(a, b, flipped)
            case System(), _:
                return self._system(a, b, flipped)
            case Zero(), Zero():
                return self._zero(a, b)
            case Zero(stated=value), _ if value is not None and isinstance(b, (*EXPRESSIONS, Quantity)):
                return self._compare_in_order(value, b, flipped)
            case Quantity(), Quantity():
                return self._quantities(a, b)
            case Quantity(), _:
                return self._compare_bare(a, b, flipped)
            case Sequence("answers" | "set", items), _ if not self.depth and not isinstance(
                b, Sequence | RealSet | Congruence
            ):
                # {5, 5} has one element; 5, 5 are two answers
                kept = self._distinct(items) if a.kind == "set" else items
                if len(kept) == 1:
                    return self._compare_in_order(kept[0], b, flipped)
                return differ("Several answers." if items else "The empty set is no other answer.")
            case Congruence(), Sym() | Sum() | Product() | Sequence("answers"):
                return self._residues(a, b, flipped)
            case Sequence(), Sequence():
                return self._sequences(a, b, flipped)
            case RealSet(), RealSet() | Sequence():
                return self._sets(a, b)
            case Matrix(), Matrix() | Sequence():
                return self._matrices(a, b, flipped)
        return self._plain(a, b)

    def _plain(self, a: Value, b: Value) -> Decision | None:
        """Kinds without elements of any type: ratios, residues, times, dates, choices, words."""
        match a, b:
            case Piecewise(), Piecewise():
                return same_function(a, b, self.values)
            case Piecewise(), _ if isinstance(b, EXPRESSIONS):
                return same_function(a, over_line(b, a), self.values)
            case Ratio(), _:
                return self._ratios(a, b)
            case Congruence(), Congruence():
                same = same_residues(a, b, self._equal)
                return Decision(same, "exact", "" if same else "Another residue class.")
            case Clock(seconds), Clock(other):
                return Decision(seconds == other, "structure")
            case Clock(), Words(text):
                return Decision(clock24(text) == a, "structure")
            case Date(), Date():
                return Decision(a == b, "structure")
            case Choice(letter, beside), Choice(other, its):
                if letter == other and beside is not None and its is not None:
                    return self.values(beside, its)
                return Decision(letter == other, "structure", "" if letter == other else "Another choice.")
            case Choice(letter), Const("e" | "i" as name):  # a choice in lower case
                return Decision(name.upper() == letter, "structure")
            case Choice(letter), Sym(name):
                return Decision(name.upper() == letter, "structure")
            case Choice(letter), Words(text):
                return Decision(text == letter.lower(), "structure")
            case Words(text), Words(other):
                same = (text == other and bool(text)) or says(text, other) or says(other, text)
                return Decision(same, "text", "" if same else "Another text.")
        return None

    def expressions(self, a: Expr, b: Expr) -> Decision:
        a, b = name_applications(a, b)
        decision = decide(a, b, self.tolerance)
        self.left -= decision.cost // COST_OF_PAIR
        if not decision.equal and (
            differ_by_constant(a, b, self._equal) or differ_by_names_of_constants(a, b, self._equal)
        ):
            return Decision(True, decision.stage)
        return decision

    def _equal(self, a: Expr, b: Expr) -> bool:
        decision = decide(a, b) if self.left >= 0 else Decision(False, "structure")
        self.left -= 1 + decision.cost // COST_OF_PAIR
        return decision.equal and self.left >= 0

    def _family(self, a: Family, b: Value, flipped: bool) -> Decision:
        mine, other = a.value, b.value if isinstance(b, Family) else adapt(a, b)
        if isinstance(other, Sequence) and any(isinstance(item, Congruence) for item in other.items):
            return differ("A system of congruences is one class.")
        if (left_out := find_left_out(mine)) is not None and (its := find_left_out(other)) is not None:
            mine, other = left_out, its
        if same_family(mine, other, self._equal):
            return Decision(True, "numeric")
        decision = self._compare_in_order(mine, other, flipped)
        return next(
            (
                each
                for again in renamings(other)
                if (each := self._compare_in_order(mine, again, flipped)).equal
            ),
            decision,
        )

    def _residues(self, a: Congruence, b: Value, flipped: bool) -> Decision:
        """`x = 3 (mod 7)` says what `7k + 3` says."""
        numbers: Value = Sum((a.value, Product((a.modulus, INTEGER))))
        return self._family(Family(Named(a.name, numbers) if a.name else numbers), b, flipped)

    # -- names, systems, equations ---------------------------------------------------------------------------

    def _named(self, a: Named, b: Value, flipped: bool) -> Decision:
        if isinstance(b, EXPRESSIONS) and (count := choose_count(a, b)) is not None:
            return self._compare_in_order(count, b, flipped)
        if isinstance(b, Named):
            if a.name == b.name and not (a.parameters and b.parameters):  # V = 5t and V(t) = 5t
                return self._compare_in_order(a.value, b.value, flipped)
            if a.name != b.name or len(a.parameters) != len(b.parameters):
                if a.parameters or b.parameters or not self._one_curve(a, b):
                    return differ(f"{b.name} is not {a.name}.")
                return self._zero(_equation(a), _equation(b))
            value = b.value
            if a.parameters != b.parameters and not all(
                name.islower() for name in (*a.parameters, *b.parameters)
            ):
                return differ(f"{b.name} of something else.")
            free = names_in(b.value) - frozenset(b.parameters)
            if free & frozenset(a.parameters):
                return differ("A parameter of one is a constant of the other.")
            for mine, other in zip(a.parameters, b.parameters, strict=True):
                value = substitute(value, {other: Sym(mine)})
            return self._compare_in_order(a.value, value, flipped)
        if isinstance(b, Zero):
            if a.parameters or not isinstance(a.value, EXPRESSIONS) or not symbols(a.value):
                return differ("An equation or inequality still to be solved is no answer.")
            return self._zero(_equation(a), b)
        if isinstance(b, System):
            return self._system(b, a, not flipped)
        if is_of_another_kind(a, b):
            return differ(f"What is said of {a.name} is of another kind.")
        if (
            isinstance(a.value, Sequence)
            and a.value.kind == "answers"
            and isinstance(b, Sequence)
            and b.kind in ("tuple", "vector")
        ):
            return differ("Several values of one name are no tuple.")
        return self._compare_in_order(a.value, b, flipped)

    def _one_curve(self, a: Named, b: Named) -> bool:
        """`y = 2x` and `x = y/2` are one line; `x = 3` and `y = 3` are not."""
        sides = (a.value, b.value)
        return all(isinstance(side, EXPRESSIONS) and symbols(side) for side in sides)

    def _system(self, a: System, b: Value, flipped: bool) -> Decision:
        if isinstance(b, System):
            if [name for name, _ in a.entries] != [name for name, _ in b.entries]:
                return differ("Other names have values.")
            return self._all(tuple(v for _, v in a.entries), tuple(v for _, v in b.entries), flipped)
        if isinstance(b, Named) and (piece := over_domain(a, b)) is not None:
            return self._compare_in_order(piece, b.value, flipped)
        if (
            isinstance(b, Sequence)
            and b.kind in ("tuple", "vector", "answers")
            and not any(map(is_equation, b.items))
        ):
            return self._all(a.in_order(), b.items, flipped)
        return differ("Several names have values.")

    def _zero(self, a: Zero, b: Zero) -> Decision:
        """Equal up to a constant factor, a positive one for inequalities."""
        if a.operator != b.operator:
            return differ("Another relation.")
        decision = self._proportions(a, b)
        if not decision.equal and a.operator == "=" and same_motion(a.expression, b.expression, self._equal):
            return Decision(True, "exact")
        return decision

    def _proportions(self, a: Zero, b: Zero) -> Decision:
        left, right = name_applications(a.expression, b.expression)
        if a.operator == "=":
            left, right = numerator(left), numerator(right)
        factor = rational_factor(left, right)
        if factor is None or factor == 0 or (factor < 0 and a.operator in (">", ">=")):
            return differ("Not the same equation.")
        return self.expressions(left, Product((Num(factor), right)))

    # -- quantities ------------------------------------------------------------------------------------------

    def _quantities(self, a: Quantity, b: Quantity) -> Decision:
        if a.unit.dims == b.unit.dims:
            return self.values(scale_by(a.value, a.unit.scale), scale_by(b.value, b.unit.scale))
        dims = {a.unit.dims, b.unit.dims}
        if dims == {DEGREE.dims, RADIAN.dims}:
            return self.values(radians(a), radians(b))
        # 2 m g and 2 mg; not 5 ms
        if a.letters is not None and b.letters is not None and not (a.optional or b.optional):
            return self.expressions(a.letters, b.letters)
        return differ("Another unit.")

    def _compare_bare(self, a: Quantity, b: Value, flipped: bool) -> Decision:
        """A unit that the other side leaves out; an angle may stand in radians without one."""
        if not a.unit.dims:
            return self._compare_in_order(scale_by(a.value, a.unit.scale), b, flipped)
        if isinstance(b, Sequence) and b.kind == "answers" and len(b.items) > 1:
            return differ("Several answers.")
        if isinstance(b, Product) and (read := letter_unit(b)) is not None:
            return self._compare_in_order(a, read, flipped)
        if (
            a.letters is not None
            and isinstance(b, EXPRESSIONS)
            and symbols(b)
            and is_as_spelled(a, a.letters, b)
        ):
            product = self._compare_in_order(a.letters, b, flipped)
            if product.equal:
                return product
        if not a.optional:
            return differ("A unit, or a product of letters.")
        plain = self._compare_in_order(a.value, b, flipped)
        if (
            not plain.equal
            and a.unit.dims == DEGREE.dims
            and isinstance(b, EXPRESSIONS)
            and constant(b) is None
        ):
            return self._compare_in_order(radians(a), b, flipped)
        return plain

    # -- ratios, congruences ---------------------------------------------------------------------------------

    def _ratios(self, a: Ratio, b: Value) -> Decision | None:
        match b:
            case Ratio(parts):
                if len(parts) != len(a.parts):
                    return differ("A ratio of another length.")
                return self._proportional(a.parts, parts)
            case Clock():
                return Decision(ratio_clock(a) == b, "structure")
        if isinstance(b, EXPRESSIONS) and len(a.parts) == 2:
            return self.expressions(Product((a.parts[0], Power(a.parts[1], Num(Fraction(-1))))), b)
        return None

    def _proportional(self, a: tuple[Expr, ...], b: tuple[Expr, ...]) -> Decision:
        """By a part that isn't 0 on either side: 0 : 0 is no ratio."""
        lead = next((k for k, part in enumerate(a) if not self.expressions(part, _ZERO).equal), None)
        if lead is None or self.expressions(b[lead], _ZERO).equal:
            return differ("A part is 0.")
        for mine, its in zip(a, b, strict=True):
            crossed = self.expressions(Product((mine, b[lead])), Product((its, a[lead])))
            if not crossed.equal:
                return crossed
        return Decision(True, "exact")


def _equation(named: Named) -> Zero:
    return Zero(equation(named), "=")


__all__ = ["EXACT", "Decision", "Tolerance", "alike", "compare", "distinct"]
