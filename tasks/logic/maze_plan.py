"""Find a way through a maze of walls: any way counts.

Each level makes the maze larger. Two places are joined by several ways, for some walls are taken out.
"""

import random
from collections.abc import Iterator

from ...verifiers import Rubric, answer_tag
from ..common.grids import find_misstep, find_way, read_moves, trace
from ..common.mazes import carve
from ..common.puzzles import Unreadable, err_by_step, puzzle, work_out
from ..core.problem import Problem
from ..core.task import task

SIDES = (4, 6, 8, 11)  # rooms on a side; by level
GAPS = (2, 3, 5, 8)  # walls taken out


def find_fault(reference: dict, answer: str) -> str:
    """Whether the moves lead from S to G, through no wall, and end there."""
    moves = read_moves(answer.upper())
    if not moves:
        raise Unreadable("Moves are the letters U, D, L and R.")
    return find_misstep(reference["grid"], moves, "#", "runs into a wall")


def solve(problem: Problem) -> str:
    """Row and column after each move, then the moves."""
    moves: str = problem.reference["solution"]
    start, *visited = (f"{row},{column}" for row, column in trace(problem.reference["grid"], moves))
    steps = [start, *(f"{move} {place}" for move, place in zip(moves, visited, strict=True))]
    return work_out(steps, moves)


def count_work(problem: Problem) -> int:
    """Places that a breadth-first search looks at until it finds the goal."""
    return find_way(problem.reference["grid"], "#").seen


@task(
    "maze_plan",
    rubric=Rubric(puzzle("way", find_fault, max_chars=2_000, several=True), answer_tag(weight=0.1)),
    levels=len(SIDES),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=80),
    licence="Apache-2.0",
)
def maze_plan(rng: random.Random, level: int) -> Iterator[Problem]:
    """Find a way through a maze; 4, 6, 8 and 11 rooms a side, any way counts."""
    side = SIDES[level - 1]
    while True:
        grid = carve(rng, side, GAPS[level - 1])
        free = [
            (row, column) for row, line in enumerate(grid) for column, sign in enumerate(line) if sign == "."
        ]
        start, goal = rng.sample(free, 2)
        grid[start[0]][start[1]], grid[goal[0]][goal[1]] = "S", "G"
        lines = ["".join(line) for line in grid]
        moves = find_way(lines, "#").moves
        if moves is not None and len(moves) >= 2 * side:
            break
    yield Problem(
        prompt="\n".join(lines) + "\nGo from S to G through the dots; # is a wall. "
        "Answer with the moves U, D, L, R (up, down, left, right), one letter for each step, up to G.",
        reference={"grid": lines, "solution": moves},
        key="\n".join(lines),
    )
