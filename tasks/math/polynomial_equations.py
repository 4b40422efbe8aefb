"""All real solutions of a polynomial equation, in any order.

Level 1: `x^2 + bx + c = d` with integer solutions to 40. Level 2: rational solutions, terms on both sides.
Level 3: irrational ones, exactly. Level 4: cubics with three integer solutions. At level 1 3,000 pairs of
solutions and 400 numbers on the right side make 1.3 * 10^6.
"""

import math
import random
from fractions import Fraction
from typing import Any

from ...verifiers import Criterion, Rubric, Verdict, answer_tag, math_equal
from ...verifiers.types import correct, malformed, wrong
from ..common.answers import bounded, read_numbers, reverse_list, tidy
from ..common.numbers import draw_nonzero
from ..common.polynomials import Coefficients, add, draw_linear, multiply, write_polynomial
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

ASK = (
    "Solve {} for all real x.",
    "Find all real numbers x with {}.",
    "Find every real solution of the equation {}.",
)
FORM = " Separate the solutions by commas."
EXACT = " Give exact values, with square roots where needed, separated by commas."


def finds_all(name: str = "solutions") -> Criterion:
    """The answer lists every solution and nothing else; one that is listed twice counts once."""

    def equal(reference: dict[str, Any], answer: str) -> Verdict:
        if reference["irrational"]:
            return math_equal(tuple(reference["solutions"]), tidy(answer))
        values = read_numbers(answer)
        if values is None:
            return malformed(answer[:80], "Not a list of numbers.")
        expected = {Fraction(each) for each in reference["solutions"]}
        return correct(answer) if set(values) == expected else wrong(answer, "Not the solutions.")

    return bounded(name, equal, reverse_list)


def draw_roots(rng: random.Random, level: int) -> tuple[Coefficients, list[str], list[str]]:
    """A polynomial, its real zeros as text, and steps."""
    if level in (1, 4):
        roots = rng.sample([each for each in range(-40, 41) if each], 2) if level == 1 else []
        roots = roots or sorted(rng.sample([each for each in range(-15, 16) if each], 3))
        factors: list[Coefficients] = [(-root, 1) for root in roots]
    else:
        while True:
            factors = [draw_linear(rng, 9, 20), draw_linear(rng, 9, 20)]
            if factors[0] != factors[1]:
                break
        roots = [Fraction(-b, a) for b, a in factors]
    product: Coefficients = (1,)
    for each in factors:
        product = multiply(product, each)
    shown = "".join(f"({write_polynomial(each)})" for each in factors)
    steps = [f"{write_polynomial(product)} = 0", f"{shown} = 0"]
    if level == 4:
        rest = write_polynomial(multiply(*factors[1:]))
        steps.insert(1, f"{roots[0]} is a solution: ({write_polynomial(factors[0])})({rest}) = 0")
    return product, [str(root) for root in sorted(roots)], steps


def draw_surds(rng: random.Random) -> tuple[Coefficients, list[str], list[str]]:
    """A quadratic with two irrational zeros; its zeros as text, and steps."""
    while True:
        a, b, c = rng.randint(1, 9), rng.randint(-30, 30), draw_nonzero(rng, 40)
        inside = b * b - 4 * a * c
        if inside > 0 and math.isqrt(inside) ** 2 != inside and math.gcd(a, b, c) == 1:
            break
    steps = [f"{write_polynomial((c, b, a))} = 0", f"{b}^2 - 4*{a}*({c}) = {inside}"]
    roots = [f"({-b} {sign} sqrt({inside}))/{2 * a}" for sign in "+-"]
    return (c, b, a), roots, steps


@task(
    "polynomial_equations",
    rubric=Rubric(finds_all(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=65),
    licence="Apache-2.0",
)
def polynomial_equations(rng: random.Random, level: int) -> Problem:
    """All real solutions of a quadratic equation, at last of a cubic: integers, fractions, roots."""
    polynomial, roots, steps = draw_surds(rng) if level == 3 else draw_roots(rng, level)
    moved: Coefficients = (rng.randint(-200, 200),)
    if level > 1:
        moved = (draw_nonzero(rng, 30), draw_nonzero(rng, 20))
    left = add(polynomial, moved)
    equation = f"{write_polynomial(left)} = {write_polynomial(moved)}"
    answer = ", ".join(roots)
    return Problem(
        rng.choice(ASK).format(equation) + (EXACT if level == 3 else FORM),
        {"solutions": roots, "irrational": level == 3, "answer": answer},
        {"steps": steps},
        key=equation,
    )
