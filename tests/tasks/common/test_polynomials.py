"""Polynomials as tuples: written, multiplied, derived, integrated."""

import random
from fractions import Fraction

import pytest
from palaestra.tasks.common.polynomials import (
    add,
    derive,
    draw_linear,
    draw_polynomial,
    evaluate_at,
    integrate,
    join_terms,
    multiply,
    write_polynomial,
)


@pytest.mark.parametrize(
    ("coefficients", "text"),
    [
        ((), "0"),
        ((0, 0), "0"),
        ((-3,), "-3"),
        ((0, 1), "x"),
        ((1, -1), "-x + 1"),
        ((5, 0, -1, 2), "2x^3 - x^2 + 5"),
        ((Fraction(1, 2), Fraction(-3, 4)), "-(3/4)x + 1/2"),
    ],
)
def test_polynomials_are_written_as_people_write_them(coefficients, text):
    assert write_polynomial(coefficients) == text


def test_terms_of_several_letters_are_joined_by_their_signs():
    assert join_terms({"x": -2, "y": Fraction(1, 3), "z": 0, "w": -1}) == "-2x + (1/3)y - w"
    assert join_terms({"xy": 1, "": -1}) == "xy - 1"
    assert join_terms({"x": 0}) == join_terms({}) == "0"


def test_arithmetic_agrees_at_points():
    rng = random.Random(0)
    for _ in range(50):
        a, b = draw_polynomial(rng, 3, 9), draw_polynomial(rng, 2, 9)
        assert 0 not in (a[0], a[-1])
        assert len(a) == 4
        for point in (Fraction(-2), Fraction(1, 3), Fraction(5)):
            x, y = evaluate_at(a, point), evaluate_at(b, point)
            assert evaluate_at(multiply(a, b), point) == x * y
            assert evaluate_at(add(a, b), point) == evaluate_at(add(b, a), point) == x + y
        assert derive(integrate(a)) == a
    assert derive((7,)) == (0,)
    assert all(Fraction(b, a).denominator == a for b, a in (draw_linear(rng, 9, 9) for _ in range(99)))
