"""Small numbers in plain words: sums, differences, products, what comes next, one-line stories; each level
has larger ones.

An instruct model can be trained as it comes: the last number of its one line is its answer. A second line
is a second answer, and a question none.
"""

import random
import re
from dataclasses import dataclass

from ..verifiers import Completion, Criterion, Rubric, Verdict, number
from ..verifiers.types import malformed
from .core.problem import Problem
from .core.task import task

NAMES = ("Ana", "Ben", "Eva", "Mia", "Sam", "Tom")
THINGS = ("apples", "books", "cards", "coins", "keys", "pens", "shells", "stamps")


@dataclass(frozen=True)
class Limits:
    """The largest numbers of a level: summed or reduced, what is added or taken, a factor, counted on from,
    told in a story. carries: whether a sum or a difference may go through a ten.  kinds: of its questions."""

    most: int
    step: int
    factor: int
    counted: int
    told: int
    carries: bool = True
    kinds: tuple[str, ...] = ("sum", "difference", "product", "next", "more", "left")


LIMITS = (
    Limits(99, 9, 10, 999, 9, carries=False, kinds=("sum", "difference", "product", "next", "more")),
    Limits(99, 99, 12, 9999, 30),
    Limits(999, 999, 99, 99999, 99),
)


def ask(kind: str, rng: random.Random, level: int) -> Problem:
    """A question of one kind. The key says what it is about: an order that does not matter and a name
    make no new problem."""
    limits, words = LIMITS[level - 1], {"name": rng.choice(NAMES), "things": rng.choice(THINGS)}
    match kind:
        case "sum":
            a, b = rng.randint(1, limits.most), rng.randint(1, limits.step)
            while not limits.carries and a % 10 + b > 9:
                a, b = rng.randint(1, limits.most), rng.randint(1, limits.step)
            text, answer, key = "What is {a} + {b}?", a + b, sorted((a, b))
        case "difference":
            a, b = rng.randint(2, limits.most), rng.randint(1, limits.step)
            while b >= a or (not limits.carries and b > a % 10):
                a, b = rng.randint(2, limits.most), rng.randint(1, limits.step)
            text, answer, key = "What is {a} - {b}?", a - b, [a, b]
        case "product":
            a, b = rng.randint(2, limits.factor), rng.randint(2, limits.factor)
            text, answer, key = "What is {a} x {b}?", a * b, sorted((a, b))
        case "next":
            a, b = rng.randrange(10, limits.counted), 1
            text, answer, key = "What number comes after {a}?", a + b, [a]
        case "more":
            a, b = rng.randint(1, limits.told), rng.randint(1, limits.told)
            text = "{name} has {a} {things} and gets {b} more. How many {things} does {name} have now?"
            answer, key = a + b, [a, b, words["things"]]
        case _:
            a = rng.randint(2, limits.told)
            b = rng.randrange(1, a)
            text = "{name} has {a} {things} and gives away {b}. How many {things} are left?"
            answer, key = a - b, [a, b, words["things"]]
    return Problem(
        text.format(a=a, b=b, **words),
        str(answer),
        metadata={"kind": kind},
        key=" ".join(map(str, [kind, *key])),
    )


def guess_without_carrying(problem: Problem, rng: random.Random) -> str:  # noqa: ARG001 - as of an attempt
    """What somebody says who adds and takes away digit by digit, forgets to carry, and has learned the
    products of numbers up to ten."""
    numbers = [int(number) for number in re.findall(r"\d+", problem.text)]
    kind, a, b = problem.metadata["kind"], numbers[0], numbers[-1] if len(numbers) > 1 else 1
    if kind == "product":
        return str(a * b if max(a, b) <= 10 else 10 * a)
    sign = -1 if kind in ("difference", "left") else 1
    places = range(max(len(str(a)), len(str(b))))
    digits = [(a // 10**place % 10 + sign * (b // 10**place % 10)) % 10 for place in places]
    return str(sum(digit * 10**place for place, digit in enumerate(digits)))


_WAVERS = frozenset(("or", "either", "maybe", "not"))
LAST_NUMBER = number(sources=("last_number",))


def offers_another(text: str, problem: Problem) -> bool:
    """Whether a number before the last one is none of the question's: a row of guesses is no answer."""
    *before, _last = re.findall(r"\d+", text) or [""]
    asked = {*re.findall(r"\d+", problem.text), *(("1",) if problem.metadata.get("kind") == "next" else ())}
    return not asked.issuperset(before)


def check_line(completion: Completion, problem: Problem) -> Verdict:
    """The last number of a completion that is one line, asks nothing and offers no second answer."""
    text = completion.text.strip()
    if "\n" in text or "?" in text:
        return malformed(reason="More than one line, or a question.")
    wavers = not _WAVERS.isdisjoint(text.lower().replace(",", " ").split())
    if wavers or offers_another(text, problem):
        return malformed(reason="More than one answer.")
    return LAST_NUMBER.check(completion, problem)


@task(
    "small_numbers",
    rubric=Rubric(Criterion("number", check_line)),
    levels=len(LIMITS),
    instruction="Say only the number.",
    solve=lambda problem: str(problem.reference),
    attempt=guess_without_carrying,
    kind="math",
    licence="Apache-2.0",
)
def small_numbers(rng: random.Random, level: int) -> Problem:
    """Small numbers in plain words: sums, differences, products, what comes next, one-line stories; each
    level has larger ones."""
    return ask(rng.choice(LIMITS[level - 1].kinds), rng, level)
