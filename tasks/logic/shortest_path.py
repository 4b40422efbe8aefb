"""A shortest way through a graph with lengths on its edges: every way of the least length counts.

Each level adds nodes and edges.
"""

import heapq
import random
import string
from collections.abc import Iterator, Mapping
from itertools import pairwise

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, read_names, rewrite_list, work_out
from ..core.problem import Problem
from ..core.task import task

NODES = (6, 9, 13, 18)  # by level
EDGES = (9, 15, 24, 38)
LONGEST = 20
NAMES = string.ascii_uppercase
Edges = list[list]  # [node, node, length]


def list_neighbours(edges: Edges) -> dict[str, dict[str, int]]:
    neighbours: dict[str, dict[str, int]] = {}
    for one, two, length in edges:
        neighbours.setdefault(one, {})[two] = length
        neighbours.setdefault(two, {})[one] = length
    return neighbours


def settle(neighbours: Mapping[str, Mapping[str, int]], start: str) -> dict[str, tuple[int, str]]:
    """Dijkstra: for each node that can be reached its distance and the node before it, nearest first."""
    settled: dict[str, tuple[int, str]] = {}
    waiting = [(0, start, "")]
    while waiting:
        distance, node, before = heapq.heappop(waiting)
        if node not in settled:
            settled[node] = (distance, before)
            for other, length in neighbours[node].items():
                if other not in settled:
                    heapq.heappush(waiting, (distance + length, other, node))
    return settled


def trace(settled: Mapping[str, tuple[int, str]], goal: str) -> list[str]:
    path = [goal]
    while before := settled[path[0]][1]:
        path.insert(0, before)
    return path


def find_fault(reference: dict, answer: str) -> str:
    """Whether the nodes are a way from start to goal of the least length."""
    neighbours = list_neighbours(reference["edges"])
    path = read_names(answer, neighbours)
    if (path[0], path[-1]) != (reference["start"], reference["goal"]):
        return f"It leads from {path[0]} to {path[-1]}."
    length = 0
    for one, two in pairwise(path):
        if two not in neighbours[one]:
            return f"There is no edge from {one} to {two}."
        length += neighbours[one][two]
    return "" if length == reference["length"] else f"It is {length} long, not {reference['length']}."


def solve(problem: Problem) -> str:
    """Each node with its distance in the order of Dijkstra, then a way."""
    settled = settle(list_neighbours(problem.reference["edges"]), problem.reference["start"])
    steps = [
        f"{node} {distance}{' from ' + before if before else ''}"
        for node, (distance, before) in settled.items()
    ]
    until = next(i for i, node in enumerate(settled) if node == problem.reference["goal"])
    return work_out(steps[: until + 1], problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Edges that Dijkstra looks at until it has reached the goal."""
    neighbours = list_neighbours(problem.reference["edges"])
    work = 0
    for node in settle(neighbours, problem.reference["start"]):
        if node == problem.reference["goal"]:
            break
        work += len(neighbours[node])
    return work


@task(
    "shortest_path",
    rubric=Rubric(puzzle("path", find_fault, several=True, rewrite=rewrite_list), answer_tag(weight=0.1)),
    levels=len(NODES),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=30),
    licence="Apache-2.0",
)
def shortest_path(rng: random.Random, level: int) -> Iterator[Problem]:
    """A shortest way between two nodes; 6, 9, 13 and 18 nodes, three edges or more."""
    names = NAMES[: NODES[level - 1]]
    pairs = [(one, two) for one in names for two in names if one < two]
    while True:
        edges = [[*pair, rng.randint(1, LONGEST)] for pair in rng.sample(pairs, EDGES[level - 1])]
        start, goal = rng.sample(names, 2)
        neighbours = list_neighbours(edges)
        settled = settle(neighbours, start) if len(neighbours) == len(names) else {}
        if goal in settled and len(path := trace(settled, goal)) > 3:
            break
    yield Problem(
        prompt="Edges of a graph and their lengths, to be walked either way:\n"
        + ", ".join(f"{one}-{two} {length}" for one, two, length in edges)
        + f"\nWhich way from {start} to {goal} is shortest? Answer with its nodes in order, separated by "
        "blanks.",
        reference={
            **{"edges": edges, "start": start, "goal": goal, "length": settled[goal][0]},
            "solution": " ".join(path),
        },
        key=f"{sorted((start, goal))} {sorted(edges)}",
    )
