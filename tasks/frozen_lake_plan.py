"""Cross a frozen lake, given as a grid of letters, without falling into a hole.

Each level makes the lake larger.
"""

import random
from collections.abc import Iterator

from ..verifiers import Criterion, Rubric, Verdict, answer_criterion, answer_tag
from ..verifiers.types import correct, malformed, wrong
from .common.grids import draw_lake, find_misstep, find_way, read_moves, trace
from .core.problem import Problem
from .core.task import task

MAX_CHARS = 1_000
FIELDS = 8  # of the scripted solver


def walk(grid: list[str], max_moves: int, answer: str) -> Verdict:
    """Walks the lake: correct when the last of at most `max_moves` moves, and none before, reaches the goal.

    A move against the edge stays where it is and is counted. Moves are letters, apart or not:
    `R D D` or `RDD`.
    """
    if len(answer) > MAX_CHARS:
        return malformed(reason=f"The moves take more than {MAX_CHARS} characters.")
    moves = read_moves(answer)
    if not moves:
        return malformed(answer, "Moves are the letters U, D, L and R.")
    if len(moves) > max_moves:
        return wrong(answer, f"{len(moves)} moves are more than the {max_moves} allowed.")
    fault = find_misstep(grid, moves, "H", "falls into a hole")
    return wrong(answer, fault) if fault else correct(answer)


def reaches_goal(name: str = "frozen_lake_plan") -> Criterion:
    """The answer is a list of moves that crosses the lake."""

    def check(reference: dict, answer: str) -> Verdict:
        return walk(reference["grid"], reference["max_moves"], answer)

    def render(reference: dict) -> str:
        return f"<answer>{reference['moves']}</answer>"

    return answer_criterion(name, check, sources=("tag",), render=render, rewrite=rewrite, several=True)


def rewrite(answer: str) -> Iterator[str]:
    """The same moves apart."""
    yield " ".join(answer)
    yield ", ".join(answer)


def work_out(problem: Problem) -> str:
    """Row and column after each move in a think block, then the moves."""
    moves: str = problem.reference["moves"]
    start, *visited = (f"{row}{column}" for row, column in trace(problem.reference["grid"], moves))
    steps = [start, *(move + place for move, place in zip(moves, visited, strict=True))]
    return f"<think>{' '.join(steps)}</think><answer>{moves}</answer>"


def look_round(problem: Problem, rng: random.Random) -> str:
    """A shortest way where it is found from `FIELDS` fields, else any moves."""
    moves = find_way(problem.reference["grid"], "H", FIELDS).moves
    return f"<answer>{moves or ''.join(rng.choices('UDLR', k=4))}</answer>"


@task(
    "frozen_lake_plan",
    rubric=Rubric(reaches_goal(), answer_tag(weight=0.1)),
    levels=3,
    kind="logic",
    solve=work_out,
    attempt=look_round,
    licence="Apache-2.0",
)
def frozen_lake_plan(rng: random.Random, level: int) -> Iterator[Problem]:
    """Walk from S to G over F, round the holes H; 4 x 4 fields at level 1, one more a side per level."""
    lake = draw_lake(rng, level + 3)
    max_moves = 2 * len(lake.moves)
    yield Problem(
        prompt="\n".join(lake.grid)
        + f"\nGo from S to G in at most {max_moves} moves (U, D, L, R). F is ice, H is a hole.",
        reference={"grid": lake.grid, "moves": lake.moves, "max_moves": max_moves},
        key="/".join(lake.grid),
    )
