"""A row of cells after some steps of an elementary cellular automaton (Wolfram 1983), the ends joined.

Each level has more cells or more steps.
"""

import random
from collections.abc import Iterator

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, read_bits, work_out
from ..core.problem import Problem
from ..core.task import task

CELLS = (14, 16, 18, 24)  # by level
STEPS = (1, 2, 4, 6)
PATTERNS = ("111", "110", "101", "100", "011", "010", "001", "000")


def step(rule: dict[str, str], row: str) -> str:
    """Each cell by its left neighbour, itself and its right one."""
    ring = row[-1] + row + row[0]
    return "".join(rule[ring[place : place + 3]] for place in range(len(row)))


def find_fault(reference: dict, answer: str) -> str:
    cells = read_bits(answer)
    return "" if cells == reference["solution"] else f"The cells are not {cells[:64]}."


def solve(problem: Problem) -> str:
    """The row after each step."""
    *steps, last = problem.metadata["rows"][1:]
    return work_out([*steps, last], last)


def count_work(problem: Problem) -> int:
    """Cells that are worked out."""
    return sum(map(len, problem.metadata["rows"][1:]))


@task(
    "cellular_automaton",
    rubric=Rubric(puzzle("cells", find_fault, max_chars=200), answer_tag(weight=0.1)),
    levels=len(CELLS),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=60),
    licence="Apache-2.0",
)
def cellular_automaton(rng: random.Random, level: int) -> Iterator[Problem]:
    """A row of cells after some steps of a rule; 14 cells and one step up to 24 cells and six steps."""
    while True:
        ones = set(rng.sample(PATTERNS, rng.choice((3, 4, 4, 5))))
        rule = {pattern: str(int(pattern in ones)) for pattern in PATTERNS}
        rows: list[str] = ["".join(rng.choice("01") for _ in range(CELLS[level - 1]))]
        for _ in range(STEPS[level - 1]):
            rows.append(step(rule, rows[-1]))
        if len(set(rows)) == len(rows) and 3 <= rows[-1].count("1") <= len(rows[0]) - 3:
            break
    count = STEPS[level - 1]
    yield Problem(
        prompt="A row of cells, each 0 or 1, whose ends are neighbours. In a step all cells change at "
        "once: what "
        "one becomes hangs on its left neighbour, itself and its right neighbour:\n"
        + ", ".join(f"{pattern}>{value}" for pattern, value in rule.items())
        + f"\nThe row is {rows[0]}. What is it after {count} {'step' if count == 1 else 'steps'}? "
        f"Answer with {len(rows[0])} digits, without blanks.",
        reference={"solution": rows[-1]},
        metadata={"rows": rows},
        key=f"{''.join(rule.values())} {rows[0]} {count}",
    )
