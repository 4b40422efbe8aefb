"""Knights always tell the truth, knaves always lie: who is who, from what each of them says.

Each level adds people, from five, and kinds of sentences. One assignment alone fits, which the generator
proves by looking at all of them.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, read_values, rewrite_values, work_out
from ..common.words import FIRST_NAMES
from ..core.problem import Problem
from ..core.task import task

PEOPLE = (5, 6, 8, 10)  # by level; 2 ** n assignments
KINDS = (("is", "same", "or"), ("is", "same", "or"), ("is", "same", "or", "count"), ("same", "or", "count"))
VALUES = {"knight": "knight", "knave": "knave"}


@dataclass(frozen=True)
class Claim:
    """What somebody says, and the assignments in which it is true: bit `a` of `truth` is for assignment `a`,
    whose own bit `i` says that person `i` is a knight."""

    text: str
    truth: int


@cache
def list_knight(people: int, who: int) -> int:
    """The assignments of so many people in which one of them is a knight, as bits."""
    return sum(1 << assignment for assignment in range(1 << people) if assignment >> who & 1)


def make_claim(rng: random.Random, kind: str, speaker: int, names: list[str]) -> Claim:
    """A sentence about others, of one kind."""
    people, everything = len(names), (1 << (1 << len(names))) - 1
    others = rng.sample([who for who in range(people) if who != speaker], 3)
    first, second, third = (list_knight(people, who) for who in others)
    a, b, c = (names[who] for who in others)
    match kind:
        case "is":
            if rng.random() < 0.3:
                return Claim(f"{a} is a knight", first)
            return Claim(f"{a} is a knave", everything ^ first)
        case "same":
            if rng.random() < 0.5:
                return Claim(f"{a} and {b} are of the same kind", everything ^ first ^ second)
            return Claim(f"{a} and {b} are of different kinds", first ^ second)
        case "or":
            if rng.random() < 0.5:
                return Claim(f"{a} is a knave or {b} is a knight", (everything ^ first) | second)
            return Claim(f"{a} and {b} are both knaves", everything ^ (first | second))
    if rng.random() < 0.5:
        one = (first | second | third) & ~((first & second) | (first & third) | (second & third))
        return Claim(f"exactly one of {a}, {b} and {c} is a knight", one)
    two = ((first & second) | (first & third) | (second & third)) & ~(first & second & third)
    return Claim(f"exactly two of {a}, {b} and {c} are knights", two)


def number_names(text: str, names: list[str]) -> str:
    """The text with numbers for names: another set of names makes no new problem."""
    for number, name in enumerate(names):
        text = text.replace(name, str(number))
    return text


def find_fault(reference: dict, answer: str) -> str:
    """Whether each person is said to be what they are: no other assignment fits."""
    kinds: dict[str, str] = reference["kinds"]
    said = read_values(answer, kinds, VALUES)
    wrong = next((name for name in kinds if said[name] != kinds[name]), None)
    return f"{wrong} is no {said[wrong]}." if wrong else ""


def solve(problem: Problem) -> str:
    """How many assignments are left after each sentence, then who is who."""
    steps = (f"{name}: {left} left" for name, left in problem.metadata["left"])
    return work_out(steps, problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Assignments that are still looked at, over all sentences."""
    counts = [left for _, left in problem.metadata["left"]]
    return sum([1 << len(counts), *counts[:-1]])


@task(
    "knights_knaves",
    rubric=Rubric(puzzle("kinds", find_fault, rewrite=rewrite_values), answer_tag(weight=0.1)),
    levels=len(PEOPLE),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=500),
    licence="Apache-2.0",
)
def knights_knaves(rng: random.Random, level: int) -> Iterator[Problem]:
    """Who is a knight and who a knave, from what they say; 5, 6, 8 and 10 people, one solution."""
    people = PEOPLE[level - 1]
    everything = (1 << (1 << people)) - 1
    names = rng.sample(FIRST_NAMES, people)
    while True:
        claims = [make_claim(rng, rng.choice(KINDS[level - 1]), who, names) for who in range(people)]
        left, counts = everything, []
        for who, claim in enumerate(claims):
            left &= everything ^ claim.truth ^ list_knight(people, who)  # a knight exactly if it is true
            counts.append(left.bit_count())
        if left.bit_count() == 1:
            break
    found = left.bit_length() - 1
    kinds = {name: "knight" if found >> who & 1 else "knave" for who, name in enumerate(names)}
    said = [f'{name}: "{claim.text}."' for name, claim in zip(names, claims, strict=True)]
    yield Problem(
        prompt="Knights always tell the truth, knaves always lie. Each person is one or the other.\n"
        + "\n".join(said)
        + "\nWho is what? Answer with every name, as in "
        + f"{names[0]}=knight {names[1]}=knave, separated by blanks.",
        reference={"kinds": kinds, "solution": " ".join(f"{name}={kind}" for name, kind in kinds.items())},
        metadata={"left": list(zip(names, counts, strict=True))},
        key=number_names("\n".join(said), names),
    )
