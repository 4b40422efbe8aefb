"""Chains of + - * / on integers, with parentheses; every division is exact.

Levels 1 to 4 have 3, 4, 6 and 8 numbers, below 150, 150, 500 and 1,000. There are more than 10^6
expressions at each, whatever the order of what is added or multiplied: 5 * 10^5 sums of three numbers, 3 *
10^6 of other signs.
"""

import random
from dataclasses import dataclass

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

NUMBERS = (3, 4, 6, 8)
LARGEST = (149, 149, 499, 999)
MOST = 10**6  # the size of any value on the way
FACTOR = 25  # the largest second factor or divisor, so that numbers stay of a size that is worked out by hand
ASK = ("What is {}?", "Calculate {}.", "Work out {}.", "Find the value of {}.", "Evaluate {}.")


@dataclass(frozen=True, slots=True)
class Term:
    """rank: 0 for a sum or difference, 1 for a product or quotient, 2 for a number: what binds closer.

    parts: the summands (rank 0) or factors (rank 1) with their signs, however they are ordered and enclosed.
    """

    value: int
    text: str
    rank: int
    parts: tuple[str, ...]
    steps: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The same for all orders of summands and factors."""
        return f"({' '.join(sorted(self.parts))})" if self.rank < 2 else self.text


def write_number(number: int) -> Term:
    return Term(number, str(number), 2, ())


def list_parts(term: Term, rank: int, sign: str) -> list[str]:
    """The parts of a term as those of an expression of some rank, where it stands behind a sign."""
    turned = {"+": "-", "-": "+", "*": "/", "/": "*"}
    if term.rank != rank:
        return [sign + term.key]
    return [(turned[part[0]] if sign in "-/" else part[0]) + part[1:] for part in term.parts]


def draw_term(rng: random.Random, count: int, largest: int) -> Term:
    """An expression of `count` numbers."""
    if count == 1:
        number = rng.randint(2, largest)
        return write_number(number)
    split = rng.randint(1, count - 1)
    left = draw_term(rng, split, largest)
    divisors = [each for each in range(2, FACTOR + 1) if left.value % each == 0]
    if split == count - 1 and left.rank == 0 and left.value and divisors and rng.random() < 0.5:
        divisor = rng.choice(divisors)
        return join("/", left, write_number(divisor))
    if split == count - 1 and rng.random() < 0.4 and abs(left.value) * FACTOR < MOST:
        factor = rng.randint(2, FACTOR)
        return join("*", left, write_number(factor))
    return join(rng.choice("+-"), left, draw_term(rng, count - split, largest))


def join(sign: str, left: Term, right: Term) -> Term:
    """Two expressions with a sign between them, in parentheses where the order needs them."""
    rank = 0 if sign in "+-" else 1
    value = {
        "+": left.value + right.value,
        "-": left.value - right.value,
        "*": left.value * right.value,
        "/": left.value // right.value if right.value else 0,
    }[sign]
    a = f"({left.text})" if left.rank < rank else left.text
    b = f"({right.text})" if right.rank <= rank and right.rank < 2 else right.text
    shown = f"({right.value})" if right.value < 0 else str(right.value)
    step = f"{left.value} {sign} {shown} = {value}"
    parts = (*list_parts(left, rank, "+" if rank == 0 else "*"), *list_parts(right, rank, sign))
    return Term(value, f"{a} {sign} {b}", rank, parts, (*left.steps, *right.steps, step))


@task(
    "arithmetic",
    rubric=Rubric(written_number(whole=True), answer_tag(weight=0.1)),
    levels=len(NUMBERS),
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=100),
    licence="Apache-2.0",
)
def arithmetic(rng: random.Random, level: int) -> Problem:
    """Chains of + - * / on integers, with parentheses; levels have 3 to 8 numbers, and larger ones."""
    term = draw_term(rng, NUMBERS[level - 1], LARGEST[level - 1])
    return Problem(
        rng.choice(ASK).format(term.text) + " The answer is an integer.",
        str(term.value),
        {"steps": term.steps, "expression": term.text},
        key=term.key,
    )
