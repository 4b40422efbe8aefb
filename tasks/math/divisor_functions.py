"""What the divisors of a number say: the least common multiple, the sum of divisors, how many numbers are
coprime to it.

Levels 1 to 4 have pairs of numbers to 1,500, 6,000, 24,000 and 96,000. A third of the problems are of each
kind: level 1 has 10^6 of each. `operations` counts the trial divisions that find their divisors.
"""

import math
import random

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.numbers import factorise, write_powers
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

LARGEST = (1_500, 6_000, 24_000, 96_000)
ASK = {
    "multiple": (
        "What is the least common multiple of {} and {}?",
        "Find the smallest positive integer that both {} and {} divide.",
    ),
    "sum": (
        "Add up all positive divisors of {0}, 1 and {0} included, and all those of {1}. What is the total?",
        "What is the sum of the positive divisors of {} plus the sum of the positive divisors of {}?",
    ),
    "coprime": (
        "How many pairs (a, b) of integers are there with 1 <= a <= {0} and 1 <= b <= {1} such that a "
        "is coprime "
        "to {0} and b is coprime to {1}?",
        "Let phi be Euler's totient function. What is phi({}) * phi({})?",
    ),
}


def sum_divisors(number: int) -> tuple[int, str]:
    """The sum of all divisors, and the product that gives it."""
    powers = factorise(number)
    factors = [(p ** (e + 1) - 1) // (p - 1) for p, e in powers.items()]
    return math.prod(factors), f"{number} = {write_powers(powers)}: " + " * ".join(map(str, factors))


def count_coprime(number: int) -> tuple[int, str]:
    """Euler's totient, and the product that gives it."""
    powers = factorise(number)
    factors = [p ** (e - 1) * (p - 1) for p, e in powers.items()]
    return math.prod(factors), f"{number} = {write_powers(powers)}: " + " * ".join(map(str, factors))


@task(
    "divisor_functions",
    rubric=Rubric(written_number(whole=True), answer_tag(weight=0.1)),
    levels=len(LARGEST),
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=160),
    licence="Apache-2.0",
)
def divisor_functions(rng: random.Random, level: int) -> Problem:
    """Least common multiples, sums of divisors, and how many numbers are coprime; numbers grow fourfold."""
    a, b = sorted(rng.randint(LARGEST[level - 1] // 15, LARGEST[level - 1]) for _ in range(2))
    kind = rng.choice((*ASK,))
    if kind == "multiple":
        divisor, value = math.gcd(a, b), math.lcm(a, b)
        steps = [f"{each} = {write_powers(factorise(each))}" for each in (a, b)]
        steps.append(f"{a} * {b} / {divisor} = {value}")
    else:
        (left, first), (right, second) = (
            (sum_divisors if kind == "sum" else count_coprime)(each) for each in (a, b)
        )
        value, sign = (left + right, "+") if kind == "sum" else (left * right, "*")
        steps = [f"{first} = {left}", f"{second} = {right}", f"{left} {sign} {right} = {value}"]
    metadata = {"steps": steps, "kind": kind, "operations": math.isqrt(a) + math.isqrt(b)}
    return Problem(rng.choice(ASK[kind]).format(a, b), str(value), metadata, key=f"{kind} {a} {b}")
