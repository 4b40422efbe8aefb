"""Pack what is worth most into a knapsack: any choice of the greatest worth counts.

Each level adds items. Taking what is worth most a kilogram first never gives the best.
"""

import random
import string
from collections.abc import Iterator, Sequence

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, read_names, rewrite_list, work_out
from ..core.problem import Problem
from ..core.task import task

ITEMS = (7, 10, 14, 19)  # by level
NAMES = string.ascii_uppercase[:19]
HEAVIEST, WORTH = 30, (10, 60)


def pack(items: Sequence[Sequence[int]], most: int) -> list[int]:
    """A choice of the greatest worth, as numbers of items: dynamic programming over the weight.

    items: weight and worth of each.  most: kilograms that fit.
    """
    best, taken = [0] * (most + 1), []
    for weight, worth in items:
        better = [room >= weight and best[room - weight] + worth > best[room] for room in range(most + 1)]
        best = [best[room - weight] + worth if better[room] else best[room] for room in range(most + 1)]
        taken.append(better)
    chosen, room = [], most
    for number in range(len(items) - 1, -1, -1):
        if taken[number][room]:
            chosen.append(number)
            room -= items[number][0]
    return chosen[::-1]


def pack_greedily(items: Sequence[Sequence[int]], most: int) -> list[int]:
    chosen = []
    for number in sorted(range(len(items)), key=lambda i: -items[i][1] / items[i][0]):
        if items[number][0] <= most:
            chosen.append(number)
            most -= items[number][0]
    return chosen


def add_worth(items: Sequence[Sequence[int]], chosen: Sequence[int]) -> int:
    return sum(items[number][1] for number in chosen)


def find_fault(reference: dict, answer: str) -> str:
    """Whether the items fit, and no choice is worth more."""
    items, most = reference["items"], reference["most"]
    chosen = [NAMES.index(name) for name in read_names(answer, NAMES[: len(items)])]
    if len(set(chosen)) < len(chosen):
        return "An item is taken twice."
    weight = sum(items[number][0] for number in chosen)
    if weight > most:
        return f"They weigh {weight}, more than {most}."
    worth = add_worth(items, chosen)
    return "" if worth == reference["worth"] else f"They are worth {worth}, not {reference['worth']}."


def solve(problem: Problem) -> str:
    """Weight and worth after each item, then the items."""
    items, weight, worth, steps = problem.reference["items"], 0, 0, []
    for name in problem.reference["solution"].split():
        weight, worth = weight + items[NAMES.index(name)][0], worth + items[NAMES.index(name)][1]
        steps.append(f"{name} {weight} {worth}")
    return work_out(steps, problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Choices that branch and bound looks at; its bound lets the last item be cut."""
    items = sorted(problem.reference["items"], key=lambda item: -item[1] / item[0])
    best, looked_at = 0, 0
    stack = [(0, problem.reference["most"], 0)]
    while stack:
        number, room, worth = stack.pop()
        looked_at += 1
        best = max(best, worth)
        bound, left = worth, room
        for weight, more in items[number:]:
            share = min(1.0, left / weight)
            bound, left = bound + share * more, left - share * weight
        if number < len(items) and bound > best:
            stack.append((number + 1, room, worth))
            if items[number][0] <= room:
                stack.append((number + 1, room - items[number][0], worth + items[number][1]))
    return looked_at


@task(
    "knapsack",
    rubric=Rubric(puzzle("best", find_fault, several=True, rewrite=rewrite_list), answer_tag(weight=0.1)),
    levels=len(ITEMS),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=40),
    licence="Apache-2.0",
)
def knapsack(rng: random.Random, level: int) -> Iterator[Problem]:
    """Pack what is worth most; 7, 10, 14 and 19 items, any choice of the greatest worth."""
    while True:
        items = [[rng.randint(3, HEAVIEST), rng.randint(*WORTH)] for _ in range(ITEMS[level - 1])]
        most = sum(weight for weight, _ in items) * rng.randint(35, 60) // 100
        chosen = pack(items, most)
        worth = add_worth(items, chosen)
        if worth > add_worth(items, pack_greedily(items, most)):
            break
    lines = (f"{NAMES[number]}: {weight} kg, worth {worth}" for number, (weight, worth) in enumerate(items))
    yield Problem(
        prompt="Items, each there once:\n"
        + "\n".join(lines)
        + f"\nWhich of them are worth most together and weigh at most {most} kg? "
        "Answer with their letters, separated by blanks.",
        reference={
            **{"items": items, "most": most, "worth": worth},
            "solution": " ".join(NAMES[number] for number in chosen),
        },
        key=f"{sorted(items)} {most}",
    )
