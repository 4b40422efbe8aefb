"""Write a number as a product of primes, in any order and with or without powers.

Level 1: five or six primes below 50; there are 50,000 such numbers, some of them drawn more often than
others. Level 2: five primes below 200, 2 * 10^6. Level 3: three primes below 1,000 and two below 50, 10^8.
Level 4: two primes below 10,000 and one below 1,000, 10^8. `operations` counts trial divisions: they grow
with the second largest prime.
"""

import random
from collections.abc import Iterator
from fractions import Fraction
from math import prod

from ...verifiers import Criterion, Rubric, Verdict, answer_tag
from ...verifiers.types import correct, malformed, wrong
from ..common.answers import bounded, read_numbers
from ..common.expressions import list_factor_numbers
from ..common.numbers import factorise, list_primes, write_powers
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

PRIMES = list_primes(10_000)
BELOW = ((50,) * 5, (200,) * 5, (1_000, 1_000, 1_000, 50, 50), (10_000, 10_000, 1_000))
COUNTS = {below: sum(prime < below for prime in PRIMES) for row in BELOW for below in row}
ASK = (
    "Write {} as a product of prime numbers.",
    "Find the prime factorization of {}.",
    "Factor {} into primes.",
)
FORM = " Write it with * and ^, as in 2^2 * 3 * 7."


def names_primes(name: str = "primes") -> Criterion:
    """The answer is a product of powers of primes with the reference's value, or a list of all of them."""

    def equal(reference: dict, answer: str) -> Verdict:
        listed = read_numbers(answer.replace("[", "(").replace("]", ")")) if "," in answer else None
        found = list_factor_numbers(answer) if listed is None else listed
        if found is None:
            return malformed(answer[:80], "Not a product of numbers.")
        expected = sorted(prime for prime, count in reference["primes"] for _ in range(count))
        if sorted(found) == [Fraction(each) for each in expected]:
            return correct(answer)
        return wrong(answer, "Not the primes of the number, each as often as it is in it.")

    return bounded(name, equal, rewrite_product)


def rewrite_product(answer: str) -> Iterator[str]:
    """The same product with another sign, and from back to front."""
    yield answer.replace("*", r"\cdot")
    yield " * ".join(reversed(answer.split(" * ")))


@task(
    "prime_factors",
    rubric=Rubric(names_primes(), answer_tag(weight=0.1)),
    levels=len(BELOW),
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=60),
    licence="Apache-2.0",
)
def prime_factors(rng: random.Random, level: int) -> Problem:
    """Write a number as a product of primes: from primes below 50 to two of four digits."""
    limits = BELOW[level - 1]
    if level == 1 and rng.random() < 0.8:
        limits = (*limits, 50)
    number = prod(PRIMES[rng.randrange(COUNTS[below])] for below in limits)
    powers = factorise(number)
    rest, steps = number, []
    for prime in sorted(prime for prime, count in powers.items() for _ in range(count))[:-1]:
        steps.append(f"{rest} / {prime} = {rest // prime}")
        rest //= prime
    tried = sorted(prime for prime, count in powers.items() for _ in range(count))[-2]
    metadata = {"steps": steps, "operations": sum(prime <= tried for prime in PRIMES)}
    reference = {"primes": sorted([p, e] for p, e in powers.items()), "answer": write_powers(powers)}
    return Problem(rng.choice(ASK).format(number) + FORM, reference, metadata, key=str(number))
