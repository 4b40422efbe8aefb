"""Polynomials in one variable, exactly: an expression as one, its real zeros, and back.
Bounded by degree and bits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ...forks import NO_FORK
from ..values import Expr, Num, Power, Product, Sum, Sym
from .balls import flint
from .exact import constant

MAX_DEGREE = 24
MAX_BITS = 4_096  # of all coefficients together
MAX_ZEROS = 6  # degree of a polynomial whose zeros are looked for, above 2
# of its coefficients: zeros may lie as near as a power of that, and the library can't be interrupted
MAX_ZEROS_BITS = 128


def polynomial(expr: Expr, name: str, others: Mapping[str, Fraction] | None = None) -> Any | None:
    """A flint polynomial with rational coefficients, where the other
    variables have values; None where it is none."""
    try:
        with NO_FORK:
            return _polynomial(expr, name, others or {})
    except _NoPolynomial:
        return None


class _NoPolynomial(Exception):
    """The expression is none, or too large."""


def _polynomial(expr: Expr, name: str, others: Mapping[str, Fraction]) -> Any:
    new = flint().fmpq_poly
    match expr:
        case Num(value):
            return _bound(new([_rational(value)]))
        case Sym(own):
            if own == name:
                return new([0, 1])
            if own in others:
                return new([_rational(others[own])])
        case Sum(terms):
            total = new([])
            for term in terms:
                total = _bound(total + _polynomial(term, name, others))
            return total
        case Product(factors):
            total = new([1])
            for factor in factors:
                total = _bound(total * _polynomial(factor, name, others))
            return total
        case Power(base, Num(power)) if power.denominator == 1 and 0 <= power <= MAX_DEGREE:
            below = _polynomial(base, name, others)
            if max(below.degree(), 1) * power > MAX_DEGREE:
                raise _NoPolynomial
            return _bound(below ** int(power))
        case _:
            if (value := constant(expr)) is not None:
                return _bound(new([_rational(value)]))
    raise _NoPolynomial


def _rational(value: Fraction) -> Any:
    return flint().fmpq(value.numerator, value.denominator)


def _bound(result: Any) -> Any:
    if result.degree() > MAX_DEGREE or _length(result) > MAX_BITS:
        raise _NoPolynomial
    return result


def _length(result: Any) -> int:
    """Bits of all coefficients together."""
    return sum(each.p.bit_length() + each.q.bit_length() for each in result.coeffs())


def expression(coefficients: Any, name: str) -> Expr:
    """A polynomial as an expression."""
    terms = (
        Product(
            (Num(_fraction(each)), Power(Sym(name), Num(Fraction(power))))
            if power
            else (Num(_fraction(each)),)
        )
        for power, each in enumerate(coefficients.coeffs())
        if each
    )
    return Sum(tuple(terms))


def zeros(coefficients: Any) -> list[Fraction]:
    """The real zeros, in order, to some 40 bits. None of a constant, nor of what is
    too long: near zeros take long to part."""
    if coefficients.degree() < 1:
        return []
    if coefficients.degree() == 1:
        return [-_fraction(coefficients[0]) / _fraction(coefficients[1])]
    if coefficients.degree() == 2:
        return _of_quadratic(*(_fraction(coefficients[power]) for power in (2, 1, 0)))
    if coefficients.degree() > MAX_ZEROS or _length(coefficients) > MAX_ZEROS_BITS:
        return []
    with NO_FORK:
        roots = coefficients.numer().complex_roots()
    return sorted(_near(root.real) for root, _ in roots if root.imag.contains(0))


def _of_quadratic(square: Fraction, linear: Fraction, start: Fraction) -> list[Fraction]:
    middle = -linear / (2 * square)
    below = middle**2 - start / square
    if below < 0:
        return []
    scaled = (below.numerator << 128) // below.denominator
    half = Fraction(math.isqrt(scaled), 1 << 64)
    return [middle - half, middle + half] if half else [middle]


def _near(ball: Any) -> Fraction:
    mantissa, exponent = ball.mid().man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def _fraction(value: Any) -> Fraction:
    return Fraction(int(value.p), int(value.q))


__all__ = ["expression", "polynomial", "zeros"]
