"""Two habits of walking over a frozen lake, for a small model to imitate.

The planner looks at the lake before each step: sweep by sweep it writes down, for each field that touches one
whose way is known, the move that leads there, until the field on which it stands has its own. The hasty one
makes for the goal as if there were no holes.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence

from ...tasks import Problem
from ...tasks.common.grids import MOVES, find_place, move_from
from ...tasks.core.seeds import digest

PLANNED_SHARE = 0.2  # of the lakes that are shown
ICE = "FA"  # fields without a move yet
KNOWN = frozenset("GUDLR")  # the goal, and fields whose move is written down
BETWEEN = "\n\n"  # two sweeps, as far from each other as the first is from the lake itself


def mix_habits(problem: Problem) -> Generator[str, str, None]:
    """A walk over one lake in one of the habits: planned on `PLANNED_SHARE` of the lakes."""
    rng = random.Random(digest("habit", problem.id))
    plans = rng.random() < PLANNED_SHARE
    seen = problem.text.split("\n")[1:]
    while True:
        seen = (yield plan(seen) if plans else hurry(seen, rng)).split("\n")


def plan(seen: Sequence[str]) -> str:
    """The sweeps in a think block, as far as the move of the walker's field; then that move."""
    row, column = find_place(seen, "A")
    sweeps = [sweep(seen)]
    while sweeps[-1][row][column] == "A":
        sweeps.append(sweep(sweeps[-1]))
    move = sweeps[-1][row][column]
    sweeps[-1] = [*sweeps[-1][:row], sweeps[-1][row][: column + 1]]
    written = BETWEEN.join("\n".join(each) for each in sweeps)
    return f"<think>{written}</think>{move}"


def sweep(last: Sequence[str]) -> list[str]:
    """The lake once more, row by row: a field without a move, beside one whose way is known, gets the move
    that leads there. What this sweep has found already counts."""
    rows = [list(row) for row in last]
    for row, line in enumerate(rows):
        for column, sign in enumerate(line):
            if sign in ICE:
                ways = (move for move in "LURD" if _leads_on(rows, row, column, move))
                line[column] = next(ways, sign)
    return ["".join(line) for line in rows]


def _leads_on(rows: Sequence[Sequence[str]], row: int, column: int, move: str) -> bool:
    ahead = move_from(rows, (row, column), move)
    return rows[ahead[0]][ahead[1]] in KNOWN


def hurry(seen: Sequence[str], rng: random.Random) -> str:
    """Any move that comes nearer to the goal, holes or not."""
    row, column = find_place(seen, "A")
    goal_row, goal_column = find_place(seen, "G")
    moves = [
        move
        for move, (down, right) in MOVES.items()
        if down * (goal_row - row) > 0 or right * (goal_column - column) > 0
    ]
    return rng.choice(moves)
