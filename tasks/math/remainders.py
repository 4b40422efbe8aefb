"""The least number with given remainders: the Chinese remainder theorem.

Levels 1 to 4 have 2, 3, 4 and 5 moduli, without common divisors and below 100, 60, 60 and 60. Two moduli of
some size below 100 have 3,000 pairs with hundreds of pairs of remainders each, more than 10^6 in all.
"""

import math
import random

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

LARGEST = (99, 60, 60, 60)
ASK = (
    "Find the smallest non-negative integer n such that {conditions}.",
    "What is the least integer n >= 0 with {conditions}?",
)
TOLD = (
    "Some coins lie on a table. {piles}. What is the smallest possible number of coins?",
    "A shop packs eggs into boxes. {piles}. What is the smallest number of eggs that fits all of this?",
)


def merge(value: int, modulus: int, remainder: int, other: int) -> tuple[int, int, str]:
    """The least number with both remainders, the product of the moduli, and the step that shows it."""
    share = (remainder - value) * pow(modulus, -1, other) % other
    merged = value + modulus * share
    return merged, modulus * other, f"{value} + {modulus} * {share} = {merged}, modulo {modulus * other}"


def draw_moduli(rng: random.Random, count: int, largest: int) -> list[int]:
    """Numbers without common divisors, the smallest first."""
    found: list[int] = []
    while len(found) < count:
        candidate = rng.randint(5, largest)
        if all(math.gcd(candidate, each) == 1 for each in found):
            found.append(candidate)
    return sorted(found)


@task(
    "remainders",
    rubric=Rubric(written_number(whole=True), answer_tag(weight=0.1)),
    levels=len(LARGEST),
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=110),
    licence="Apache-2.0",
)
def remainders(rng: random.Random, level: int) -> Problem:
    """The least number with given remainders modulo two to five numbers without common divisors."""
    moduli = draw_moduli(rng, level + 1, LARGEST[level - 1])
    while True:
        pairs = [(rng.randrange(1, modulus), modulus) for modulus in moduli]
        value, modulus = pairs[0]
        steps = []
        for remainder, other in pairs[1:]:
            value, modulus, step = merge(value, modulus, remainder, other)
            steps.append(step)
        if value > max(moduli):  # no remainder is the answer itself
            break
    key = ", ".join(f"{remainder} mod {modulus}" for remainder, modulus in pairs)
    rng.shuffle(pairs)
    if rng.random() < 0.5:
        said = " and ".join(f"n leaves remainder {r} when divided by {m}" for r, m in pairs)
        prompt = rng.choice(ASK).format(conditions=said)
    else:
        piles = ". ".join(f"In groups of {m} there is a rest of {r}" for r, m in pairs)
        prompt = rng.choice(TOLD).format(piles=piles)
    return Problem(prompt, str(value), {"steps": steps}, key=key)
