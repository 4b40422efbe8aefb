"""Follow a binary search: which numbers of a sorted list does it look at?

Each level has a longer list. What is searched is there in about half of the problems.
"""

import random
from collections.abc import Iterator, Sequence

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, read_numbers, rewrite_list, work_out
from ..core.problem import Problem
from ..core.task import task

LENGTHS = ((10, 15), (20, 30), (45, 60), (90, 120))  # by level, the least and the most
SPREAD = 9  # of a number, the next is at most so much larger


def probe(numbers: Sequence[int], wanted: int) -> list[tuple[int, int, int]]:
    """The bounds and the middle of each turn, places counted from 0."""
    low, high, turns = 0, len(numbers) - 1, []
    while low <= high:
        middle = (low + high) // 2
        turns.append((low, high, middle))
        if numbers[middle] == wanted:
            break
        low, high = (middle + 1, high) if numbers[middle] < wanted else (low, middle - 1)
    return turns


def find_fault(reference: dict, answer: str) -> str:
    return "" if read_numbers(answer) == reference["looked_at"] else "It looks at other numbers."


def solve(problem: Problem) -> str:
    """Bounds and middle of each turn with the number there, then the numbers."""
    numbers = problem.metadata["numbers"]
    turns = probe(numbers, problem.metadata["wanted"])
    steps = (f"{low}-{high}: {middle} has {numbers[middle]}" for low, high, middle in turns)
    return work_out(steps, problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Numbers that the search looks at, each found by counting from one end of the list."""
    turns = probe(problem.metadata["numbers"], problem.metadata["wanted"])
    return sum(middle + 1 for _, _, middle in turns)


@task(
    "binary_search",
    rubric=Rubric(
        puzzle("looked_at", find_fault, max_chars=400, rewrite=rewrite_list), answer_tag(weight=0.1)
    ),
    levels=len(LENGTHS),
    kind="code",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=120),
    licence="Apache-2.0",
)
def binary_search(rng: random.Random, level: int) -> Iterator[Problem]:
    """Which numbers a binary search looks at; 10 to 15 numbers up to 90 to 120, three looks or more."""
    while True:
        numbers = [rng.randint(1, 20)]
        for _ in range(rng.randint(*LENGTHS[level - 1]) - 1):
            numbers.append(numbers[-1] + rng.randint(1, SPREAD))
        wanted = rng.choice(numbers) if rng.random() < 0.5 else rng.randint(numbers[0], numbers[-1])
        looked_at = [numbers[middle] for _, _, middle in probe(numbers, wanted)]
        if len(looked_at) > 2:
            break
    yield Problem(
        prompt=f"Numbers, at places counted from 0: {' '.join(map(str, numbers))}\n"
        f"A binary search for {wanted} begins with low = 0 and high = {len(numbers) - 1}. While low <= "
        "high it looks "
        "at the number at (low + high) // 2: it ends if that is the one, goes on above it (low = middle + "
        "1) if it is "
        "smaller, else below it (high = middle - 1). Answer with the numbers that it looks at in order, "
        "separated by "
        "blanks.",
        reference={"looked_at": looked_at, "solution": " ".join(map(str, looked_at))},
        metadata={"numbers": numbers, "wanted": wanted},
        key=f"{numbers} {wanted}",
    )
