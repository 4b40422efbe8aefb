"""Algebraic answers as values of the math verifier, and what form they are in: multiplied out, or factors.

The verifier's parser evaluates nothing and keeps sums, products and powers as they were written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from ...verifiers.forks import NO_FORK
from .answers import MAX_CHARS, tidy

if TYPE_CHECKING:
    from ...verifiers.math.values import Expr
    from .polynomials import Coefficients

MAX_POWER = 24  # of a letter, or of a factor
Monomial = tuple[tuple[str, int], ...]  # letters with their powers, sorted


def read_expression(answer: str) -> Expr | None:
    """The expression that an answer is, behind the last sign of equality in it; None for anything else."""
    with NO_FORK:  # brings the parser along: only answers to such tasks pay for it
        from ...verifiers.math.pipeline import value_of
        from ...verifiers.math.reading.text import normalise
        from ...verifiers.math.values import EXPRESSIONS
    if len(answer) > MAX_CHARS:
        return None
    text = normalise(tidy(answer).rpartition("=")[2].strip())
    value = value_of(text) if text else None
    return value if isinstance(value, EXPRESSIONS) else None


def read_polynomial(expr: Expr, letter: str, constants: tuple[str, ...] = ()) -> Coefficients | None:
    """The coefficients of a polynomial, the constant first, the last one not 0 but in the zero polynomial.

    None where the expression is no polynomial.

    constants: letters that are read as 0, as those of a constant of integration.
    """
    with NO_FORK:
        from ...verifiers.math.deciding.polynomials import polynomial
    found = polynomial(expr, letter, dict.fromkeys(constants, Fraction(0)))
    if found is None:
        return None
    coefficients = [Fraction(int(c.p), int(c.q)) for c in found.coeffs()]
    while len(coefficients) > 1 and not coefficients[-1]:  # of x^2 - x^2, or of 0x
        coefficients.pop()
    return tuple(coefficients) or (Fraction(0),)


def list_terms(expr: Expr) -> dict[Monomial, Fraction] | None:
    """The terms of an expression that is multiplied out and collected: each product of letters once, with one
    number before it. None where something is left to do."""
    from ...verifiers.math.values import Sum

    if isinstance(expr, Sum):
        found: dict[Monomial, Fraction] = {}
        for term in expr.terms:
            inner = list_terms(term)
            if inner is None or found.keys() & inner.keys():
                return None
            found |= inner
        return found
    return _read_term(expr)


def _read_term(expr: Expr) -> dict[Monomial, Fraction] | None:
    """One number times powers of different letters."""
    from ...verifiers.math.values import Num, Power, Product, Sym

    powers: dict[str, int] = {}
    above, below, sign, waiting = [], [], 1, [expr]
    while waiting:
        match waiting.pop():
            case Product(factors):
                waiting.extend(factors)
            case Num(value) if value == -1:
                sign = -sign
            case Num(value):
                above.append(value)
            case Power(Num(value), Num(exponent)) if exponent == -1 and value:
                below.append(value)
            case Sym(name) if name not in powers:
                powers[name] = 1
            case Power(Sym(name), Num(exponent)) if name not in powers and _is_count(exponent):
                powers[name] = int(exponent)
            case _:
                return None
    if len(above) > 1 or len(below) > 1:
        return None
    number = sign * (above[0] if above else Fraction(1)) / (below[0] if below else Fraction(1))
    return {tuple(sorted(powers.items())): number}


def _is_count(value: Fraction) -> bool:
    return value.denominator == 1 and 1 <= value <= MAX_POWER


@dataclass(frozen=True, slots=True)
class Factors:
    """constant: the product of all numbers.  bases: every other factor, as often as it is there."""

    constant: Fraction
    bases: tuple[Expr, ...]


def list_factors(expr: Expr) -> Factors | None:
    """The factors of a product as it was written, powers as repeated factors; None beyond MAX_POWER."""
    with NO_FORK:
        from ...verifiers.math.deciding.exact import constant
    from ...verifiers.math.values import Num, Power, Product

    number, bases, waiting = Fraction(1), [], [expr]
    while waiting:
        each = waiting.pop()
        value = constant(each)
        if value is not None:
            number *= value
        elif isinstance(each, Product):
            waiting.extend(reversed(each.factors))
        elif isinstance(each, Power) and isinstance(each.exponent, Num) and _is_count(each.exponent.value):
            waiting.extend([each.base] * int(each.exponent.value))
        else:
            bases.append(each)
        if len(bases) > MAX_POWER or len(waiting) > MAX_CHARS:
            return None
    return Factors(number, tuple(bases))


def list_factor_numbers(answer: str) -> list[Fraction] | None:
    """The numbers of a product as it was written, powers as repeated factors; None for anything else."""
    from ...verifiers.math.values import Num, Power, Product

    expr = read_expression(re.sub(r"(?<=\d)\s*[xX]\s*(?=\d)", " * ", answer[: MAX_CHARS + 1]))
    waiting: list[Expr] = [expr] if expr is not None else []
    found: list[Fraction] = []
    while waiting:
        match waiting.pop():
            case Product(factors):
                waiting.extend(factors)
            case Num(value):
                found.append(value)
            case Power(Num(value), Num(exponent)) if _is_count(exponent):
                found.extend([value] * int(exponent))
            case _:
                return None
    return found or None
