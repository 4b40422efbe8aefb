"""Small numbers in plain words: sums, differences, products, comparisons, one-line stories; each level has
larger ones.

No form is asked for, so that an instruct model can be trained as it comes: the last number of its one line is
its answer. A second line is a second answer, and a question none.
"""

import random

from ..verifiers import Completion, Criterion, Rubric, Verdict, number
from ..verifiers.types import malformed
from .core.problem import Problem
from .core.task import task

NAMES = ("Ana", "Ben", "Eva", "Mia", "Sam", "Tom")
THINGS = ("apples", "books", "cards", "coins", "shells", "stamps")
LIMITS = (  # of each level: of sums, of factors, of numbers to compare, of a story's numbers
    (20, 9, 99, 9),
    (99, 12, 999, 20),
    (999, 20, 9999, 99),
)


def ask(kind: str, rng: random.Random, level: int) -> Problem:
    """A question of one kind. The key says which numbers it is about: an order that does not matter, names
    and things make no new problem."""
    total, factor, compared, told = LIMITS[level - 1]
    match kind:
        case "sum":
            a = rng.randrange(1, total)
            b = rng.randrange(1, total - a + 1)
            text, answer, key = f"What is {a} + {b}?", a + b, sorted((a, b))
        case "difference":
            a = rng.randrange(2, total + 1)
            b = rng.randrange(1, a)
            text, answer, key = f"What is {a} - {b}?", a - b, [a, b]
        case "product":
            a, b = rng.randrange(2, factor + 1), rng.randrange(2, factor + 1)
            text, answer, key = f"What is {a} x {b}?", a * b, sorted((a, b))
        case "larger" | "smaller":
            a, b = rng.sample(range((compared + 1) // 10, compared + 1), 2)
            answer = max(a, b) if kind == "larger" else min(a, b)
            text, key = f"Which is {kind}, {a} or {b}?", sorted((a, b))
        case "more":
            a, b, name, things = rng.randint(1, told), rng.randint(1, told), *_choose_words(rng)
            text = f"{name} has {a} {things} and gets {b} more. How many {things} does {name} have now?"
            answer, key = a + b, [a, b]
        case _:
            a, name, things = rng.randint(2, told + 1), *_choose_words(rng)
            b = rng.randrange(1, a)
            text = f"{name} has {a} {things} and gives away {b}. How many {things} are left?"
            answer, key = a - b, [a, b]
    return Problem(text, str(answer), metadata={"kind": kind}, key=" ".join(map(str, [kind, *key])))


def _choose_words(rng: random.Random) -> tuple[str, str]:
    return rng.choice(NAMES), rng.choice(THINGS)


KINDS = ("sum", "difference", "product", "larger", "smaller", "more", "left")


LAST_NUMBER = number(sources=("last_number",))


def check_line(completion: Completion, problem: Problem) -> Verdict:
    """The last number of a completion that is one line and asks nothing."""
    text = completion.text.strip()
    if "\n" in text or "?" in text:
        return malformed(reason="More than one line, or a question.")
    return LAST_NUMBER.check(completion, problem)


@task(
    "small_numbers",
    rubric=Rubric(Criterion("number", check_line)),
    levels=len(LIMITS),
    instruction="",
    solve=lambda problem: str(problem.reference),
)
def small_numbers(rng: random.Random, level: int, *, kinds: str = " ".join(KINDS)) -> Problem:
    """Small numbers in plain words: sums, differences, products, comparisons, one-line stories; each level
    has larger ones."""
    return ask(rng.choice(kinds.split()), rng, level)
