"""Equations of curves and of motion: several curves are where the product of their equations is zero."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from ..traversal import children, negative, substitute, symbols
from ..values import EXPRESSIONS, Apply, Expr, Named, Num, Product, Sequence, Sum, Sym, Value, Zero
from .exact import integer_point
from .numerators import numerator
from .opaque import Field, field_of

MAX_CURVES = 6
MAX_DERIVATIVES = 8
_COORDINATES = frozenset("xyz")
_VARIABLES = frozenset("xyzt")  # no factor of two equations depends on them
_DOTS = ("dot(", "ddot(", "dddot(")
_DERIVATIVE = re.compile(r"(d(?:\^\d)?/d[A-Za-z]\w*(?:\^\d)?)\((\w+)\)")  # as a name
_ZERO, _SOMEWHERE = Num(Fraction(0)), Num(Fraction(5, 7))
Equal = Callable[[Expr, Expr], bool]


def is_curve(value: Value) -> bool:
    """An equation in at least two letters, solved for one of them or not."""
    match value:
        case Named(name, inner, ()):
            return isinstance(inner, EXPRESSIONS) and bool(symbols(inner) - {name})
        case Zero(expression, "="):
            return len(symbols(expression)) > 1
    return False


def are_curves(items: list[Value]) -> bool:
    """Whether all are equations, one of them in two letters: `x = 1` and `y = 2x` are two lines."""
    return any(map(is_curve, items)) and all(map(is_equation, items))


def is_equation(value: Value) -> bool:
    """An equation, solved for a letter or not."""
    match value:
        case Named(_, inner, ()):
            return isinstance(inner, EXPRESSIONS)
        case Zero(_, "="):
            return True
    return False


def equations(value: Value) -> tuple[Expr, ...]:
    """The left sides of `... = 0` for one curve or several alternatives; none for anything else."""
    match value:
        case Named(name, Sequence("answers", items), ()):
            curves: list[Value] = [Named(name, item) for item in items]
        case Sequence("answers", items):
            curves = list(items)
        case _:
            curves = [value]
    if not 0 < len(curves) <= MAX_CURVES or not are_curves(curves):
        return ()
    return tuple(map(equation, curves))


def equation(curve: Value) -> Expr:
    match curve:
        case Named(name, inner) if isinstance(inner, EXPRESSIONS):
            derived = _DERIVATIVE.fullmatch(name)
            left = Apply(derived[1], (Sym(derived[2]),)) if derived else Sym(name)
            return Sum((left, negative(inner)))
        case Zero(expression):
            return expression
    raise TypeError(f"{type(curve).__name__} is no equation.")


def same_curves(a: Value, b: Value, equal: Equal) -> bool:
    """Whether curves in x, y and z, some of them alternatives, are the
    same ones: `y = ±x` and `x^2 = y^2`."""
    mine, other = equations(a), equations(b)
    if not (_in_coordinates(mine) and _in_coordinates(other)):
        return False
    field = field_of(*mine, *other)
    left, right = (
        Product(tuple(numerator(field.substitute(each)) for each in side)) for side in (mine, other)
    )
    point = {name: Num(integer_point(name, 0)) for name in symbols(left) | symbols(right)}
    at_left, at_right = substitute(left, point), substitute(right, point)
    if equal(at_left, _ZERO) or equal(at_right, _ZERO):
        return False
    return equal(Product((left, at_right)), Product((right, at_left)))


def _in_coordinates(sides: tuple[Expr, ...]) -> bool:
    counts = [len(symbols(side) & _COORDINATES) for side in sides]
    return bool(counts) and max(counts) > 1 and min(counts) > 0


def same_motion(a: Expr, b: Expr, equal: Equal) -> bool:
    """Whether two equations `... = 0` in derivatives are one up to a factor that
    holds constants of the problem alone."""
    field = field_of(a, b)
    names, moving = (
        derivatives(a, field) & derivatives(b, field),
        _names_moving(a, field) | _names_moving(b, field),
    )
    if not names or len(names) > MAX_DERIVATIVES:
        return False
    a, b = (numerator(field.substitute(side)) for side in (a, b))
    for name in sorted(names):
        above, below = _coefficient(a, name, equal), _coefficient(b, name, equal)
        if above is not None and below is not None:
            constant = all(_constant_ratio(above, below, each, equal) for each in moving | _VARIABLES)
            return constant and equal(Product((a, below)), Product((b, above)))
    return False


def _coefficient(expr: Expr, name: str, equal: Equal) -> Expr | None:
    """What a name is multiplied by in an expression that is linear in it;
    None where it is not, or that is 0."""
    at = [substitute(expr, {name: Num(Fraction(value))}) for value in (0, 1)]
    slope = Sum((at[1], negative(at[0])))
    line = Sum((at[0], Product((slope, Sym(name)))))
    return slope if equal(expr, line) and not equal(slope, _ZERO) else None


def _constant_ratio(a: Expr, b: Expr, name: str, equal: Equal) -> bool:
    """Whether a / b doesn't depend on a name."""
    if name not in symbols(a) and name not in symbols(b):
        return True
    point = {name: _SOMEWHERE}
    return equal(Product((a, substitute(b, point))), Product((b, substitute(a, point))))


def _names_moving(expr: Expr, field: Field) -> frozenset[str]:
    """Derivatives, and what they are derivatives of, as variables."""
    moving = derivatives(expr, field)
    bases = {name.partition("(")[2][:-1] for name in moving if name.startswith(_DOTS)} | {
        name.rstrip("'") for name in moving
    }
    return moving | bases | _names_derived(expr, field)


def _names_derived(expr: Expr, field: Field) -> frozenset[str]:
    if isinstance(expr, Apply) and "/d" in expr.name:
        return frozenset().union(*(symbols(arg) | symbols(field.substitute(arg)) for arg in expr.args))
    if isinstance(expr, Apply) and expr.name.endswith("'"):
        return symbols(field.substitute(Apply(expr.name.rstrip("'"), expr.args)))
    return frozenset().union(*(_names_derived(child, field) for child in children(expr)))


def derivatives(expr: Expr, field: Field) -> frozenset[str]:
    """Derivatives by the names that they have as variables of their own."""
    match expr:
        case Sym(name) if name.startswith(_DOTS) or name.endswith("'"):
            return frozenset((name,))
        case Apply(name) if (name.startswith("d") and "/d" in name) or name.endswith("'"):
            return symbols(field.substitute(expr))
    return frozenset().union(*(derivatives(child, field) for child in children(expr)))


__all__ = ["are_curves", "equation", "same_curves", "same_motion"]
