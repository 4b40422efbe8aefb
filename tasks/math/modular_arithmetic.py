"""Remainders: of sums of products, of powers, and inverses; moduli are primes, so that every remainder is as
likely.

Level 1: `ab + c`. Level 2: a power to 24. Level 3: an inverse. Level 4: a product of two powers to 10,000.
Moduli are primes from 53 to 997, numbers go to 999, and to 10^6 at level 3: more than 10^6 problems at each.
"""

import random

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.numbers import list_primes
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

MODULI = tuple(prime for prime in list_primes(1_000) if prime > 50)
ASK = (
    "What is the remainder when {} is divided by {}?",
    "Compute {} modulo {}, as a number from 0 to the modulus less 1.",
    "Divide {} by {}. What is the remainder?",
)
INVERSE = (
    "Find the multiplicative inverse of {} modulo {}, as a number from 1 to the modulus less 1.",
    "Which positive integer below {1}, multiplied by {0}, leaves the remainder 1 when divided by {1}?",
)


def raise_to(base: int, exponent: int, modulus: int) -> tuple[int, list[str]]:
    """A power modulo a number by repeated squaring, and the steps that show it."""
    value, steps = base % modulus, [f"{base} mod {modulus}: {base % modulus}"]
    for bit in bin(exponent)[3:]:
        squared = value * value
        steps.append(f"{value}^2 = {squared}, mod {modulus}: {squared % modulus}")
        value = squared % modulus
        if bit == "1":
            product = value * (base % modulus)
            steps.append(f"{value} * {base % modulus} = {product}, mod {modulus}: {product % modulus}")
            value = value * base % modulus
    return value, steps


def invert(number: int, modulus: int) -> tuple[int, list[str]]:
    """The inverse modulo a prime by Euclid's algorithm, and its divisions with their factors."""
    old, new, s, s_next = modulus, number % modulus, 0, 1
    steps = [f"{number} mod {modulus}: {new}"]
    while new:
        quotient = old // new
        steps.append(f"{old} - {quotient} * {new} = {old - quotient * new}, factor {s - quotient * s_next}")
        old, new = new, old - quotient * new
        s, s_next = s_next, s - quotient * s_next
    return s % modulus, steps


@task(
    "modular_arithmetic",
    rubric=Rubric(written_number(whole=True), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=290),
    licence="Apache-2.0",
)
def modular_arithmetic(rng: random.Random, level: int) -> Problem:
    """Remainders: of a sum of products, of a power, an inverse, of a product of large powers."""
    modulus = rng.choice(MODULI)
    a, b = (rng.randint(2, 999) for _ in range(2))
    if level == 1:
        c = rng.randint(1, 999)
        text, total = f"{a} * {b} + {c}", a * b + c
        quotient = total // modulus
        steps = [f"{text} = {total}", f"{total} - {quotient} * {modulus} = {total % modulus}"]
        value = total % modulus
    elif level == 2:
        exponent = rng.randint(8, 24)
        text = f"{a}^{exponent}"
        value, steps = raise_to(a, exponent, modulus)
    elif level == 3:
        a = rng.randint(1_000, 999_999)
        while a % modulus < 2:
            a += 1
        value, steps = invert(a, modulus)
        return Problem(
            rng.choice(INVERSE).format(a, modulus), str(value), {"steps": steps}, key=f"1/{a} {modulus}"
        )
    else:
        e, f = rng.randint(100, 9_999), rng.randint(100, 9_999)
        text = f"{a}^{e} * {b}^{f}"
        (left, first), (right, second) = raise_to(a, e, modulus), raise_to(b, f, modulus)
        value = left * right % modulus
        steps = [*first, *second, f"{left} * {right} = {left * right}, mod {modulus}: {value}"]
    prompt = rng.choice(ASK).format(text, modulus)
    key = " + ".join(" * ".join(sorted(part.split(" * "))) for part in text.split(" + "))  # in whatever order
    return Problem(prompt, str(value), {"steps": steps}, key=f"{key} mod {modulus}")
