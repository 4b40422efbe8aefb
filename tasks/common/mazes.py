"""Mazes: rooms joined by a random walk, and a few walls taken out."""

from __future__ import annotations

import random

from .grids import MOVES


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
