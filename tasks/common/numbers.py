"""Exact numbers as people write them, and small tools of number theory."""

from __future__ import annotations

import random
from fractions import Fraction


def draw_nonzero(rng: random.Random, most: int) -> int:
    """A number from -`most` to `most`, not 0."""
    return rng.randint(1, most) * rng.choice((1, -1))


def write_decimal(value: Fraction | int) -> str:
    """A number with a finite decimal expansion, without trailing zeros.

    Raises ValueError where it has none within 18 digits.

    >>> from fractions import Fraction
    >>> write_decimal(Fraction(-5, 4))
    '-1.25'
    """
    value = Fraction(value)
    scaled, places = abs(value), 0
    while scaled.denominator != 1:
        scaled, places = scaled * 10, places + 1
        if places > 18:
            raise ValueError(f"{value} has no short decimal expansion.")
    sign = "-" if value < 0 else ""
    if not places:
        return f"{sign}{scaled.numerator}"
    digits = f"{scaled.numerator:0{places + 1}}"
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def enclose(value: Fraction | int) -> str:
    """A number as a term of an expression: in parentheses where it is negative."""
    return f"({value})" if value < 0 else str(value)


def factorise(number: int) -> dict[int, int]:
    """The primes of a number of 1 or more with their exponents, by trial division."""
    powers: dict[int, int] = {}
    divisor = 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            powers[divisor] = powers.get(divisor, 0) + 1
            number //= divisor
        divisor += 1 if divisor == 2 else 2
    if number > 1:
        powers[number] = powers.get(number, 0) + 1
    return powers


def write_powers(powers: dict[int, int]) -> str:
    """`2^3 * 5`; "1" for no prime."""
    return " * ".join(f"{p}^{e}" if e > 1 else str(p) for p, e in sorted(powers.items())) or "1"


def list_primes(below: int) -> tuple[int, ...]:
    """The primes below a number, in order."""
    sieve = bytearray([1]) * below
    sieve[:2] = b"\0" * min(2, below)
    for number in range(2, int(below**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, below, number)))
    return tuple(number for number in range(below) if sieve[number])
