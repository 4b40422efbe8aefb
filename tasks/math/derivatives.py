"""Derive a function; any expression of the same value is right, but none that only says what to derive.

Level 1: a polynomial of degree 4. Level 2: a product of two polynomials. Level 3: a power of a linear
function times a polynomial. Level 4: sums of products and quotients with exp, sin, cos and ln. Level 1 has
18^2 * 19^3 polynomials, 2.2 * 10^6.
"""

import random
import re

from ...verifiers import Criterion, Rubric, Verdict, answer_tag, math_equal
from ...verifiers.types import malformed
from ..common.answers import bounded, tidy
from ..common.polynomials import add, derive, draw_polynomial, multiply, order_factors, write_polynomial
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

ASK = (
    "Find the derivative of f(x) = {} with respect to x.",
    "Differentiate {} with respect to x.",
    "What is the derivative of {}, as a function of x?",
)
# what an answer says that leaves the work to its reader
_LEFT_TO_DO = re.compile(r"d\s*/\s*d|\\?partial|diff|deriv|lim|int|∫|D_|['′]\s*(?!\s*\(\s*x\s*\)\s*=)")
_APART = re.compile(r"(?<=[\dx)])(?=sin|cos|tan|ln|log|exp|e\^)")  # `2xcos(x)` is no name
_NAMED = re.compile(r"^\s*(?:[fy]\s*['′]\s*(?:\(\s*x\s*\))?|d[yf]\s*/\s*dx|\\frac\{d[yf]\}\{dx\})\s*=")


def is_derivative(name: str = "derivative") -> Criterion:
    """The answer has the reference's value everywhere."""

    def equal(reference: str, answer: str) -> Verdict:
        text = _APART.sub(" ", _NAMED.sub("", tidy(answer)))
        if _LEFT_TO_DO.search(text):
            return malformed(answer[:80], "It still asks for a derivative.")
        return math_equal(reference, text)

    return bounded(name, equal)


def derive_power(rng: random.Random) -> tuple[str, str, list[str]]:
    """`(ax + b)^n (polynomial)`: its text, its derivative, steps."""
    line, factor, n = draw_polynomial(rng, 1, 9), draw_polynomial(rng, 2, 9), rng.randint(3, 9)
    shown = write_polynomial(line)
    inner = add(multiply((n * line[1],), factor), multiply(line, derive(factor)))
    steps = [
        f"({shown})^{n} has the derivative {n * line[1]}({shown})^{n - 1}",
        f"{write_polynomial(factor)} has the derivative {write_polynomial(derive(factor))}",
        f"factor out ({shown})^{n - 1}: {n * line[1]}({write_polynomial(factor)})"
        f" + ({shown})({write_polynomial(derive(factor))})",
    ]
    return (
        f"({shown})^{n} ({write_polynomial(factor)})",
        f"({shown})^{n - 1} ({write_polynomial(inner)})",
        steps,
    )


def derive_mixture(rng: random.Random) -> tuple[str, str, list[str]]:
    """A polynomial times, or under, exp, sin, cos or ln of a multiple of x: text, derivative, steps."""
    factor, a = draw_polynomial(rng, rng.choice((2, 3)), 9), rng.randint(2, 9)
    outer, of_it = rng.choice(
        (
            (f"e^({a}x)", f"{a}e^({a}x)"),
            (f"sin({a}x)", f"{a}cos({a}x)"),
            (f"cos({a}x)", f"-{a}sin({a}x)"),
            (f"ln({a}x)", "1/x"),
        )
    )
    shown, change = write_polynomial(factor), write_polynomial(derive(factor))
    steps = [f"({shown})' = {change}", f"({outer})' = {of_it}"]
    if rng.random() < 0.5:
        return f"({shown}) {outer}", f"({change})*{outer} + ({shown})*({of_it})", steps
    return f"{outer}/({shown})", f"(({of_it})*({shown}) - {outer}*({change}))/({shown})^2", steps


@task(
    "derivatives",
    rubric=Rubric(is_derivative(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=160),
    licence="Apache-2.0",
)
def derivatives(rng: random.Random, level: int) -> Problem:
    """Derivatives: of polynomials, products, powers of a linear function, quotients with exp and sin."""
    if level == 1:
        polynomial = draw_polynomial(rng, 4, 9)
        text, answer = write_polynomial(polynomial), write_polynomial(derive(polynomial))
        powers = range(len(polynomial) - 1, 0, -1)
        steps = [f"{k} * {polynomial[k]} = {k * polynomial[k]}" for k in powers if polynomial[k]]
    elif level == 2:
        one, two = draw_polynomial(rng, 2, 12), draw_polynomial(rng, 2, 12)
        first, second = multiply(derive(one), two), multiply(one, derive(two))
        text = f"({write_polynomial(one)})({write_polynomial(two)})"
        answer = write_polynomial(add(first, second))
        steps = [
            f"({write_polynomial(derive(one))})({write_polynomial(two)}) = {write_polynomial(first)}",
            f"({write_polynomial(one)})({write_polynomial(derive(two))}) = {write_polynomial(second)}",
        ]
    else:
        text, answer, steps = derive_power(rng) if level == 3 else derive_mixture(rng)
        if level == 4:
            more, its, further = derive_mixture(rng)
            text, answer, steps = f"{text} + {more}", f"{answer} + {its}", [*steps, *further]
    return Problem(rng.choice(ASK).format(text), answer, {"steps": steps}, key=order_factors(text))
