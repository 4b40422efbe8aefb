"""What a list looks like while it is being sorted: after some rounds of bubble, insertion or selection sort,
or after partitions of quicksort.

Each level has a longer list and more rounds.
"""

import random
from collections.abc import Callable, Iterator

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, read_numbers, rewrite_list, work_out
from ..core.problem import Problem
from ..core.task import task

LENGTHS = (6, 8, 11, 15)  # by level
ROUNDS = (1, 2, 4, 6)
LARGEST = 99
Numbers = list[int]


def bubble(numbers: Numbers, number: int) -> Numbers:  # noqa: ARG001  every round is like the first
    """Each two neighbours from left to right are swapped where the left one is larger."""
    numbers = list(numbers)
    for place in range(len(numbers) - 1):
        if numbers[place] > numbers[place + 1]:
            numbers[place], numbers[place + 1] = numbers[place + 1], numbers[place]
    return numbers


def insert(numbers: Numbers, number: int) -> Numbers:
    """The number at place `number` (from 0; 1 in the first round) goes to its place among those before."""
    return [*sorted(numbers[: number + 1]), *numbers[number + 1 :]]


def select(numbers: Numbers, number: int) -> Numbers:
    """The smallest of those from place `number` - 1 on (its first) is swapped with the one there."""
    numbers, start = list(numbers), number - 1
    place = min(range(start, len(numbers)), key=lambda place: numbers[place])
    numbers[start], numbers[place] = numbers[place], numbers[start]
    return numbers


def partition(numbers: Numbers, number: int) -> Numbers:  # noqa: ARG001  every round is like the first
    """The first number goes behind those that are smaller, all others keep their order."""
    first, *rest = numbers
    return [*(n for n in rest if n < first), first, *(n for n in rest if n >= first)]


METHODS: dict[str, Callable[[Numbers, int], Numbers]] = {
    "bubble sort. In a round each two neighbours are compared once, from left to right, and swapped at "
    "once where the "
    "left one is larger": bubble,
    "insertion sort. Round r moves the number at place r + 1 (the first place is 1) to the left, to its "
    "place "
    "among the r numbers before it": insert,
    "selection sort. Round r looks for the smallest number from place r on (the first place is 1; the "
    "leftmost if it "
    "is there twice) and swaps it with the number at place r": select,
    "a partition. In a round the first number goes to the right of all that are smaller than it; those "
    "keep their "
    "order, and so do all that are not smaller, to the right of it": partition,
}


def find_fault(reference: dict, answer: str) -> str:
    return "" if read_numbers(answer) == reference["numbers"] else "The list looks otherwise."


def solve(problem: Problem) -> str:
    """The list after each round."""
    steps = (" ".join(map(str, numbers)) for numbers in problem.metadata["lists"])
    return work_out(steps, problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Numbers in the lists after all rounds."""
    return sum(map(len, problem.metadata["lists"]))


@task(
    "sort_trace",
    rubric=Rubric(puzzle("list", find_fault, max_chars=400, rewrite=rewrite_list), answer_tag(weight=0.1)),
    levels=len(LENGTHS),
    kind="code",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=40),
    licence="Apache-2.0",
)
def sort_trace(rng: random.Random, level: int) -> Iterator[Problem]:
    """A list after some rounds of a way of sorting; 6 numbers and one round up to 15 numbers and six."""
    rounds = ROUNDS[level - 1]
    while True:
        text = rng.choice(list(METHODS))
        lists = [[rng.randint(1, LARGEST) for _ in range(LENGTHS[level - 1])]]
        for number in range(1, rounds + 1):
            lists.append(METHODS[text](lists[-1], number))
        if lists[-1] not in (lists[0], sorted(lists[0])):
            break
    yield Problem(
        prompt=f"The list {' '.join(map(str, lists[0]))} goes through {text}.\nWhat is the list after "
        f"{rounds} "
        f"{'round' if rounds == 1 else 'rounds'}? Answer with its numbers, separated by blanks.",
        reference={"numbers": lists[-1], "solution": " ".join(map(str, lists[-1]))},
        metadata={"lists": lists[1:]},
        key=f"{text.split('.')[0]} {lists[0]}",
    )
