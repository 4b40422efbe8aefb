"""Solve an inequality; any way to write its set of solutions is right.

Level 1: `ax + b < c`. Level 2: a chain `c < ax + b <= d`. Level 3: quadratic. Level 4: with an absolute
value, or a quotient. No inequality holds everywhere or nowhere. At level 1 46 slopes, 300 constants, 198
bounds and four signs make 10^7.
"""

import random
from fractions import Fraction

from ...verifiers import Criterion, Rubric, Verdict, answer_tag, math_equal
from ..common.answers import bounded, tidy
from ..common.numbers import draw_nonzero
from ..common.polynomials import add, draw_linear, multiply, write_polynomial
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
ASK = ("Solve {} for real x.", "Find all real numbers x with {}.", "For which real x does {} hold?")
FORM = " Write the solution as inequalities for x, or as intervals."

Drawn = tuple[str, str, list[str]]  # the inequality, its solution, steps


def is_solution_set(name: str = "solutions") -> Criterion:
    """The answer says the reference's set of numbers, as inequalities for x or as intervals."""

    def equal(reference: str, answer: str) -> Verdict:
        return math_equal(reference, tidy(answer))

    return bounded(name, equal)


def draw_line(rng: random.Random) -> Drawn:
    a, b, bound, sign = (
        draw_nonzero(rng, 24),
        draw_nonzero(rng, 150),
        draw_nonzero(rng, 99),
        rng.choice([*FLIPPED]),
    )
    a = a if abs(a) > 1 else 2 * a
    total = a * bound + b
    solved = sign if a > 0 else FLIPPED[sign]
    steps = [f"{write_polynomial((0, a))} {sign} {total - b}", f"x {solved} {total - b}/{a} = {bound}"]
    return f"{write_polynomial((b, a))} {sign} {total}", f"x {solved} {bound}", steps


def draw_chain(rng: random.Random) -> Drawn:
    a, b = rng.randint(2, 15) * rng.choice((1, -1)), draw_nonzero(rng, 60)
    low, high = sorted(rng.sample(range(-40, 41), 2))
    ends = (low, high) if a > 0 else (high, low)
    signs = [rng.choice(("<", "<=")) for _ in range(2)]
    bounds = [a * end + b for end in ends]
    text = f"{bounds[0]} {signs[0]} {write_polynomial((b, a))} {signs[1]} {bounds[1]}"
    middle = f"{bounds[0] - b} {signs[0]} {write_polynomial((0, a))} {signs[1]} {bounds[1] - b}"
    ordered = signs if a > 0 else signs[::-1]
    divided = f"divide by {a}: {bounds[0] - b}/{a} = {ends[0]}, {bounds[1] - b}/{a} = {ends[1]}"
    return text, f"{low} {ordered[0]} x {ordered[1]} {high}", [middle, divided]


def between(low: Fraction | int, high: Fraction | int, sign: str, inside: bool) -> str:
    """The numbers between two ends, or outside; `sign` says by its `=` whether the ends belong to them."""
    less, more = ("<=", ">=") if "=" in sign else ("<", ">")
    return f"{low} {less} x {less} {high}" if inside else f"x {less} {low} or x {more} {high}"


def draw_quadratic(rng: random.Random) -> Drawn:
    while True:
        one, two = draw_linear(rng, 4, 20), draw_linear(rng, 3, 20)
        low, high = sorted(Fraction(-b, a) for b, a in (one, two))
        if low != high:
            break
    opens, sign, moved = rng.choice((1, -1)), rng.choice([*FLIPPED]), (draw_nonzero(rng, 40),)
    product = tuple(opens * each for each in multiply(one, two))
    inside = ("<" in sign) == (opens > 0)
    text = f"{write_polynomial(add(product, moved))} {sign} {moved[0]}"
    zeros = f"({write_polynomial(one)})({write_polynomial(two)})"
    steps = [f"{write_polynomial(product)} {sign} 0", f"{'' if opens > 0 else '-'}{zeros} {sign} 0"]
    return text, between(low, high, sign, inside), [*steps, f"zeros at {low} and {high}"]


def draw_bend(rng: random.Random) -> Drawn:
    """An absolute value against a number, or a quotient of linear polynomials against 0."""
    sign = rng.choice([*FLIPPED])
    if rng.random() < 0.5:
        a, b, size, shift = (
            rng.randint(2, 12),
            draw_nonzero(rng, 40),
            rng.randint(1, 60),
            draw_nonzero(rng, 30),
        )
        low, high = Fraction(-size - b, a), Fraction(size - b, a)
        tail = f"+ {shift}" if shift > 0 else f"- {-shift}"
        line = write_polynomial((b, a))
        steps = [
            f"|{line}| {sign} {size}",
            f"{line} = {-size} at x = {low}",
            f"{line} = {size} at x = {high}",
        ]
        return f"|{line}| {tail} {sign} {size + shift}", between(low, high, sign, "<" in sign), steps
    while True:
        one, two, turn = draw_linear(rng, 7, 40), draw_linear(rng, 7, 40), rng.choice((1, -1))
        zero, pole = (Fraction(-b, a) for b, a in (one, two))
        if zero != pole:
            break
    one = tuple(turn * each for each in one)
    less = "<=" if "=" in sign else "<"
    inside = ("<" in sign) == (turn > 0)
    first, second = (less, "<") if zero < pole else ("<", less)
    low, high = sorted((zero, pole))
    after = second.replace("<", ">")
    answer = f"{low} {first} x {second} {high}" if inside else f"x {first} {low} or x {after} {high}"
    beyond = f"for x > {high} the quotient is {'positive' if turn > 0 else 'negative'}"
    steps = [f"zero at {zero}, pole at {pole}, which is left out", beyond]
    return f"({write_polynomial(one)})/({write_polynomial(two)}) {sign} 0", answer, steps


DRAW = (draw_line, draw_chain, draw_quadratic, draw_bend)


@task(
    "inequalities",
    rubric=Rubric(is_solution_set(), answer_tag(weight=0.1)),
    levels=len(DRAW),
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=55),
    licence="Apache-2.0",
)
def inequalities(rng: random.Random, level: int) -> Problem:
    """Inequalities: linear, two in a chain, quadratic, with an absolute value or a quotient."""
    text, answer, steps = DRAW[level - 1](rng)
    return Problem(rng.choice(ASK).format(text) + FORM, answer, {"steps": steps}, key=text)
