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
from ..common.worked import Posed, err_by_work, show_work
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


def draw_chain(rng: random.Random, level: int) -> Posed:
    """An expression, its exact value and the steps to it; the key forgets the order of its terms."""
    if level == 1:
        a, b, sign = draw_decimal(rng, 2, 4), draw_decimal(rng, rng.choice((1, 2)), 4), rng.choice("+-")
        value, step = show_sum(a, sign, b)
        ordered = sorted((a, b)) if sign == "+" else (a, b)
        return Posed(step.partition(" = ")[0], value, [step], f"{ordered[0]} {sign} {ordered[1]}")
    terms, steps = [], []
    for _ in range(1 if level == 2 else 2):
        a, b = draw_decimal(rng, 1, 2 if level == 2 else 3), draw_decimal(rng, rng.choice((1, 2)), 2)
        value, step = show_sum(a, "*", b)
        terms.append((step.partition(" = ")[0], value, f"{min(a, b)}*{max(a, b)}"))
        steps.append(step)
    for _ in range(2 if level == 2 else 1):
        single = draw_decimal(rng, 2, 4)
        terms.append((write_decimal(single), single, str(single)))
    rng.shuffle(terms)
    text, total, key = terms[0]
    parts = [f"+{key}"]
    for shown, value, key in terms[1:]:
        sign = rng.choice("+-")
        text, parts = f"{text} {sign} {shown}", [*parts, f"{sign}{key}"]
        total, step = show_sum(total, sign, value)
        steps.append(step)
    return Posed(text, total, steps, " ".join(sorted(parts)))


@task(
    "decimal_arithmetic",
    rubric=Rubric(written_number(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=100),
    licence="Apache-2.0",
)
def decimal_arithmetic(rng: random.Random, level: int) -> Problem:
    """Decimals: a sum, then sums of products, then their quotient rounded to two places."""
    while True:
        chain = draw_chain(rng, level)
        text, value, steps, key = chain.prompt, Fraction(chain.value), [*chain.steps], chain.key
        if level < 4:
            rounded, ending = value, EXACT
            break
        divisor = rng.randint(3, 97)
        rounded, ending = round_to_hundredths(value / divisor), ROUNDED
        if rounded is not None:
            text, key = f"({text}) / {divisor}", f"({key}) / {divisor}"
            scaled = abs(value) * 100
            whole, rest = divmod(scaled, divisor)
            steps.append(f"{write_decimal(scaled)} / {divisor} = {whole}, rest {write_decimal(rest)}")
            break
    prompt = rng.choice(ASK).format(text) + ending
    return Problem(prompt, write_decimal(rounded), {"steps": steps, "expression": text}, key=key)
