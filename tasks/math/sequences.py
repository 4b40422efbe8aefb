"""A term of a sequence whose kind is said, so that there is one answer.

Level 1: a term far on of an arithmetic sequence. Level 2: one of the next six terms of a quadratic sequence.
Level 3: a term of a linear recurrence of order two. Level 4: the sum of the first terms of a cubic. First
terms and coefficients are drawn so that each level has more than 10^6.
"""

import random
from itertools import pairwise

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.numbers import draw_nonzero
from ..common.polynomials import Coefficients, draw_polynomial, evaluate_at, write_polynomial
from ..common.worked import Posed, err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task


def ask_arithmetic(rng: random.Random) -> Posed:
    first, difference, place = rng.randint(-99, 99), draw_nonzero(rng, 60), rng.randint(20, 300)
    shown = ", ".join(str(first + difference * k) for k in range(4))
    value = first + difference * (place - 1)
    steps = [
        f"difference {difference}",
        f"{place - 1} * {difference} = {(place - 1) * difference}",
        f"{first} + {(place - 1) * difference} = {value}",
    ]
    prompt = rng.choice(
        (
            f"In an arithmetic sequence that begins {shown}, ..., what is term number {place}?",
            f"The numbers {shown}, ... go on with the same difference. What is term number {place}, "
            "counting from 1?",
        )
    )
    return Posed(prompt, value, steps, f"arithmetic {first} {difference} {place}")


def ask_quadratic(rng: random.Random) -> Posed:
    polynomial = (rng.randint(-60, 60), rng.randint(-40, 40), draw_nonzero(rng, 15))
    terms = [int(evaluate_at(polynomial, n)) for n in range(1, 8)]
    ahead = rng.randint(6, 11)
    value = int(evaluate_at(polynomial, ahead))
    once = [b - a for a, b in pairwise(terms[:5])]
    steps = [f"differences {', '.join(map(str, once))}", f"each changes by {2 * polynomial[2]}"]
    change, current = once[-1], terms[4]
    for place in range(6, ahead + 1):
        change += 2 * polynomial[2]
        current += change
        steps.append(f"term {place}: {current - change} + {change} = {current}")
    shown = ", ".join(map(str, terms[:5]))
    prompt = rng.choice(
        (
            f"A sequence begins {shown}. Its n-th term is a quadratic polynomial in n. What is term "
            f"number {ahead}?",
            f"The differences of the sequence {shown}, ... change by the same amount from one to the "
            "next. What is its "
            f"term number {ahead}, counting from 1?",
        )
    )
    return Posed(prompt, value, steps, f"quadratic {polynomial} {ahead}")


def ask_recurrence(rng: random.Random) -> Posed:
    p, q, a, b = (draw_nonzero(rng, most) for most in (5, 5, 30, 30))
    place, added = rng.randint(7, 10), rng.randint(-20, 20)
    tail = f" + {added}" if added > 0 else f" - {-added}" if added else ""
    rule = f"a(n) = {p}*a(n-1) {'+' if q > 0 else '-'} {abs(q)}*a(n-2){tail}"
    terms, steps = [a, b], []
    for n in range(3, place + 1):
        new = p * terms[-1] + q * terms[-2] + added
        steps.append(
            f"a({n}) = {p}*({terms[-1]}) {'+' if q > 0 else '-'} {abs(q)}*({terms[-2]}){tail} = {new}"
        )
        terms.append(new)
    prompt = rng.choice(
        (
            f"A sequence has a(1) = {a}, a(2) = {b}, and {rule} for n >= 3. What is a({place})?",
            f"Let a(1) = {a} and a(2) = {b}. For n >= 3, {rule}. Find a({place}).",
        )
    )
    return Posed(prompt, terms[-1], steps, f"recurrence {p} {q} {added} {a} {b} {place}")


def ask_sum(rng: random.Random) -> Posed:
    polynomial: Coefficients = draw_polynomial(rng, 3, 12)
    count = rng.randint(12, 40)
    powers = [sum(n**k for n in range(1, count + 1)) for k in range(4)]
    parts = [int(each) * total for each, total in zip(polynomial, powers, strict=True)]
    steps = []
    for k in range(3, -1, -1):
        steps.append(f"sum of n^{k} to {count} = {powers[k]}, times {polynomial[k]} = {parts[k]}")
    total = 0
    for part in reversed(parts):
        steps.append(f"{total} + ({part}) = {total + part}")
        total += part
    formula = write_polynomial(polynomial, "n")
    prompt = rng.choice(
        (
            f"What is the sum of {formula} over all integers n from 1 to {count}?",
            f"The n-th term of a sequence is {formula}, for n = 1, 2, 3, ... What is the sum of its "
            f"first {count} terms?",
        )
    )
    return Posed(prompt, total, steps, f"sum {polynomial} {count}")


KINDS = (ask_arithmetic, ask_quadratic, ask_recurrence, ask_sum)


@task(
    "sequences",
    rubric=Rubric(written_number(whole=True), answer_tag(weight=0.1)),
    levels=len(KINDS),
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=160),
    licence="Apache-2.0",
)
def sequences(rng: random.Random, level: int) -> Problem:
    """A term of a sequence whose kind is said: arithmetic, quadratic, a recurrence, the sum of a cubic."""
    posed = KINDS[level - 1](rng)
    prompt = posed.prompt + " The answer is an integer."
    return Problem(prompt, str(posed.value), {"steps": posed.steps}, key=posed.key)
