"""Sort a list of numbers, smallest first; each level makes the list longer."""

import random
from collections.abc import Iterator

from ..verifiers import Criterion, Rubric, Verdict, answer_criterion, answer_tag
from ..verifiers.types import correct, malformed, wrong
from .core.problem import Problem
from .core.task import task

MAX_CHARS = 1_000
PASSES = 2  # of the scripted solver


def in_order(name: str = "sorted") -> Criterion:
    """The answer is the reference list, in order: ASCII numbers separated by commas, spaces or both."""

    def equal(reference: list[int], answer: str) -> Verdict:
        words = answer[:MAX_CHARS].replace(",", " ").split()
        if len(answer) > MAX_CHARS or not all(
            word.isascii() and word.isdigit() and len(word) < 20 for word in words
        ):
            return malformed(answer[:80], "Not a list of whole numbers.")
        return (
            correct(answer)
            if [int(word) for word in words] == reference
            else wrong(answer, "Not the sorted list.")
        )

    def render(reference: list[int]) -> str:
        return f"<answer>{' '.join(map(str, reference))}</answer>"

    return answer_criterion(name, equal, sources=("tag",), render=render, rewrite=rewrite)


def rewrite(answer: str) -> Iterator[str]:
    """The same list with commas."""
    yield answer.replace(" ", ", ")
    yield answer.replace(" ", ",")


def work_out(problem: Problem) -> str:
    """What remains after each step that moves the smallest number out, in a think block.

    Then the sorted list.
    """
    left, states = list(problem.metadata["numbers"]), []
    while len(left) > 1:
        left.remove(min(left))
        states.append(" ".join(map(str, left)))
    return f"<think>{','.join(states)}</think><answer>{' '.join(map(str, problem.reference))}</answer>"


def pass_over(problem: Problem, rng: random.Random) -> str:  # noqa: ARG001 - the signature of an attempt
    """The list after `PASSES` passes of a bubble sort."""
    numbers = list(problem.metadata["numbers"])
    for _ in range(PASSES):
        for place in range(len(numbers) - 1):
            numbers[place : place + 2] = sorted(numbers[place : place + 2])
    return f"<answer>{' '.join(map(str, numbers))}</answer>"


@task(
    "sorting",
    rubric=Rubric(in_order(), answer_tag(weight=0.1)),
    levels=3,
    kind="logic",
    solve=work_out,
    attempt=pass_over,
    licence="Apache-2.0",
)
def sorting(rng: random.Random, level: int, *, largest: int = 99) -> Iterator[Problem]:
    """Sort numbers from 0 to `largest`, smallest first; level 1 has four of them, each level three more."""
    numbers = [rng.randint(0, largest) for _ in range(1 + 3 * level)]
    yield Problem(
        prompt=f"Sort from smallest to largest: {' '.join(map(str, numbers))}",
        reference=sorted(numbers),
        metadata={"numbers": numbers},
        key=" ".join(map(str, sorted(numbers))),
    )
