"""Equalities, inequalities, memberships and approximations: named values, sets of reals, equations."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from ..deciding import realset
from ..deciding.compare import alike
from ..show import show
from ..traversal import negative, symbols, terms_of
from ..values import (
    EXPRESSIONS,
    MINUS_ONE,
    Apply,
    Call,
    Expr,
    Named,
    Num,
    Power,
    Product,
    Quantity,
    Relation,
    Sequence,
    Sum,
    Sym,
    System,
    Unreadable,
    Value,
    Zero,
    are_expressions,
)
from .intervals import interval_between, is_quantity
from .joining import read_chain, shared_name
from .operands import check_arithmetic, unresolved
from .parser import named_set
from .signs import choices, chosen_together, has_both_signs
from .vocabulary import SETS

Resolve = Callable[[Value], Value]


def read_relation(relation: Relation, resolve: Resolve) -> Value:
    """What a chain of relations says, its sides resolved: a named value, a
    set, an equation. Raises Unreadable."""
    operands, operators = tuple(map(_strip_brackets, relation.operands)), relation.operators
    if "~" in operators:
        return _approximation(operands, operators, resolve)
    if set(operators) <= {"=", "=="}:
        return _equality(operands, resolve)
    if operators == ("in",):
        return _member(operands[0], resolve(operands[1]))
    if are_expressions(operands) and "in" not in operators:
        return _inequality(operands, operators)
    raise Unreadable("a relation of this kind")


def _approximation(operands: tuple[Value, ...], operators: tuple[str, ...], resolve: Resolve) -> Value:
    """`x ≈ 3.14` gives x a value; in `1/3 ≈ 0.33` and `x = 1/3 ≈ 0.33` the exact value counts."""
    cut = operators.index("~")
    if cut:
        _check_near(operands[cut], operands[cut + 1])
        return _measure(resolve(Relation(operands[: cut + 1], operators[:cut])), operands[-1])
    left, right = operands[0], operands[1]
    name = name_of(left)
    if name is not None:
        return Named(name[0], resolve(right), name[1])
    if (
        isinstance(left, EXPRESSIONS)
        and symbols(left)
        and not (isinstance(right, EXPRESSIONS) and symbols(right))
    ):
        raise Unreadable("an expression that is about a number")
    _check_near(left, right)
    return _measure(resolve(left), operands[-1])


def _check_near(exact: Value, decimals: Value) -> None:
    """Raises Unreadable for `1/3 ≈ 8`: two numbers that are further apart
    than a rounding to one figure puts them."""
    decimals = decimals.value if isinstance(decimals, Quantity) else decimals
    if (
        not isinstance(exact, EXPRESSIONS)
        or not isinstance(decimals, EXPRESSIONS)
        or symbols(exact)
        or symbols(decimals)
    ):
        return
    a, b = realset.position(exact), realset.position(decimals)
    if abs(a - b) > abs(a) / 20 and not (b.denominator == 1 and abs(a - b) <= Fraction(1, 2)):
        raise Unreadable("an approximation that is none")


def _measure(value: Value, last: Value) -> Value:
    """A value with the unit that the decimals beside it have."""
    if isinstance(value, EXPRESSIONS) and isinstance(last, Quantity):
        return Quantity(value, last.unit)
    if isinstance(value, Named) and isinstance(value.value, EXPRESSIONS) and isinstance(last, Quantity):
        return Named(value.name, Quantity(value.value, last.unit), value.parameters)
    return value


def _strip_brackets(value: Value) -> Value:
    return value.factors[0] if isinstance(value, Product) and len(value.factors) == 1 else value


def _equality(operands: tuple[Value, ...], resolve: Resolve) -> Value:
    left, last = operands[0], operands[-1]
    name = name_of(left)
    if (
        name is None
        and len(operands) == 2
        and isinstance(last, Sym)
        and not (isinstance(left, Sym | Sequence))
    ):
        return _equality((last, left), resolve)
    if isinstance(left, Sequence) and left.kind == "tuple" and (letters := _letters(left.items)) is not None:
        return _assign(letters, resolve(last))
    if name is not None:
        values = [resolve(operand) for operand in operands[1:]]
        if len(values) > 1 and not alike(values):
            if (system := read_chain(operands, values[-1])) is not None:  # a = b = c = s
                return system
            raise Unreadable("a chain of equalities that doesn't hold")
        inner = values[0]
        bound = frozenset((name[0],)) & (symbols(inner) if isinstance(inner, EXPRESSIONS) else frozenset())
        if not bound or name[1]:
            return Named(shared_name(name[0]) if isinstance(inner, Sequence) else name[0], inner, name[1])
    if len(operands) == 2 and isinstance(left, EXPRESSIONS) and isinstance(last, EXPRESSIONS):
        check_arithmetic(left)
        check_arithmetic(last)
        if has_both_signs(left) or has_both_signs(last):
            return Sequence(
                "answers", tuple(_equality(sides, resolve) for sides in chosen_together((left, last)))
            )
        if not symbols(left) and not symbols(last):  # 2 + 3 = 5
            if alike([left, last]):
                return last
            raise Unreadable("an equality that doesn't hold")
        return Zero(Sum((left, negative(last))), "=", last if _asked_for(left, last) else None)
    values = [resolve(operand) for operand in operands]
    if alike(values):
        return values[-1]
    raise Unreadable("a chain of equalities that doesn't hold")


def _asked_for(left: Expr, right: Expr) -> bool:
    """Whether an equation says what was asked for: the sum of different letters (`m + n = 16`), their ratio,
    a distance (`|AB| = 2`). Any other, and what is said to be 0, is a condition; in x,
    y and z it is a curve."""
    names = symbols(left)
    if symbols(right) or not is_quantity(left) or alike([right, Num(Fraction(0))]):
        return False
    match left:
        case Call("abs", (Product((Sym(a), Sym(b))),)):
            return a != b
        case Product((Sym(a), Power(Sym(b), Num(value)))) if value == -1:
            return a != b
    terms = terms_of(left)
    return 1 < len(terms) == len(names) and all(isinstance(term, Sym) for term in terms)


def name_of(value: Value) -> tuple[str, tuple[str, ...]] | None:
    """What a value is given to: `x`, `f(x)` with its parameters, `f(2)` and `dy/dx` as names of their own."""
    match value:
        case Sym(name):
            return name, ()
        case Apply(name, args):
            if (letters := _letters(args)) is not None and "/" not in name and len(set(args)) == len(args):
                return name, letters
            return show(value), ()
        case Product((Sym(name), Sequence() as place)) if place.kind == "tuple" and name in _FUNCTION_NAMES:
            return None if (letters := _letters(place.items)) is None else (name, letters)
    return None


def _letters(values: tuple[Value, ...]) -> tuple[str, ...] | None:
    """The letters that all of the values are; None where one is something else."""
    letters = tuple(value.name for value in values if isinstance(value, Sym))
    return letters if len(letters) == len(values) else None


_FUNCTION_NAMES = frozenset(str.split("f g h p q r u v w y x F G H P Q R T S"))


def _assign(letters: tuple[str, ...], value: Value) -> Value:
    """`(x, y) = (1, 2)`, or several tuples."""
    if isinstance(value, Sequence) and value.kind in ("tuple", "vector") and len(value.items) == len(letters):
        return System.of(zip(letters, value.items, strict=True))
    return value


def _member(left: Value, right: Value) -> Value:
    if isinstance(left, Sym):
        if isinstance(right, Sym) and right.name in SETS:
            right = named_set(right.name)
        elif isinstance(right, Sequence) and right.kind in ("tuple", "list") and len(right.items) == 2:
            right = realset.as_set(right)  # x in (1, 2) is an interval, never a point
        return Named(left.name, right)
    if isinstance(left, Sequence) and left.kind == "tuple":
        return right
    raise Unreadable("membership of this kind")


def _inequality(operands: tuple[Expr, ...], operators: tuple[str, ...]) -> Value:
    """A solved one (`a < x <= b`, `-x > 1`) is a set of reals with a name; any other stays an inequality."""
    if any(
        isinstance(each, Product) and each.factors[0] == MINUS_ONE and isinstance(each.factors[-1], Sym)
        for each in operands
    ):
        operands, operators = (
            tuple(map(_opposite, operands)),
            tuple(_FLIPPED.get(operator, operator) for operator in operators),
        )
    between = interval_between(operands, operators)
    if between is not None:
        name, parameters = name_of(operands[1]) or (show(operands[1]), ())
        return Named(name, between, parameters)
    if len(operators) != 1:
        raise Unreadable("a chain of inequalities")
    left, right = operands
    operator = operators[0]
    if operator not in _FLIPPED:
        raise Unreadable(f"the relation {operator}")
    if isinstance(right, Sym) and not isinstance(left, Sym):
        left, right, operator = right, left, _FLIPPED[operator]
    if isinstance(left, Apply) and not symbols(right) and (applied := name_of(left)) is not None:
        return Named(applied[0], realset.half_line(operator, right), applied[1])
    if isinstance(left, Sym) and not symbols(right):
        if operator == "!=" and has_both_signs(right):  # x != ±5
            without: list[Value] = [realset.half_line(operator, unresolved(end)) for end in choices(right)]
            return Named(left.name, realset.combine_all("intersection", without))
        return Named(left.name, realset.half_line(operator, right))
    if operator in ("<", "<="):
        left, right, operator = right, left, _FLIPPED[operator]
    return Zero(Sum((left, negative(right))), operator)


def _opposite(expr: Expr) -> Expr:
    match expr:
        case Product((Num(value), Sym() as name)) if value == -1:
            return name
    return negative(expr)


_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "!=": "!="}
