"""Greatest common divisor of two numbers; three digits at level 1, each level adds one.

The divisor is drawn first, from 2 to 30 at level 1 and ten times as far at each further one: of numbers drawn
alone, three pairs in five have the divisor 1, which would be worth guessing. Level 1 has some 10^5 pairs.
"""

import math
import random
from collections.abc import Iterator

from ..verifiers import Rubric, answer_tag, number
from .core.problem import Problem
from .core.task import task

TRIED = 20


def try_small_divisors(problem: Problem, rng: random.Random) -> str:  # noqa: ARG001 - as of an attempt
    """The largest common divisor among the first numbers up to `TRIED`."""
    a, b = map(int, problem.key.split())
    return f"<answer>{max(d for d in range(1, TRIED + 1) if a % d == b % d == 0)}</answer>"


@task(
    "gcd",
    rubric=Rubric(number(), answer_tag(weight=0.1)),
    levels=3,
    kind="math",
    licence="Apache-2.0",
    attempt=try_small_divisors,
)
def gcd(rng: random.Random, level: int) -> Iterator[Problem]:
    """Greatest common divisor of two numbers; three digits at level 1, each level adds one."""
    divisor, largest = rng.randint(2, 3 * 10**level), 10 ** (level + 2)
    while True:
        a, b = sorted(rng.randint(1, (largest - 1) // divisor) for _ in range(2))
        if math.gcd(a, b) == 1 and b > 1:
            break
    yield Problem(
        prompt=f"What is the greatest common divisor of {divisor * a} and {divisor * b}?",
        reference=str(divisor),
        key=f"{divisor * a} {divisor * b}",
    )
