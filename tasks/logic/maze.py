"""Find a way through a maze of walls: any way counts.

Each level makes the maze larger. Two places are joined by several ways, for some walls are taken out.
"""

import random
from collections import deque
from collections.abc import Iterator

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import Unreadable, err_by_step, puzzle, work_out
from ..core.problem import Problem
from ..core.task import task

SIDES = (4, 6, 8, 11)  # rooms on a side; by level
GAPS = (2, 3, 5, 8)  # walls taken out
MOVES = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}
Place = tuple[int, int]


def carve(rng: random.Random, side: int, gaps: int) -> list[list[str]]:
    """A grid of 2 * side + 1 characters a side: rooms at odd places, joined by a random walk into a tree."""
    size = 2 * side + 1
    grid = [["#"] * size for _ in range(size)]
    stack = [(1, 1)]
    grid[1][1] = "."
    while stack:
        row, column = stack[-1]
        ways = [
            (down, right)
            for down, right in MOVES.values()
            if 0 < row + 2 * down < size
            and 0 < column + 2 * right < size
            and grid[row + 2 * down][column + 2 * right] == "#"
        ]
        if not ways:
            stack.pop()
            continue
        down, right = rng.choice(ways)
        grid[row + down][column + right] = grid[row + 2 * down][column + 2 * right] = "."
        stack.append((row + 2 * down, column + 2 * right))
    walls = [
        (row, column)
        for row in range(1, size - 1)
        for column in range(1, size - 1)
        if grid[row][column] == "#" and row % 2 != column % 2
    ]
    for row, column in rng.sample(walls, min(gaps, len(walls))):
        grid[row][column] = "."
    return grid


def find_place(grid: list[str], sign: str) -> Place:
    return next((row, line.index(sign)) for row, line in enumerate(grid) if sign in line)


def search(grid: list[str]) -> tuple[str, int]:
    """The moves of a shortest way from S to G, and how many places breadth-first search looks at."""
    start = find_place(grid, "S")
    ways = {start: ""}
    queue = deque([start])
    while queue:
        row, column = queue.popleft()
        if grid[row][column] == "G":
            return ways[row, column], len(ways)
        for move, (down, right) in MOVES.items():
            place = (row + down, column + right)
            if place not in ways and grid[place[0]][place[1]] != "#":
                ways[place] = ways[row, column] + move
                queue.append(place)
    return "", len(ways)


def find_fault(reference: dict, answer: str) -> str:
    """Whether the moves lead from S to G, through no wall, and end there."""
    grid: list[str] = reference["grid"]
    moves = "".join(answer.replace(",", " ").split()).upper()
    if not moves or not set(moves) <= set(MOVES):
        raise Unreadable("Moves are the letters U, D, L and R.")
    row, column = find_place(grid, "S")
    for count, move in enumerate(moves, start=1):
        row, column = row + MOVES[move][0], column + MOVES[move][1]
        if grid[row][column] == "#":
            return f"Move {count} runs into a wall."
        if grid[row][column] == "G":
            return "" if count == len(moves) else "Moves follow after the goal."
    return "The moves end before the goal."


def solve(problem: Problem) -> str:
    """Row and column after each move, then the moves."""
    row, column = find_place(problem.reference["grid"], "S")
    visited = [f"{row},{column}"]
    for move in problem.reference["solution"]:
        row, column = row + MOVES[move][0], column + MOVES[move][1]
        visited.append(f"{move} {row},{column}")
    return work_out(visited, problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Places that a breadth-first search looks at until it finds the goal."""
    return search(problem.reference["grid"])[1]


@task(
    "maze",
    rubric=Rubric(puzzle("way", find_fault, max_chars=2_000, several=True), answer_tag(weight=0.1)),
    levels=len(SIDES),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=80),
    licence="Apache-2.0",
)
def maze(rng: random.Random, level: int) -> Iterator[Problem]:
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
        moves, _ = search(lines)
        if len(moves) >= 2 * side:
            break
    yield Problem(
        prompt="\n".join(lines) + "\nGo from S to G through the dots; # is a wall. "
        "Answer with the moves U, D, L, R (up, down, left, right), one letter for each step, up to G.",
        reference={"grid": lines, "solution": moves},
        key="\n".join(lines),
    )
