"""Multiply out a product of polynomials, and collect its terms.

Level 1: two linear factors, coefficients to 25. Level 2: a linear and a quadratic one. Level 3: two factors
in x and y. Level 4: a square times a linear one, less another product. Level 1 has 50^4 pairs of factors.
"""

import random
from fractions import Fraction

from ...verifiers import Criterion, Rubric, Verdict, answer_tag
from ...verifiers.types import correct, malformed, wrong
from ..common.answers import bounded
from ..common.expressions import Monomial, list_terms, read_expression
from ..common.numbers import draw_nonzero
from ..common.polynomials import (
    Coefficients,
    add,
    draw_polynomial,
    join_terms,
    multiply,
    order_factors,
    write_polynomial,
)
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

ASK = (
    "Expand {} and collect like terms.",
    "Multiply out and simplify: {}",
    "Write {} as a polynomial, multiplied out and with like terms collected.",
)


def is_expanded(name: str = "polynomial") -> Criterion:
    """The answer is the reference's polynomial, multiplied out, with its terms in any order."""

    def equal(reference: dict, answer: str) -> Verdict:
        expr = read_expression(answer)
        if expr is None:
            return malformed(answer[:80], "Not an expression.")
        terms = list_terms(expr)
        if terms is None:
            return wrong(answer, "It is not multiplied out, or has like terms left.")
        expected = {_read_monomial(letters): Fraction(size) for letters, size in reference["terms"].items()}
        found = {monomial: size for monomial, size in terms.items() if size}
        return correct(answer) if found == expected else wrong(answer, "Another polynomial.")

    return bounded(name, equal)


def _read_monomial(text: str) -> Monomial:
    """`xxy` as letters with their powers."""
    return tuple(sorted((letter, text.count(letter)) for letter in set(text)))


def list_products(left: Coefficients, right: Coefficients) -> str:
    """Every term of the left factor times the whole right one, multiplied out."""
    parts = [
        write_polynomial(multiply((0,) * power + (each,), right)) for power, each in enumerate(left) if each
    ]
    return " + ".join(f"({part})" for part in reversed(parts))


def expand_two_letters(rng: random.Random) -> tuple[str, dict[str, int], list[str], str]:
    """`(ax + by + c)(dx + ey + f)`: its text, its terms, a step, the answer."""
    left, right = ([draw_nonzero(rng, 9) for _ in range(3)] for _ in range(2))
    letters, totals, steps = ("x", "y", ""), {}, []
    for one, a in zip(letters, left, strict=True):
        for two, b in zip(letters, right, strict=True):
            both = "".join(sorted(one + two))
            totals[both] = totals.get(both, 0) + a * b
        row = {"".join(sorted(one + two)): a * b for two, b in zip(letters, right, strict=True)}
        steps.append(_write_terms(row))
    text = "".join(f"({_write_terms(dict(zip(letters, row, strict=True)))})" for row in (left, right))
    terms = {both: total for both, total in totals.items() if total}
    return text, terms, steps, _write_terms(terms)


def _write_terms(terms: dict[str, int]) -> str:
    """`3x^2 - xy + 4` of {"xx": 3, "xy": -1, "": 4}."""
    return join_terms(
        {letters.replace("xx", "x^2").replace("yy", "y^2"): size for letters, size in terms.items()}
    )


def draw_product(rng: random.Random, level: int) -> tuple[str, Coefficients, list[str]]:
    """A product in x: its text, its coefficients, steps."""
    if level < 3:
        left, right = draw_polynomial(rng, 1, 25), draw_polynomial(rng, level, 25 if level == 1 else 12)
        text = f"({write_polynomial(left)})({write_polynomial(right)})"
        return text, multiply(left, right), [list_products(left, right)]
    one, two, three, four = (draw_polynomial(rng, 1, 7) for _ in range(4))
    square, less = multiply(one, one), multiply(three, four)
    first = multiply(square, two)
    text = f"({write_polynomial(one)})^2({write_polynomial(two)})"
    text += f" - ({write_polynomial(three)})({write_polynomial(four)})"
    steps = [
        f"({write_polynomial(one)})^2 = {write_polynomial(square)}",
        f"({write_polynomial(square)})({write_polynomial(two)}) = {write_polynomial(first)}",
        f"({write_polynomial(three)})({write_polynomial(four)}) = {write_polynomial(less)}",
    ]
    return text, add(first, tuple(-each for each in less)), steps


@task(
    "expand",
    rubric=Rubric(is_expanded(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=90),
    licence="Apache-2.0",
)
def expand(rng: random.Random, level: int) -> Problem:
    """Multiply out a product of polynomials and collect its terms; two letters, at last a square."""
    if level == 3:
        text, terms, steps, answer = expand_two_letters(rng)
    else:
        text, product, steps = draw_product(rng, level)
        terms = {"x" * power: each for power, each in enumerate(product) if each}
        answer = write_polynomial(product)
    return Problem(
        rng.choice(ASK).format(text),
        {"terms": {letters: str(size) for letters, size in terms.items()}, "answer": answer},
        {"steps": [*steps, answer]},
        key=order_factors(text),
    )
