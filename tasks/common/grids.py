"""Grids of signs, a text for each row, in which one walks from S to G: moves, shortest ways, walks."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOVES = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}
Place = tuple[int, int]  # row and column
HOLE_SHARE = 0.3  # of a lake's fields


@dataclass(frozen=True, slots=True)
class Way:
    """moves: one letter for each; None where no way was found.  seen: places that the search came to."""

    moves: str | None
    seen: int


@dataclass(frozen=True, slots=True)
class Lake:
    """grid: F is ice, H a hole.  moves: a shortest way from S to G."""

    grid: list[str]
    moves: str


def draw_lake(rng: random.Random, size: int) -> Lake:
    """A frozen lake of `size` fields a side, whose shortest way takes `size` - 1 moves or more."""
    while True:
        fields = ["H" if rng.random() < HOLE_SHARE else "F" for _ in range(size * size)]
        start, goal = rng.sample(range(size * size), 2)
        fields[start], fields[goal] = "S", "G"
        grid = ["".join(fields[row * size : (row + 1) * size]) for row in range(size)]
        moves = find_way(grid, "H").moves
        if moves is not None and len(moves) >= size - 1:
            return Lake(grid, moves)


def find_place(grid: Sequence[str], sign: str) -> Place:
    """The first place with this sign."""
    return next((row, line.index(sign)) for row, line in enumerate(grid) if sign in line)


def find_way(grid: Sequence[str], blocked: str, most: int | None = None) -> Way:
    """A shortest way from S to G by breadth-first search that enters no place with the sign `blocked`.

    most: places that are looked round from, after which it gives up; None: all.
    """
    start = find_place(grid, "S")
    ways = {start: ""}
    queue = deque([start])
    looked = 0
    while queue and looked != most:
        looked += 1
        place = queue.popleft()
        if grid[place[0]][place[1]] == "G":
            return Way(ways[place], len(ways))
        for move in MOVES:
            ahead = _step(place, move)
            if ahead not in ways and _is_on(grid, ahead) and grid[ahead[0]][ahead[1]] != blocked:
                ways[ahead] = ways[place] + move
                queue.append(ahead)
    return Way(None, len(ways))


def read_moves(answer: str) -> str:
    """`R, D D` as "RDD"; "" where anything but letters of MOVES is there."""
    moves = "".join(answer.replace(",", " ").split())
    return moves if set(moves) <= set(MOVES) else ""


def trace(grid: Sequence[str], moves: str) -> Iterator[Place]:
    """Where one is at S and after each move. A move against the edge stays where it is."""
    place = find_place(grid, "S")
    yield place
    for move in moves:
        place = move_from(grid, place, move)
        yield place


def move_from(grid: Sequence[Sequence[str]], place: Place, move: str) -> Place:
    """Where a move leads. One against the edge stays where it is."""
    ahead = _step(place, move)
    return ahead if _is_on(grid, ahead) else place


def find_misstep(grid: Sequence[str], moves: str, blocked: str, event: str) -> str:
    """What is wrong with moves that should lead from S to G and end there; "" for nothing.

    blocked: the sign of places that may not be entered.  event: what a move that enters one does.
    """
    _, *visited = trace(grid, moves)
    for count, (row, column) in enumerate(visited, start=1):
        if grid[row][column] == blocked:
            return f"Move {count} {event}."
        if grid[row][column] == "G":
            return "" if count == len(moves) else "Moves follow after the goal."
    return "The moves end before the goal."


def _step(place: Place, move: str) -> Place:
    return place[0] + MOVES[move][0], place[1] + MOVES[move][1]


def _is_on(grid: Sequence[Sequence[str]], place: Place) -> bool:
    return 0 <= place[0] < len(grid) and 0 <= place[1] < len(grid[0])
