"""One linear equation in one unknown.

Level 1: `ax + b = c`. Level 2: the unknown on both sides. Level 3: two parentheses. Level 4: fractions with
two denominators, and a solution that need not be an integer. Coefficients to 25, constants to 150 and
solutions to 99 give 2.8 * 10^6 equations at level 1 and far more above.
"""

import random
from fractions import Fraction

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.numbers import draw_nonzero
from ..common.polynomials import write_polynomial
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

LETTERS = "xyzntk"
ASK = (
    "Solve {equation} for {letter}.",
    "Find {letter} such that {equation}.",
    "What number {letter} satisfies {equation}?",
)
FORM = (" The answer is an integer.",) * 3 + (" Give an integer or a fraction.",)


def isolate(a: int, b: int, c: int, d: int, letter: str) -> list[str]:
    """The steps from `ax + b = cx + d` to the unknown."""
    steps = [f"{write_polynomial((b, a), letter)} = {write_polynomial((d, c), letter)}"]
    if c or b:
        steps.append(f"{write_polynomial((0, a - c), letter)} = {d - b}")
    return [*steps, f"{letter} = {d - b}/{a - c} = {Fraction(d - b, a - c)}"]


def draw_group(rng: random.Random, letter: str) -> tuple[str, int, int]:
    """`a(bx + c)` with its slope and constant when it is multiplied out."""
    a, b, c = draw_nonzero(rng, 9), draw_nonzero(rng, 6), draw_nonzero(rng, 12)
    return f"{a}({write_polynomial((c, b), letter)})", a * b, a * c


@task(
    "linear_equations",
    rubric=Rubric(written_number(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=120),
    licence="Apache-2.0",
)
def linear_equations(rng: random.Random, level: int) -> Problem:
    """One linear equation: from `ax + b = c` to both sides, parentheses, and fractions."""
    letter, solution = rng.choice(LETTERS), draw_nonzero(rng, 99)
    while True:
        a, b, c = draw_nonzero(rng, 25), draw_nonzero(rng, 150), 0
        if level == 1:
            left, right, steps = write_polynomial((b, a), letter), str(a * solution + b), []
        elif level == 2:
            c = draw_nonzero(rng, 25)
            left = write_polynomial((b, a), letter)
            right = write_polynomial(((a - c) * solution + b, c), letter)
            steps = []
        elif level == 3:
            (one, a, b), (two, slope, constant) = draw_group(rng, letter), draw_group(rng, letter)
            a, b, c = a + slope, b + constant, draw_nonzero(rng, 25)
            left = f"{one} + {two}" if not two.startswith("-") else f"{one} - {two[1:]}"
            right = write_polynomial(((a - c) * solution + b, c), letter)
            steps = [f"{left} = {write_polynomial((b, a), letter)}"]
        else:
            return ask_fractions(rng, letter)
        if abs(a) > 1 and a != c:
            break
    steps += isolate(a, b, c, (a - c) * solution + b, letter)
    return _pose(rng, level, letter, f"{left} = {right}", Fraction(solution), steps)


def ask_fractions(rng: random.Random, letter: str) -> Problem:
    """`(ax + b)/m + (cx + d)/n = e`, brought to one denominator."""
    while True:
        a, b, c, d = (draw_nonzero(rng, most) for most in (9, 20, 9, 20))
        m, n, e = rng.randint(2, 12), rng.randint(2, 12), rng.randint(-20, 20)
        slope, constant = a * n + c * m, b * n + d * m
        if slope and m != n:
            break
    first, second = write_polynomial((b, a), letter), write_polynomial((d, c), letter)
    total = e * m * n
    steps = [
        f"times {m * n}: {n}({first}) + {m}({second}) = {total}",
        f"{n} * ({a}) + {m} * ({c}) = {slope}, {n} * ({b}) + {m} * ({d}) = {constant}",
        *isolate(slope, constant, 0, total, letter),
    ]
    text = f"({first})/{m} + ({second})/{n} = {e}"
    return _pose(rng, 4, letter, text, Fraction(total - constant, slope), steps)


def _pose(
    rng: random.Random, level: int, letter: str, equation: str, solution: Fraction, steps: list[str]
) -> Problem:
    prompt = rng.choice(ASK).format(equation=equation, letter=letter) + FORM[level - 1]
    reference = {"answer": str(solution), "before": [letter], "whole": level < 4}
    return Problem(prompt, reference, {"steps": steps}, key=equation.replace(letter, "x"))
