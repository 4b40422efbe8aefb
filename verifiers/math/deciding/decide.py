"""Equality of two expressions, by the cheapest stage that can tell. Pure; bounded by counts;
works in any thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from ..traversal import children, contains, symbols
from ..types import EXACT, Tolerance
from ..values import Call, Expr, Num, Power, Product, Sum, Sym
from . import factored, numeric
from .arrange import cancel
from .balls import BUDGET, Budget
from .counting import agree_at_integers
from .exact import Inexact, UndefinedValue, constant, evaluate, integer_point
from .realset import infinite

FIXED_COST = 50  # microseconds, about, of a decision beyond the first exact stage
_INFINITE = frozenset(("infinity",))
_LOG = frozenset(("log",))
_EVERYWHERE = frozenset(str.split("abs exp sin cos sinh cosh tanh asinh atan acot"))
_TWO = Num(Fraction(2))


@dataclass(frozen=True, slots=True)
class Decision:
    """equal: decided for good, unless `open`: then it was not shown, and a
    symbolic engine may still try `pair`.

    cost: microseconds, about, of evaluation; counted, not measured.
    """

    equal: bool
    stage: str
    reason: str = ""
    open: tuple[Expr, Expr] | None = None
    cost: int = 0


def decide(a: Expr, b: Expr, tolerance: Tolerance = EXACT) -> Decision:
    """Whether two expressions are equal: structure, exact arithmetic, exact
    points, then balls. Raises nothing."""
    try:
        return _decide(a, b, tolerance)
    except RecursionError:
        return Decision(False, "structure", "Not shown equal: it nests too deeply.")


def _decide(a: Expr, b: Expr, tolerance: Tolerance) -> Decision:
    if a == b:
        return _identical(a)
    if isinstance(a, Num) and isinstance(b, Num):
        same = tolerance.holds(a.value, b.value)
        return Decision(same, "exact", "" if same else f"{_short(b.value)} is not {_short(a.value)}.")
    if contains(a, _INFINITE) or contains(b, _INFINITE):
        same = infinite(a) == infinite(b) != 0
        return Decision(same, "structure", "" if same else "Infinity equals itself alone.")
    x, y = constant(a), constant(b)
    if x is not None and y is not None:
        same = x == y or tolerance.holds(x, y)
        return Decision(same, "exact", "" if same else f"{_short(y)} is not {_short(x)}.")
    if tolerance.relative or tolerance.absolute:
        near = _near(a, b, tolerance)
        if near is not None:
            return near
    names = symbols(a) | symbols(b)
    spent = 0
    if not names:
        budget = Budget()
        same = factored.equal(a, b, budget)
        spent = BUDGET - budget.left
        if same is not None:
            return Decision(same, "exact", "" if same else "Another number.", cost=FIXED_COST + spent)
    elif (by_points := _rational_points(a, b)) is not None:
        return Decision(by_points, "exact", "" if by_points else "They differ at a point.")
    elif (by_integers := agree_at_integers(a, b)) is not None:
        return Decision(by_integers, "exact", "" if by_integers else "They differ at an integer.")
    return _numeric(a, b, FIXED_COST + spent)


def _identical(expr: Expr) -> Decision:
    budget = Budget()
    empty = valueless(expr, budget) or (contains(expr, _INFINITE) and not infinite(expr))
    return Decision(
        not empty, "structure", "The expression has no value." if empty else "", cost=BUDGET - budget.left
    )


def _near(a: Expr, b: Expr, tolerance: Tolerance) -> Decision | None:
    x = constant(a) if constant(a) is not None else numeric.approximate(a)
    y = constant(b) if constant(b) is not None else numeric.approximate(b)
    if x is None or y is None:
        return None
    near = tolerance.holds(x, y)
    return Decision(near, "numeric", "" if near else "Outside the tolerance.")


def _numeric(a: Expr, b: Expr, cost: int) -> Decision:
    either = contains(a, _LOG) or contains(b, _LOG)
    results = []
    for base in (10, 0) if either else (10,):
        budget = Budget()
        results.append(numeric.agree(a, b, base, budget))
        cost += BUDGET - budget.left
        if results[-1]:
            return Decision(True, "numeric", cost=cost)
    if None not in results:
        return Decision(False, "numeric", "They differ in value, or one has none.", cost=cost)
    if cancel(a, b):
        decisions = [_identical(each) for each in (a, b)]
        cost += sum(each.cost for each in decisions)
        return replace(next((each for each in decisions if not each.equal), decisions[0]), cost=cost)
    budget = Budget(BUDGET // 4)
    # one has a plain value, the other is out of range
    if numeric.within_reach(a, budget) or numeric.within_reach(b, budget):
        return Decision(False, "numeric", "Not shown equal: a value is out of range.", cost=cost)
    return Decision(False, "numeric", "Not shown equal.", open=(a, b), cost=cost)


def _short(value: Fraction) -> str:
    if value.numerator.bit_length() + value.denominator.bit_length() > 400:
        return "another long number"
    return str(value)


def valueless(expr: Expr, budget: Budget) -> bool:
    """Whether a constant in it has no value at all (1/0)."""
    if not symbols(expr):
        if not _risky(expr):
            return False
        try:
            evaluate(expr, lambda _: Fraction(0))
            return False
        except UndefinedValue:
            return True
        except Inexact:
            lacks = numeric.valueless(expr, budget)
        if lacks is not None:
            return lacks
    return any(valueless(child, budget) for child in children(expr))


def _risky(expr: Expr) -> bool:
    """Whether it may have no value: for quotients, and for functions that are not defined everywhere."""
    match expr:
        case Power(Num(base), Num()) if base:
            return False
        case Power(_, Num(exponent)) if exponent <= 0:
            return True
        case Power(_, exponent) if not isinstance(exponent, Num):
            return True
        case Call(name, args) if name not in _EVERYWHERE and not (name == "root" and args[1:] == (_TWO,)):
            return True
    return any(map(_risky, children(expr)))


def _rational_points(a: Expr, b: Expr) -> bool | None:
    """Equality of two rational functions at two integer points; None when they are none, or too long."""
    seen = 0
    for index in range(6):
        point = lambda name, index=index: integer_point(name, index)  # noqa: E731
        try:
            if evaluate(a, point) != evaluate(b, point):
                return False if _polynomial(a) and _polynomial(b) else None
            seen += 1
        except UndefinedValue:
            continue
        except Inexact:
            return None
        if seen >= 2:
            return True if _polynomial(a) and _polynomial(b) else None
    return None


def _polynomial(expr: Expr) -> bool:
    """Built by +, -, *, / and integer powers alone: no steps (floor), roots or signs (|x|)."""
    match expr:
        case Num() | Sym():
            return True
        case Power(base, Num(exponent)):
            return exponent.denominator == 1 and _polynomial(base)
        case Sum() | Product():
            return all(_polynomial(child) for child in children(expr))
    return constant(expr) is not None


def rational_factor(a: Expr, b: Expr) -> Fraction | None:
    """a / b where that is the same rational number at two points."""
    ratios = []
    for index in range(2):
        point = lambda name, index=index: integer_point(name, index)  # noqa: E731
        try:
            below = evaluate(b, point)
            if below == 0:
                return None
            ratios.append(evaluate(a, point) / below)
        except (Inexact, UndefinedValue):
            return Fraction(1)
    if ratios[0] != ratios[1]:
        return None
    return ratios[0]
