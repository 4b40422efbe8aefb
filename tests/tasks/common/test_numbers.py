"""Numbers that are written, and small tools of number theory, against sympy."""

import random
from fractions import Fraction

import pytest
import sympy
from palaestra.tasks.common.numbers import (
    draw_nonzero,
    enclose,
    factorise,
    list_primes,
    write_decimal,
    write_powers,
)


def test_decimals_are_exact_and_without_trailing_zeros():
    cases = {
        "1/2": "0.5",
        "-5/4": "-1.25",
        "3": "3",
        "0": "0",
        "-1/1000": "-0.001",
        "100": "100",
        "12/10": "1.2",
    }
    assert {text: write_decimal(Fraction(text)) for text in cases} == cases
    with pytest.raises(ValueError, match="no short decimal"):
        write_decimal(Fraction(1, 3))


def test_factors_and_primes_are_those_of_sympy():
    for number in (*range(1, 300), 9_999_991, 2**20, 999 * 997):
        assert factorise(number) == sympy.factorint(number)
    assert list_primes(10_000) == tuple(sympy.primerange(10_000))
    assert list_primes(2) == ()
    assert [write_powers(factorise(number)) for number in (1, 7, 12)] == ["1", "7", "2^2 * 3"]


def test_terms_and_draws():
    assert [enclose(-3), enclose(3)] == ["(-3)", "3"]
    rng = random.Random(0)
    drawn = {draw_nonzero(rng, 3) for _ in range(200)}
    assert drawn == {-3, -2, -1, 1, 2, 3}
