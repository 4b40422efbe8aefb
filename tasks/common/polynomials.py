"""Polynomials in one letter as tuples of coefficients, the constant first: written, multiplied, derived."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from fractions import Fraction

from .numbers import draw_nonzero

Coefficients = tuple[Fraction | int, ...]


def join_terms(terms: Mapping[str, Fraction | int]) -> str:
    """A sum of numbers times powers, in the order of the mapping; "0" where all the numbers are.

    terms: what each number stands before, "" for a constant.

    >>> join_terms({"x^2": 3, "xy": -1, "y": 0, "": 4})
    '3x^2 - xy + 4'
    """
    text = ""
    for power, coefficient in terms.items():
        if coefficient:
            sign = ("-" if coefficient < 0 else "") if not text else " - " if coefficient < 0 else " + "
            text += f"{sign}{_write_size(abs(coefficient), power)}{power}"
    return text or "0"


def _write_size(size: Fraction | int, power: str) -> str:
    if not power:
        return str(size)
    return "" if size == 1 else str(size) if Fraction(size).denominator == 1 else f"({size})"


def write_polynomial(coefficients: Sequence[Fraction | int], letter: str = "x") -> str:
    """`3x^2 - x + 1/2`, the highest power first; "0" for the zero polynomial.

    >>> write_polynomial((0, -1, 3))
    '3x^2 - x'
    """
    powers = ("", letter, *(f"{letter}^{power}" for power in range(2, len(coefficients))))
    return join_terms(dict(reversed([*zip(powers, coefficients, strict=False)])))


def order_factors(text: str) -> str:
    """A product of two parenthesised factors, whichever stands first; any other text as it is.

    >>> order_factors("(x - 1)(x + 2)")
    '(x + 2)(x - 1)'
    """
    first, between, second = text.partition(")(")
    if not between or ")(" in second or not (first.startswith("(") and second.endswith(")")) or ")" in first:
        return text
    if ")" in second[:-1]:
        return text
    return f"({')('.join(sorted((first[1:], second[:-1])))})"


def multiply(left: Coefficients, right: Coefficients) -> Coefficients:
    product: list[Fraction | int] = [0] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            product[i + j] += a * b
    return tuple(product)


def add(left: Coefficients, right: Coefficients) -> Coefficients:
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    return tuple(a + (shorter[i] if i < len(shorter) else 0) for i, a in enumerate(longer))


def derive(coefficients: Coefficients) -> Coefficients:
    return tuple(power * each for power, each in enumerate(coefficients) if power) or (0,)


def integrate(coefficients: Coefficients) -> Coefficients:
    """The antiderivative that is 0 at 0."""
    return (0, *(Fraction(each) / (power + 1) for power, each in enumerate(coefficients)))


def evaluate_at(coefficients: Coefficients, point: Fraction | int) -> Fraction:
    total = Fraction(0)
    for each in reversed(coefficients):
        total = total * point + each
    return total


def draw_polynomial(rng: random.Random, degree: int, most: int) -> Coefficients:
    """Coefficients from -`most` to `most`; neither the first nor the last is 0."""
    inner = (rng.randint(-most, most) for _ in range(degree - 1))
    return (draw_nonzero(rng, most), *inner, draw_nonzero(rng, most))


def draw_linear(rng: random.Random, slope: int, most: int) -> Coefficients:
    """`a x + b` with a from 1 to `slope` and b from -`most` to `most`, not 0, without a common divisor."""
    while True:
        a, b = rng.randint(1, slope), draw_nonzero(rng, most)
        if Fraction(b, a).denominator == a:
            return (b, a)
