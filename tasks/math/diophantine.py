"""`ax + by = c` in integers: any of its solutions is right.

Levels 1 to 3: coefficients to 60, 400 and 3,000. Level 4: coefficients to 30,000, and both numbers have to be
positive, which leaves few solutions. The coefficients share no divisor, and neither divides c, so that no
solution has a 0. Level 1 has some 10^6 pairs of coefficients with more than 100 totals each.
"""

import math
import random

from ...verifiers import Criterion, Rubric, Verdict, answer_tag
from ...verifiers.types import correct, malformed, wrong
from ..common.answers import bounded, read_assignments, reverse_list
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

LARGEST = (60, 400, 3_000, 30_000)
NAMES = ("x", "y")
ASK = (
    "Find integers x and y{positive} such that {equation}.",
    "Give one pair of integers x and y{positive} that satisfies {equation}.",
    "{equation} has solutions in integers{positive}. Give one of them.",
)
FORM = " Answer in the form x = ..., y = ..."


def satisfies(name: str = "solution") -> Criterion:
    """The answer is a pair of integers that satisfies the equation, positive where the problem says so."""

    def check(reference: dict, answer: str) -> Verdict:
        values = read_assignments(answer, NAMES)
        if values is None or any(value.denominator != 1 for value in values.values()):
            return malformed(answer[:80], "Not an integer for x and one for y.")
        a, b = reference["coefficients"]
        if reference["positive"] and min(values.values()) <= 0:
            return wrong(answer, "Both numbers have to be positive.")
        total = a * values["x"] + b * values["y"]
        return correct(answer) if total == reference["total"] else wrong(answer, f"The sum is {total}.")

    return bounded(name, check, reverse_list, several=True)


def divide_in_turn(a: int, b: int) -> tuple[int, int, list[str]]:
    """Euclid's algorithm, extended: s and t with a s + b t = gcd(a, b), and its divisions."""
    steps: list[str] = []
    old, new, s, t, s_next, t_next = a, b, 1, 0, 0, 1
    while new:
        quotient = old // new
        steps.append(f"{old} = {quotient} * {new} + {old - quotient * new}")
        old, new = new, old - quotient * new
        s, s_next = s_next, s - quotient * s_next
        t, t_next = t_next, t - quotient * t_next
    return s, t, steps


@task(
    "diophantine",
    rubric=Rubric(satisfies(), answer_tag(weight=0.1)),
    levels=len(LARGEST),
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=290),
    licence="Apache-2.0",
)
def diophantine(rng: random.Random, level: int) -> Problem:
    """Integers x and y with `ax + by = c`, any of them; coefficients grow, at last both must be positive."""
    positive, largest = level == 4, LARGEST[level - 1]
    while True:
        a, b = (rng.randint(largest // 5, largest) for _ in range(2))
        total = a * rng.randint(2, b) + b * rng.randint(2, 12) if positive else rng.randint(101, 40 * largest)
        if math.gcd(a, b) == 1 and total % a and total % b and min(a, b) > 2:
            break
    s, t, steps = divide_in_turn(a, b)
    steps += [f"{a} * {s} + {b} * {t} = 1", f"times {total}: x = {s * total}, y = {t * total}"]
    x = s * total % b
    y = (total - a * x) // b
    steps.append(f"x modulo {b}: x = {x}, y = ({total} - {a} * {x}) / {b} = {y}")
    equation = f"{a}x + {b}y = {total}"
    said = {"equation": equation, "positive": " that are both positive" if positive else ""}
    return Problem(
        rng.choice(ASK[:2] if positive else ASK).format(**said) + FORM,
        {"coefficients": [a, b], "total": total, "positive": positive, "answer": f"x = {x}, y = {y}"},
        {"steps": steps},
        key=f"{min(a, b)} {max(a, b)} {total} {positive}",
    )
