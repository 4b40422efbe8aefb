"""Walk over a frozen lake step by step; on slippery ice only one step in three goes where it should.

Each level makes the lake larger. Ice that is slippery follows Gymnasium's FrozenLake: a step goes where it
was meant to, or to either side of that, with a chance of one third each.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from functools import lru_cache

from ...verifiers import Rubric
from ...verifiers.criteria.reached import reached
from ..common.games import Game, read_action
from ..common.grids import MOVES, Place, draw_lake, find_place, move_from
from ..core.episode import EpisodeLimits
from ..core.errors import TaskError
from ..core.problem import Problem
from ..core.task import task

SIDES = (4, 5, 6, 8)  # fields on a side; by level
STEPS = 32  # on slippery ice, for a lake of 4 x 4; in proportion to its fields
SIDEWAYS = {"U": "LR", "D": "LR", "L": "UD", "R": "UD"}
WORDS = {"UP": "U", "DOWN": "D", "LEFT": "L", "RIGHT": "R"}
Grid = tuple[str, ...]


class FrozenLake(Game):
    """A walker on the ice. It starts on S, and is over at G, in a hole H, or when the steps are used up."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reference["steps"])
        self.grid: Grid = tuple(problem.reference["grid"])
        self.hole: float = problem.reference["hole"]
        self.slippery: bool = problem.reference["slippery"]
        self.place = find_place(self.grid, "S")
        self.rng = random.Random(problem.reference["seed"])

    def answer(self, said: str) -> str:
        action = read_action(said).upper()
        move = WORDS.get(action, action)
        if move not in MOVES:
            return f"One letter a turn: U, D, L or R. {self.left}"
        if self.slippery:
            move = self.rng.choice(move + SIDEWAYS[move])
        self.place = move_from(self.grid, self.place, move)
        field = self.grid[self.place[0]][self.place[1]]
        if field == "G":
            return self.end("It is at the goal.", 1.0)
        if field == "H":
            return self.end("It fell into a hole.", self.hole)
        return draw_walker(self.grid, self.place)


def draw_walker(grid: Grid, place: Place) -> str:
    """The lake with an A where the walker stands. Where it began is ice like the rest."""
    row, column = place
    lines = [line.replace("S", "F") for line in grid]
    lines[row] = f"{lines[row][:column]}A{lines[row][column + 1 :]}"
    return "\n".join(lines)


@lru_cache(maxsize=64)
def compute_values(grid: Grid, steps: int, hole: float) -> tuple[dict[Place, float], ...]:
    """Value iteration on slippery ice (Sutton and Barto 2018, equation 4.10, without a discount): the reward
    that the best walk expects from each field, by how many steps are left, 0 to `steps`."""
    places = [(row, column) for row, line in enumerate(grid) for column, _ in enumerate(line)]
    ends = {"G": 1.0, "H": hole}
    values = [{place: ends.get(grid[place[0]][place[1]], 0.0) for place in places}]
    for _ in range(steps):
        last = values[-1]
        values.append(
            {
                place: last[place]
                if grid[place[0]][place[1]] in ends
                else max(expect(grid, place, move, last) for move in MOVES)
                for place in places
            }
        )
    return tuple(values)


def expect(grid: Grid, place: Place, move: str, values: dict[Place, float]) -> float:
    """The mean value of where a move on slippery ice may lead."""
    return sum(values[move_from(grid, place, way)] for way in move + SIDEWAYS[move]) / 3


def walk(problem: Problem) -> Generator[str, str, None]:
    """A shortest way, or on slippery ice the best walk by value iteration."""
    grid, steps = tuple(problem.reference["grid"]), problem.reference["steps"]
    if not problem.reference["slippery"]:
        moves: str = problem.reference["moves"]
        for place in range(len(moves)):
            yield moves[place]
        return
    place = find_place(grid, "S")
    values = compute_values(grid, steps, problem.reference["hole"])
    for left in reversed(range(steps)):
        best = max(MOVES, key=lambda move: expect(grid, place, move, values[left]))
        seen = (yield best).split("\n")
        place = find_place(seen, "A")


@task(
    "frozen_lake",
    rubric=Rubric(reached(low=-1.0)),
    levels=len(SIDES),
    kind="logic",
    episode=FrozenLake,
    player=walk,
    limits=EpisodeLimits(turns=STEPS * 4, tokens_per_turn=256),
    licence="Apache-2.0",
)
def frozen_lake(
    rng: random.Random, level: int, *, slippery: bool = False, hole: float = 0.0
) -> Iterator[Problem]:
    """Walk to the goal G step by step, round the holes H; 4, 5, 6 and 8 fields a side.

    slippery: whether only one step in three goes where it should.  hole: the reward in a hole, -1 to 0.
    """
    if not -1 <= hole <= 0:
        raise TaskError(f"A hole's reward is {hole:g}; give -1 to 0: -o hole=-1.")
    size = SIDES[level - 1]
    while True:
        lake = draw_lake(rng, size)
        grid, moves = tuple(lake.grid), lake.moves
        if len(set(moves)) > 1:  # a bend: no letter said again and again comes to the goal
            break
    steps = STEPS * size * size // 16 if slippery else 2 * len(moves)
    reference = {"grid": list(grid), "moves": moves, "steps": steps, "seed": rng.getrandbits(32)}
    reference |= {"slippery": slippery, "hole": float(hole)}
    optimum = compute_values(grid, steps, float(hole))[steps][find_place(grid, "S")] if slippery else 1.0
    ice = " Only one step in three goes where it should, the others to a side of that." if slippery else ""
    seen = draw_walker(grid, find_place(grid, "S"))
    yield Problem(
        prompt=f"Walk from A to G, one step a turn: U, D, L or R. F is ice, H is a hole.{ice} You have "
        f"{steps} steps.\n{seen}",
        reference=reference,
        metadata={"optimum": optimum},
        key="/".join(grid),
    )
