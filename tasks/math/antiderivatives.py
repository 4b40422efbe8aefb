"""An antiderivative of a polynomial, with any constant or none.

Level 1: degree 3, integer coefficients in the result. Level 2: degree 4, fractions in the result. Level 3: a
product that has to be multiplied out first. Level 4: a power of a linear function. Level 1 has 2.6 * 10^6:
four coefficients to 20 in the result.
"""

import random
from fractions import Fraction
from typing import Any

from ...verifiers import Criterion, Rubric, Verdict, answer_tag
from ...verifiers.types import correct, malformed, wrong
from ..common.answers import bounded
from ..common.expressions import read_expression, read_polynomial
from ..common.polynomials import (
    Coefficients,
    derive,
    draw_polynomial,
    integrate,
    multiply,
    order_factors,
    write_polynomial,
)
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

CONSTANTS = ("C", "c", "K", "k")
ASK = (
    "Find an antiderivative of f(x) = {}.",
    "Find a polynomial F(x) whose derivative is {}.",
    "Integrate {} with respect to x.",
)
FORM = " A constant of integration may be left out."


def is_antiderivative(name: str = "antiderivative") -> Criterion:
    """The answer is a polynomial whose derivative is the reference; a letter of CONSTANTS may be added."""

    def check(reference: dict[str, Any], answer: str) -> Verdict:
        expr = read_expression(answer)
        found = read_polynomial(expr, "x", CONSTANTS) if expr is not None else None
        if expr is None or found is None or not _adds_at_most(expr):
            return malformed(answer[:80], "Not a polynomial in x.")
        expected = tuple(Fraction(each) for each in reference["coefficients"])
        return correct(answer) if derive(found) == expected else wrong(answer, "Its derivative is another.")

    return bounded(name, check, several=True)


def _adds_at_most(expr: Any) -> bool:
    """Whether a constant's letter is a term of its own, so that reading it as 0 takes nothing else away."""
    at_one = read_polynomial(expr, "x", ())
    if at_one is not None:  # no other letter is there
        return True
    from ...verifiers.math.values import Sum, Sym

    terms = expr.terms if isinstance(expr, Sum) else ()
    rest = [term for term in terms if not (isinstance(term, Sym) and term.name in CONSTANTS)]
    return len(rest) >= len(terms) - 1 and read_polynomial(Sum(tuple(rest)), "x") is not None


def draw_integrand(rng: random.Random, level: int) -> tuple[str, Coefficients, list[str]]:
    """A polynomial as it is asked for, its coefficients, steps."""
    if level == 1:
        polynomial = derive((0, *draw_polynomial(rng, 3, 20)))
        return write_polynomial(polynomial), polynomial, []
    if level == 2:
        polynomial = draw_polynomial(rng, 4, 15)
        return write_polynomial(polynomial), polynomial, []
    if level == 3:
        one, two = draw_polynomial(rng, 2, 9), draw_polynomial(rng, 2, 9)
        text, polynomial = f"({write_polynomial(one)})({write_polynomial(two)})", multiply(one, two)
        return text, polynomial, [f"{text} = {write_polynomial(polynomial)}"]
    line, factor, power = draw_polynomial(rng, 1, 9), draw_polynomial(rng, 1, 20), rng.randint(2, 4)
    polynomial = factor
    for _ in range(power):
        polynomial = multiply(polynomial, line)
    text = f"({write_polynomial(line)})^{power} ({write_polynomial(factor)})"
    return text, polynomial, [f"{text} = {write_polynomial(polynomial)}"]


@task(
    "antiderivatives",
    rubric=Rubric(is_antiderivative(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=150),
    licence="Apache-2.0",
)
def antiderivatives(rng: random.Random, level: int) -> Problem:
    """An antiderivative of a polynomial: with integers, with fractions, of a product, of a power."""
    text, polynomial, steps = draw_integrand(rng, level)
    result = integrate(polynomial)
    for power, each in enumerate(polynomial):
        if each:
            steps.append(f"{each}/{power + 1} = {Fraction(each) / (power + 1)}")
    return Problem(
        rng.choice(ASK).format(text) + FORM,
        {"coefficients": [str(each) for each in polynomial], "answer": f"{write_polynomial(result)} + C"},
        {"steps": steps},
        key=order_factors(text),
    )
