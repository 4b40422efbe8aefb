"""Walk through a maze of which a part is not on the map.

Each level makes the maze larger and hides more of it. A turn is a run of moves, which ends at the first wall.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Sequence

from ...verifiers import Rubric
from ...verifiers.criteria.reached import reached
from ..common.games import Game, read_action
from ..common.grids import MOVES, Place, find_place, find_way, move_from, read_moves
from ..common.mazes import carve
from ..core.episode import EpisodeLimits
from ..core.problem import Problem
from ..core.task import task

SIDES = (3, 4, 5, 6)  # rooms on a side; by level
HIDDEN = (0.25, 0.4, 0.5, 0.6)  # share of the inner walls and openings that the map doesn't show
GAPS = (1, 2, 3, 4)  # walls taken out
MOST_TURNS = 40
SPARE = 4  # turns beyond those that the explorer needs


class Maze(Game):
    """A walker in a maze, who sees which ways are open where it stands. It is over at G."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reference["turns"])
        self.grid: Sequence[str] = problem.reference["grid"]
        self.place = find_place(self.grid, "S")

    def answer(self, said: str) -> str:
        moves = read_moves(read_action(said).upper())
        if not moves:
            return f"Answer with moves: the letters U, D, L and R. {self.left}"
        met = ""
        for move in moves:
            ahead = move_from(self.grid, self.place, move)
            if self.grid[ahead[0]][ahead[1]] == "#":
                met = f"There is a wall {WAYS[move]}. "
                break
            self.place = ahead
            if self.grid[ahead[0]][ahead[1]] == "G":
                return self.end("It is at the goal.", 1.0)
        return f"{met}{describe(self.grid, self.place)} {self.left}"


WAYS = {"U": "above", "D": "below", "L": "on the left", "R": "on the right"}


def describe(grid: Sequence[str], place: Place) -> str:
    """Where one stands, and which ways are open there."""
    ahead = {move: move_from(grid, place, move) for move in MOVES}
    ways = [move for move, (row, column) in ahead.items() if grid[row][column] != "#"]
    return f"Row {place[0]}, column {place[1]}; open: {' '.join(ways)}."


def hide(rng: random.Random, grid: Sequence[str], share: float) -> list[str]:
    """The map with ? for some of what lies between two rooms."""
    lines = [list(line) for line in grid]
    inner = [
        (row, column)
        for row in range(1, len(grid) - 1)
        for column in range(1, len(grid) - 1)
        if row % 2 != column % 2 and grid[row][column] in "#."
    ]
    for row, column in rng.sample(inner, round(share * len(inner))):
        lines[row][column] = "?"
    return ["".join(line) for line in lines]


def explore(problem: Problem) -> Generator[str, str, None]:
    """The shortest way for which all that is not known would be open, and another one from the first wall."""
    known = [list(line) for line in problem.reference["map"]]
    place = find_place(problem.reference["map"], "S")
    known[place[0]][place[1]] = "."
    while True:
        look = ["".join(line) for line in known]
        look[place[0]] = f"{look[place[0]][: place[1]]}S{look[place[0]][place[1] + 1 :]}"
        moves = find_way(look, "#").moves
        assert moves is not None  # what is hidden lies between rooms, which hang together
        said = yield moves
        seen, _, ways = said.partition("open: ")
        row, column = (
            int(part.split()[-1].strip(",;.")) for part in seen[seen.index("Row") :].split(",")[:2]
        )
        place = row, column
        for move, (down, right) in MOVES.items():
            known[row + down][column + right] = (
                known[row + down][column + right] if move in ways.partition(".")[0] else "#"
            )


def count_turns(problem: Problem) -> int:
    """The turns that `explore` takes."""
    world, player = Maze(problem), explore(problem)
    said = next(player)
    while (answer := world.reply(said)) is not None:
        said = player.send(answer)
    return world.state["turns"]


def draw_maze(rng: random.Random, level: int) -> Problem:
    """A problem without its prompt; the turns are more than enough."""
    side = SIDES[level - 1]
    grid = carve(rng, side, GAPS[level - 1])
    free = [(row, column) for row, line in enumerate(grid) for column, sign in enumerate(line) if sign == "."]
    start, goal = rng.sample([place for place in free if place[0] % 2 and place[1] % 2], 2)
    grid[start[0]][start[1]], grid[goal[0]][goal[1]] = "S", "G"
    lines = ["".join(line) for line in grid]
    shown = hide(rng, lines, HIDDEN[level - 1])
    return Problem("", reference={"grid": lines, "map": shown, "turns": MOST_TURNS})


@task(
    "maze",
    rubric=Rubric(reached()),
    levels=len(SIDES),
    kind="logic",
    episode=Maze,
    player=explore,
    limits=EpisodeLimits(turns=MOST_TURNS, tokens_per_turn=64),
    licence="Apache-2.0",
)
def maze(rng: random.Random, level: int) -> Iterator[Problem]:
    """Walk through a maze of which a part is not on the map; 3, 4, 5 and 6 rooms a side."""
    while True:
        drawn = draw_maze(rng, level)
        shortest = find_way(drawn.reference["grid"], "#").moves or ""
        needed = count_turns(drawn)
        if len(set(shortest)) > 1 and 2 <= needed <= MOST_TURNS - SPARE:
            break
    turns, place = needed + SPARE, find_place(drawn.reference["grid"], "S")
    lines = "\n".join(drawn.reference["map"])
    yield Problem(
        prompt=f"{lines}\nWalk from S to G. # is a wall, ? is not known. Each turn answer with moves, U, D, "
        f"L and R, as UURR; they end at the first wall. {describe(drawn.reference['grid'], place)} "
        f"You have {turns} turns.",
        reference={**drawn.reference, "turns": turns},
        key=lines,
    )
