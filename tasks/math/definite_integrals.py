"""The integral of a polynomial between two integers, an exact number.

Levels 1 to 3: degrees 1, 2 and 3, with coefficients to 40, 15 and 9 and ends to 12, 6 and 5. Level 4: a
product of two quadratics. Level 1 has 80^2 polynomials and 300 pairs of ends, 1.9 * 10^6.
"""

import random
from fractions import Fraction

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.numbers import enclose
from ..common.polynomials import (
    draw_polynomial,
    evaluate_at,
    integrate,
    multiply,
    order_factors,
    write_polynomial,
)
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

DEGREES, COEFFICIENTS, ENDS = (1, 2, 3), (40, 15, 9, 5), (12, 6, 5, 4)
ASK = (
    "Compute the integral of {} from x = {} to x = {}.",
    "What is the definite integral of f(x) = {} over the interval from {} to {}?",
    "Integrate {} with respect to x between {} and {}.",
)
FORM = " Give an integer or a fraction."


@task(
    "definite_integrals",
    rubric=Rubric(written_number(), answer_tag(weight=0.1)),
    levels=len(COEFFICIENTS),
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=90),
    licence="Apache-2.0",
)
def definite_integrals(rng: random.Random, level: int) -> Problem:
    """The integral of a polynomial between two integers: degrees 1 to 3, then a product of two quadratics."""
    most, end = COEFFICIENTS[level - 1], ENDS[level - 1]
    low, high = sorted(rng.sample(range(-end, end + 1), 2))
    if level <= len(DEGREES):
        polynomial = draw_polynomial(rng, DEGREES[level - 1], most)
        text, steps = write_polynomial(polynomial), []
    else:
        one, two = draw_polynomial(rng, 2, most), draw_polynomial(rng, 2, most)
        polynomial = multiply(one, two)
        text = f"({write_polynomial(one)})({write_polynomial(two)})"
        steps = [f"{text} = {write_polynomial(polynomial)}"]
    whole = integrate(polynomial)
    at_high, at_low = (evaluate_at(whole, Fraction(each)) for each in (high, low))
    steps += [
        f"F(x) = {write_polynomial(whole)}",
        f"F({high}) = {at_high}",
        f"F({low}) = {at_low}",
        f"{at_high} - {enclose(at_low)} = {at_high - at_low}",
    ]
    prompt = rng.choice(ASK).format(text, low, high) + FORM
    return Problem(prompt, str(at_high - at_low), {"steps": steps}, key=f"{order_factors(text)} {low} {high}")
