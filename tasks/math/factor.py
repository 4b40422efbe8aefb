"""Factor a polynomial with integer coefficients completely: any order, any signs, any constant in front.

Level 1: a constant times two linear factors, one of them monic. Level 2: two linear factors with any
leading coefficients. Level 3: three linear factors. Level 4: two linear factors and a quadratic one that
has no rational zero. A factor may not have a common divisor left, so `2(x + 2)` is complete and `(2x + 4)`
is not. `operations` counts the products and sums that try every fraction that may be a zero. Level 1 has
some 10^6: 9 constants, leading coefficients to 12, and constants to 80.
"""

import math
import random
from fractions import Fraction
from typing import Any

from ...verifiers import Criterion, Rubric, Verdict, answer_tag
from ...verifiers.types import correct, malformed, wrong
from ..common.answers import bounded
from ..common.expressions import list_factors, read_expression, read_polynomial
from ..common.numbers import draw_nonzero, factorise
from ..common.polynomials import Coefficients, draw_linear, multiply, write_polynomial
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

ASK = (
    "Factor {} completely over the integers.",
    "Factorise {} into polynomials with integer coefficients that cannot be factored further.",
    "Write {} as a product of irreducible polynomials with integer coefficients.",
)


def is_factored(name: str = "factors") -> Criterion:
    """The answer is a product with the reference's value and as many factors, of integer coefficients without
    a common divisor. As the reference's are irreducible, so are these."""

    def check(reference: dict[str, Any], answer: str) -> Verdict:
        expr = read_expression(answer)
        factors = list_factors(expr) if expr is not None else None
        if factors is None:
            return malformed(answer[:80], "Not a product of polynomials.")
        product: Coefficients = (factors.constant,)
        for base in factors.bases:
            each = read_polynomial(base, "x")
            if each is None or len(product) + len(each) > 12:
                return malformed(answer[:80], "A factor is no polynomial in x.")
            if len(each) == 1:  # x^0 or x - x + 1, which would count as one of the factors
                return wrong(answer, f"A factor that is always {each[0]} is left among them.")
            if any(Fraction(c).denominator != 1 for c in each) or math.gcd(*(int(c) for c in each)) != 1:
                return wrong(answer, f"{write_polynomial(each)} has a fraction or a common divisor in it.")
            product = multiply(product, each)
        if list(product) != reference["coefficients"]:
            return wrong(answer, "The product is another polynomial.")
        if len(factors.bases) != reference["count"]:
            return wrong(answer, f"{reference['count']} factors, as often as they are there, are possible.")
        return correct(answer)

    return bounded(name, check)


def draw_quadratic(rng: random.Random) -> Coefficients:
    """A quadratic without a common divisor or a rational zero."""
    while True:
        c, b, a = draw_nonzero(rng, 20), rng.randint(-9, 9), rng.randint(1, 4)
        inner = b * b - 4 * a * c
        if math.gcd(a, b, c) == 1 and (inner < 0 or math.isqrt(inner) ** 2 != inner):
            return (c, b, a)


def draw_factors(rng: random.Random, level: int) -> tuple[int, list[Coefficients]]:
    """A constant, and factors that are irreducible."""
    if level == 1:
        return rng.randint(1, 9), [draw_linear(rng, 1, 80), draw_linear(rng, 12, 80)]
    if level == 2:
        return rng.randint(1, 5), [draw_linear(rng, 15, 40), draw_linear(rng, 15, 40)]
    if level == 3:
        return rng.randint(1, 3), [draw_linear(rng, slope, 20) for slope in (5, 5, 3)]
    return 1, [draw_linear(rng, 5, 24), draw_linear(rng, 4, 24), draw_quadratic(rng)]


def count_divisors(number: int) -> int:
    """How many positive integers divide a number that is not 0."""
    return math.prod(exponent + 1 for exponent in factorise(abs(number)).values())


@task(
    "factor",
    rubric=Rubric(is_factored(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=300),
    licence="Apache-2.0",
)
def factor(rng: random.Random, level: int) -> Problem:
    """Factor a polynomial completely over the integers: two linear factors, three, two and a quadratic."""
    number, factors = draw_factors(rng, level)
    product: Coefficients = (number,)
    for each in factors:
        product = multiply(product, each)
    text = write_polynomial(product)
    shown = "".join(f"({write_polynomial(each)})" for each in factors)
    answer = f"{number}{shown}" if number > 1 else shown
    steps = []
    rest = tuple(int(each) // number for each in product)
    if number > 1:
        steps.append(f"common divisor {number}: {write_polynomial(rest)}")
    for index, each in enumerate(factors[:-1]):
        remaining: Coefficients = (1,)
        for other in factors[index + 1 :]:
            remaining = multiply(remaining, other)
        steps.append(
            f"zero at {Fraction(-each[0], each[1])}: "
            f"({write_polynomial(each)})({write_polynomial(remaining)})"
        )
    tried = 2 * count_divisors(rest[0]) * count_divisors(rest[-1]) * (len(rest) - 1)
    reference = {"coefficients": list(product), "count": len(factors), "answer": answer}
    return Problem(rng.choice(ASK).format(text), reference, {"steps": steps, "operations": tried}, key=text)
