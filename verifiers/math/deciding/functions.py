"""The known functions, on balls. Each checks its domain and its poles first,
and bounds its work before it is done."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from .balls import (
    ARGUMENT_WEIGHT,
    GAMMA_COST,
    MARGIN,
    MAX_MAGNITUDE,
    MAX_PRECISION,
    NOTHING,
    Arithmetic,
    Ball,
    OutOfReach,
    Undefined,
    Unresolved,
)

MAX_EXACT_FACTORIAL = 1_000_000
MAX_INTEGER_BITS = 20_000  # of the arguments of gcd and lcm
MAX_ROOT = 10_000  # order of a root that is taken as one
MAX_CHOSEN = 300  # factors of a binomial coefficient that are multiplied

_METHODS = frozenset(
    str.split("sin cos tan cot sec csc sinh cosh tanh coth sech csch asin acos atan asinh acosh atanh")
)
_EXPONENTIAL = frozenset(str.split("sinh cosh tanh coth sech csch"))
_PERIODIC = frozenset(str.split("sin cos tan cot sec csc"))
_POLES = {
    "tan": "cos",
    "sec": "cos",
    "cot": "sin",
    "csc": "sin",
    "coth": "sinh",
    "csch": "sinh",
    "tanh": "cosh",
    "sech": "cosh",
}
_ARC_RECIPROCAL = {"asec": "acos", "acsc": "asin", "acoth": "atanh", "asech": "acosh", "acsch": "asinh"}


def apply(a: Arithmetic, name: str, args: list[Ball]) -> Ball:
    """A function of one or more values. Raises Undefined, Unresolved or OutOfReach, and nothing else."""
    a.spend()
    several = _SEVERAL.get(name)
    if several is not None:
        return several(a, args)
    if len(args) != 1:
        raise Undefined
    one = _ONE.get(name)
    if one is not None:
        return one(a, args[0])
    if name in _ARC_RECIPROCAL:
        return apply(a, _ARC_RECIPROCAL[name], [a.ratio(a.integer(1), args[0])])
    if name in _METHODS:
        return _elementary(a, name, a.snap(args[0]))
    raise Undefined  # no function of numbers, a sign to be chosen for one


# -- powers and roots ----------------------------------------------------------------------------------------


def power(a: Arithmetic, base: Ball, exponent: Ball) -> Ball:
    """A power whose exponent is not a known rational number."""
    base, exponent = a.snap(base), a.snap(exponent)
    if isinstance(exponent.value, a.arb):
        if exponent.value.is_integer() and a.size(exponent.value) <= 60:
            return rational_power(a, base, Fraction(a.whole(exponent) or 0))
        if base.value.is_zero():
            if exponent.value > 0:
                return base
            raise Undefined
        if (
            not (isinstance(base.value, a.arb) and base.value > 0)
            and (whole := a.whole(exponent)) is not None
        ):
            return rational_power(a, base, Fraction(whole))
    elif base.value.is_zero():
        raise Undefined
    a.spend()
    return exp(a, a.times(exponent, ln(a, base)))


def rational_power(a: Arithmetic, base: Ball, exponent: Fraction) -> Ball:
    """The odd root of a negative number is the real one; an even root of one leaves the reals."""
    base = a.snap(base)
    if base.value.is_zero():
        if exponent <= 0:
            raise Undefined
        return base
    above, below = exponent.numerator, exponent.denominator
    if isinstance(base.value, a.acb) and below == 1 and abs(above) <= MAX_ROOT:
        return _integer_power(a, base, above)
    if isinstance(base.value, a.acb) or (base.value < 0 and below % 2 == 0):
        a.leave_reals()
        return exp(a, a.times(a.rational(exponent), ln(a, base)))
    size = a.make(abs(base.value))
    if below <= MAX_ROOT and abs(above).bit_length() <= 60:
        result = _integer_power(a, _root(a, size, below), above)
    else:
        result = exp(a, a.times(a.rational(exponent), ln(a, size)))
    return a.negative(result) if base.value < 0 and above % 2 else result


def _integer_power(a: Arithmetic, base: Ball, exponent: int) -> Ball:
    if max(abs(a.size(base.value)), 1) * abs(exponent) > MAX_MAGNITUDE:
        raise OutOfReach
    a.spend()
    return a.make(base.value**exponent)


def _root(a: Arithmetic, radicand: Ball, order: int) -> Ball:
    if order == 1:
        return radicand
    a.spend()
    return a.make(radicand.value.sqrt() if order == 2 else radicand.value.root(order))


def root(a: Arithmetic, radicand: Ball, order: Ball) -> Ball:
    """A root whose order is not a known rational number."""
    return power(a, radicand, a.ratio(a.integer(1), order))


# -- exponential and logarithm -------------------------------------------------------------------------------


def exp(a: Arithmetic, x: Ball) -> Ball:
    size = a.size(x.value)
    if size > 60:
        raise OutOfReach
    if NOTHING < size < 0:
        a.note(ARGUMENT_WEIGHT * -size)
    a.spend()
    return a.make(x.value.exp())


def ln(a: Arithmetic, x: Ball) -> Ball:
    x = a.snap(x)
    if x.value.is_zero():
        raise Undefined
    a.spend()
    value = x.value
    if isinstance(value, a.arb) and value < 0:
        a.leave_reals()
        value = a.acb(value)
    return a.make(value.log(), x.scale - a.size(x.value))


def log(a: Arithmetic, base: Ball, x: Ball) -> Ball:
    return a.ratio(ln(a, x), ln(a, base))


# -- trigonometric and hyperbolic functions, their inverses --------------------------------------------------


def _elementary(a: Arithmetic, name: str, x: Ball) -> Ball:
    value, scale = x.value, NOTHING
    a.spend(2 if name in _POLES else 1)
    if not value.is_zero():
        scale = _prepare(a, name, a.size(value))
    if name in _POLES and (isinstance(value, a.acb) or _POLES[name] != "cosh"):
        below = getattr(value, _POLES[name])()
        if a.is_zero(a.make(below, 0)):
            raise Undefined
    if name in ("asin", "acos", "acosh", "atanh"):
        value = _within(a, name, x)
    elif name == "atan" and isinstance(value, a.acb):
        _off_poles(a, x, a.acb(0, 1))
    return a.make(getattr(value, name)(), scale)


def _prepare(a: Arithmetic, name: str, size: int) -> int:
    """Bounds the argument, notes how many bits it asks for; the scale of the result."""
    if name in _EXPONENTIAL:
        if size > 60:
            raise OutOfReach
        a.note(ARGUMENT_WEIGHT * -size if size <= 0 else 3 << size)  # e^{-2x} beside 1
        return NOTHING
    a.note(ARGUMENT_WEIGHT * abs(size))
    if name in _PERIODIC:
        if size > MAX_PRECISION // 2:
            raise OutOfReach
        if size > a.precision - MARGIN // 2:
            raise Unresolved(a.wanted + size)
        return 0 if size > 0 else NOTHING
    return NOTHING


def _within(a: Arithmetic, name: str, x: Ball) -> object:
    """The argument, exact at the ends of the domain, complex beyond them."""
    value = x.value
    if isinstance(value, a.acb):
        return value
    for end in (1, -1):
        if value.contains(end) and a.is_zero(Ball(value - end, max(x.scale, 0))):
            if name == "atanh":
                raise Undefined
            value = a.arb(end)
    inside = value >= 1 if name == "acosh" else abs(value) <= 1
    if not inside:
        a.leave_reals()
        return a.acb(value)
    return value


def _off_poles(a: Arithmetic, x: Ball, pole: Any) -> None:
    for each in (pole, -pole):
        if a.is_zero(a.make(x.value - each, max(x.scale, 0))):
            raise Undefined


def _acot(a: Arithmetic, x: Ball) -> Ball:
    half = a.make(a.arb.pi() / 2)
    return a.sum([half, a.negative(_elementary(a, "atan", a.snap(x)))])


def _cis(a: Arithmetic, x: Ball) -> Ball:
    a.leave_reals()
    return exp(a, a.times(a.make(a.acb(0, 1)), x))


# -- whole numbers -------------------------------------------------------------------------------------------


def _factorial(a: Arithmetic, x: Ball) -> Ball:
    x = a.snap(x)
    size = a.size(x.value)
    if isinstance(x.value, a.arb):
        whole = a.whole(x) if size < 64 and x.value.contains_integer() else None
        if whole is not None and whole < 0:
            raise Undefined
        if whole is not None and whole <= MAX_EXACT_FACTORIAL:
            return a.make(a.arb.fac_ui(whole))
        if size > (60 if x.value > 0 else 20):
            raise OutOfReach
    elif size > 20:
        raise OutOfReach
    a.spend(GAMMA_COST)
    a.note(ARGUMENT_WEIGHT * abs(size))
    return a.make((x.value + 1).gamma())


def _factorial2(a: Arithmetic, x: Ball) -> Ball:
    whole = a.whole(a.real(x))
    if whole is None or not 0 <= whole <= MAX_EXACT_FACTORIAL:
        raise Undefined if whole is None or whole < 0 else OutOfReach
    half = whole // 2
    if whole % 2 == 0:
        return a.make(a.arb.fac_ui(half) * a.arb(2) ** half)
    return a.make(a.arb.fac_ui(whole) / (a.arb.fac_ui(half) * a.arb(2) ** half))


def _binomial(a: Arithmetic, args: list[Ball]) -> Ball:
    """A polynomial in the upper argument for small lower ones, else by factorials."""
    above, below = _exactly(2, args)
    chosen = a.whole(below) if isinstance(below.value, a.arb) and a.size(below.value) < 64 else None
    if chosen is not None and chosen <= MAX_CHOSEN:
        total = a.integer(1 if chosen >= 0 else 0)
        for index in range(chosen):
            a.spend()
            total = a.times(total, a.sum([above, a.integer(-index)]) if index else above)
        return a.ratio(total, a.integer(math.factorial(max(chosen, 0))))
    rest = a.sum([above, a.negative(below)])
    if (
        chosen is not None
        and isinstance(rest.value, a.arb)
        and a.sign(rest) < 0 <= a.sign(above)
        and a.whole(above) is not None
    ):
        return Ball(a.arb(0), NOTHING)  # fewer than are chosen
    return a.ratio(_factorial(a, above), a.times(_factorial(a, below), _factorial(a, rest)))


def _integers(a: Arithmetic, args: list[Ball]) -> list[int]:
    integers = []
    for arg in map(a.real, args):
        if a.size(arg.value) > MAX_INTEGER_BITS:
            raise OutOfReach
        whole = a.whole(arg)
        if whole is None:
            raise Undefined
        integers.append(whole)
    return integers


def _gcd(a: Arithmetic, args: list[Ball]) -> Ball:
    return a.integer(math.gcd(*_integers(a, args)))


def _lcm(a: Arithmetic, args: list[Ball]) -> Ball:
    total = 1
    for each in _integers(a, args):
        total = math.lcm(total, each)
        if total.bit_length() > MAX_INTEGER_BITS:
            raise OutOfReach
    return a.integer(total)


# -- steps and corners ---------------------------------------------------------------------------------------


def _floor(a: Arithmetic, x: Ball) -> Ball:
    x = a.real(x)
    if a.size(x.value) > a.precision - MARGIN // 2:
        raise Unresolved(a.size(x.value) + MARGIN) if a.size(x.value) < MAX_PRECISION // 2 else OutOfReach
    whole = a.whole(x)
    return a.make(x.value.floor()) if whole is None else a.integer(whole)


def _ceil(a: Arithmetic, x: Ball) -> Ball:
    return a.negative(_floor(a, a.negative(x)))


def _sgn(a: Arithmetic, x: Ball) -> Ball:
    return a.integer(a.sign(a.real(x)))


def _abs(a: Arithmetic, x: Ball) -> Ball:
    return a.make(abs(x.value), x.scale)


def _largest(a: Arithmetic, args: list[Ball]) -> Ball:
    best, *others = map(a.real, args)
    for other in others:
        if a.sign(a.sum([other, a.negative(best)])) > 0:
            best = other
    return best


def _smallest(a: Arithmetic, args: list[Ball]) -> Ball:
    return a.negative(_largest(a, [a.negative(arg) for arg in args]))


def _exactly(count: int, args: list[Ball]) -> list[Ball]:
    if len(args) != count:
        raise Undefined
    return args


_ONE: dict[str, Callable[[Arithmetic, Ball], Ball]] = {
    "exp": exp,
    "ln": ln,
    "acot": _acot,
    "cis": _cis,
    "factorial": _factorial,
    "factorial2": _factorial2,
    "floor": _floor,
    "ceil": _ceil,
    "sgn": _sgn,
    "abs": _abs,
}
_SEVERAL: dict[str, Callable[[Arithmetic, list[Ball]], Ball]] = {
    "log_base": lambda a, args: log(a, *_exactly(2, args)),
    "binomial": _binomial,
    "gcd": _gcd,
    "lcm": _lcm,
    "max": _largest,
    "min": _smallest,
    "root": lambda a, args: root(a, *_exactly(2, args)),
}
