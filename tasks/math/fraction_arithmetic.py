"""Sums, differences, products and quotients of fractions; the answer in any form of the same value.

Levels 1 to 4 have 2, 2, 3 and 4 fractions, with denominators to 30, 99, 30 and 60, and numerators to three
times as much. Of two fractions with denominators to 30 there are more than 10^6 pairs.
"""

import math
import random
from fractions import Fraction

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

COUNTS = (2, 2, 3, 4)
LARGEST = (30, 99, 30, 60)
ASK = (
    "What is {}? Give an integer or a fraction.",
    "Calculate {}. Write the result as an integer or a fraction.",
    "Work out {} exactly, as an integer or a fraction.",
)


def draw_fraction(rng: random.Random, largest: int) -> Fraction:
    """A positive fraction in lowest terms that is no integer."""
    while True:
        below = rng.randint(2, largest)
        above = rng.randint(1, 3 * largest)
        if math.gcd(above, below) == 1:
            return Fraction(above, below)


def combine(total: Fraction, sign: str, other: Fraction) -> tuple[Fraction, str]:
    """The value of one operation, and the step that shows it."""
    if sign == "*":
        value = total * other
        worked = f"{total.numerator * other.numerator}/{total.denominator * other.denominator}"
    elif sign == "/":
        value = total / other
        worked = f"{total.numerator * other.denominator}/{total.denominator * other.numerator}"
    else:
        value = total + other if sign == "+" else total - other
        below = math.lcm(total.denominator, other.denominator)
        left, right = (each.numerator * (below // each.denominator) for each in (total, other))
        worked = f"{left}/{below} {sign} {right}/{below}"
    return value, f"{total} {sign} {other} = {worked} = {value}"


@task(
    "fraction_arithmetic",
    rubric=Rubric(written_number(), answer_tag(weight=0.1)),
    levels=len(COUNTS),
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=120),
    licence="Apache-2.0",
)
def fraction_arithmetic(rng: random.Random, level: int) -> Problem:
    """Fractions added, subtracted, multiplied, divided; levels have more, with larger denominators."""
    total = draw_fraction(rng, LARGEST[level - 1])
    text, rank, steps, parts = str(total), 2, [], [f"{total}"]  # parts: what is added, or what is multiplied
    for _ in range(COUNTS[level - 1] - 1):
        other, sign = draw_fraction(rng, LARGEST[level - 1]), rng.choice("+-*/")
        if sign in "*/" and rank == 0:
            text = f"({text})"
        now = 0 if sign in "+-" else 1
        if now != rank:
            parts = [("+" if now == 0 else "*") + f"({' '.join(sorted(parts))})"]
        parts.append(f"{sign}({other})")
        shown = f"({other})" if sign == "/" else str(other)
        text, rank = f"{text} {sign} {shown}", now
        total, step = combine(total, sign, other)
        steps.append(step)
    metadata = {"steps": steps, "expression": text}
    return Problem(rng.choice(ASK).format(text), str(total), metadata, key=" ".join(sorted(parts)))
