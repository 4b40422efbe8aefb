"""Algebraic answers: read without evaluation, and told apart by their form."""

from fractions import Fraction

import pytest
from palaestra.tasks.common.expressions import (
    list_factor_numbers,
    list_factors,
    list_terms,
    read_expression,
    read_polynomial,
)


def terms_of(text):
    return list_terms(read_expression(text))


def test_terms_are_listed_when_nothing_is_left_to_do():
    assert terms_of("3x^2 - x/2 + 1") == {(("x", 2),): 3, (("x", 1),): Fraction(-1, 2), (): 1}
    assert terms_of("xy") == {(("x", 1), ("y", 1)): 1}
    assert terms_of("(3x + 1) - y") == {(("x", 1),): 3, (): 1, (("y", 1),): -1}
    for text in (
        "x + x",
        "2*3x",
        "x*x",
        "2(x + 1)",
        "(x + 1)^2",
        "x^2/x",
        "x^-1",
        "x^(1/2)",
        "sin(x)",
        "x^999",
    ):
        assert terms_of(text) is None, text


def test_factors_are_listed_as_they_were_written():
    factors = list_factors(read_expression("-2(x + 1)^2(x - 3) * 5"))
    assert factors.constant == -10
    assert [read_polynomial(base, "x") for base in factors.bases] == [(1, 1), (1, 1), (-3, 1)]
    (base,) = list_factors(
        read_expression("(x + 1)^999")
    ).bases  # not written out: no polynomial to work with
    assert read_polynomial(base, "x") is None


@pytest.mark.parametrize(
    ("text", "coefficients"),
    [("x^0", (1,)), ("x - x + 1", (1,)), ("0x^2 + x", (0, 1)), ("0x", (0,)), ("x-x", (0,))],
)
def test_a_polynomial_has_the_degree_that_it_is_worth(text, coefficients):
    assert read_polynomial(read_expression(text), "x") == coefficients


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("2^3 * 5", [2, 2, 2, 5]),
        ("7", [7]),
        ("2 x 3", [2, 3]),
        ("2 + 3", None),
        ("2^x", None),
        ("2^0.5", None),
        ("", None),
    ],
)
def test_the_numbers_of_a_product(text, numbers):
    found = list_factor_numbers(text)
    assert (sorted(found) if found else found) == numbers


def test_what_is_no_expression_is_none():
    for text in ("", "x = ", "yes", "1 < x", "1, 2", "x" * 1_000, "(" * 300):
        assert read_expression(text) is None, text
    assert read_expression("y = x + 1") == read_expression("x + 1")
    assert read_polynomial(read_expression("x^2 + C"), "x", ("C",)) == (0, 0, 1)
    assert read_polynomial(read_expression("x^2 + C"), "x") is None
