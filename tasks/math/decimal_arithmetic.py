"""Decimals added, subtracted, multiplied, and divided with a stated rounding.

Level 1: a sum or difference. Level 2: two of them and a product. Level 3: sums of two products. Level 4: a
quotient of such a sum, rounded to two decimals; no result lies half-way, so that every rule of rounding gives
the same. Two numbers of four digits already make 8 * 10^7 problems.
"""

import random
from fractions import Fraction

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.numbers import write_decimal
from ..common.worked import show_work
from ..core.problem import Problem
from ..core.task import task

ASK = ("What is {}?", "Calculate {}.", "Work out {}.", "Evaluate {}.")
EXACT = " Give the exact decimal number."
ROUNDED = " Round the result to two decimal places."


def draw_decimal(rng: random.Random, places: int, digits: int) -> Fraction:
    """A number of so many digits, so many of them after the point, that the last is not 0."""
    return Fraction(rng.randrange(10 ** (digits - 1), 10**digits) // 10 * 10 + rng.randint(1, 9), 10**places)


def show_sum(a: Fraction, sign: str, b: Fraction) -> tuple[Fraction, str]:
    """The value of a sum, difference or product, and the step that shows it."""
    value = a + b if sign == "+" else a - b if sign == "-" else a * b
    return value, f"{write_decimal(a)} {sign} {write_decimal(b)} = {write_decimal(value)}"


def round_to_hundredths(value: Fraction) -> Fraction | None:
    """The nearest hundredth; None where two are as near."""
    scaled = value * 100
    low = scaled.numerator // scaled.denominator
    rest = scaled - low
    return None if rest == Fraction(1, 2) else Fraction(low + (rest > Fraction(1, 2)), 100)


def draw_chain(rng: random.Random, level: int) -> tuple[str, Fraction, list[str]]:
    """An expression, its exact value and the steps that lead to it."""
    if level == 1:
        a, b, sign = draw_decimal(rng, 2, 4), draw_decimal(rng, rng.choice((1, 2)), 4), rng.choice("+-")
        value, step = show_sum(a, sign, b)
        return f"{write_decimal(a)} {sign} {write_decimal(b)}", value, [step]
    terms, steps = [], []
    for _ in range(1 if level == 2 else 2):
        a, b = draw_decimal(rng, 1, 2 if level == 2 else 3), draw_decimal(rng, rng.choice((1, 2)), 2)
        value, step = show_sum(a, "*", b)
        terms.append((f"{write_decimal(a)} * {write_decimal(b)}", value))
        steps.append(step)
    for _ in range(2 if level == 2 else 1):
        single = draw_decimal(rng, 2, 4)
        terms.append((write_decimal(single), single))
    rng.shuffle(terms)
    text, total = terms[0]
    for shown, value in terms[1:]:
        sign = rng.choice("+-")
        text = f"{text} {sign} {shown}"
        total, step = show_sum(total, sign, value)
        steps.append(step)
    return text, total, steps


@task(
    "decimal_arithmetic",
    rubric=Rubric(written_number(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    licence="Apache-2.0",
)
def decimal_arithmetic(rng: random.Random, level: int) -> Problem:
    """Decimals: a sum, then sums of products, then their quotient rounded to two places."""
    while True:
        text, value, steps = draw_chain(rng, level)
        if level < 4:
            rounded, ending = value, EXACT
            break
        divisor = rng.randint(3, 97)
        rounded, ending = round_to_hundredths(value / divisor), ROUNDED
        if rounded is not None:
            text = f"({text}) / {divisor}"
            whole, rest = divmod(abs(value) * 100, divisor)
            steps.append(
                f"{write_decimal(abs(value) * 100)} / {divisor} = {whole}, rest {write_decimal(rest)}"
            )
            break
    return Problem(rng.choice(ASK).format(text) + ending, write_decimal(rounded), {"steps": steps}, key=text)
