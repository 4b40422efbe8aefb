"""The most that can flow through a network of pipes.

Each level adds nodes and pipes. What leaves the source and what enters the sink are never the answer.
"""

import random
import string
from collections import deque
from collections.abc import Iterator
from itertools import pairwise

from ...verifiers import Rubric, answer_tag, number
from ..common.puzzles import err_by_step, work_out
from ..core.problem import Problem
from ..core.task import task

NODES = (5, 7, 9, 12)  # by level, with source and sink
PIPES = (9, 15, 24, 40)
MOST = 50
NAMES = string.ascii_uppercase[:12]


def find_path(left: dict[str, dict[str, int]], start: str, goal: str) -> list[str]:
    """A path of the fewest pipes with room left, by breadth-first search; [] where there is none."""
    before = {start: ""}
    queue = deque([start])
    while queue and goal not in before:
        node = queue.popleft()
        for other, room in left[node].items():
            if room and other not in before:
                before[other] = node
                queue.append(other)
    path = [goal] if goal in before else []
    while path and before[path[0]]:
        path.insert(0, before[path[0]])
    return path


def push(pipes: list[list], start: str, goal: str) -> list[tuple[str, int]]:
    """Edmonds and Karp: each path that something is sent along, and how much."""
    left: dict[str, dict[str, int]] = {}
    for one, two, room in pipes:
        left.setdefault(one, {})[two] = left.get(one, {}).get(two, 0) + room
        left.setdefault(two, {}).setdefault(one, 0)
    sent = []
    while path := find_path(left, start, goal):
        edges = list(pairwise(path))
        amount = min(left[one][two] for one, two in edges)
        for one, two in edges:
            left[one][two] -= amount
            left[two][one] += amount
        sent.append(("".join(path), amount))
    return sent


def solve(problem: Problem) -> str:
    """The paths that something is sent along, then the sum."""
    sent = push(problem.metadata["pipes"], problem.metadata["start"], problem.metadata["goal"])
    return work_out((f"{path} {amount}" for path, amount in sent), problem.reference)


def count_work(problem: Problem) -> int:
    """Pipes on all paths that something is sent along."""
    sent = push(problem.metadata["pipes"], problem.metadata["start"], problem.metadata["goal"])
    return sum(len(path) - 1 for path, _ in sent)


def draw_pipes(rng: random.Random, nodes: str, count: int) -> list[list]:
    """Pipes that never enter the first node nor leave the last, at most one from a node to another."""
    pairs = [
        (one, two)
        for one in nodes[:-1]
        for two in nodes[1:]
        if one != two and (one, two) != (nodes[0], nodes[-1])
    ]
    return [[one, two, rng.randint(1, MOST)] for one, two in rng.sample(pairs, count)]


@task(
    "max_flow",
    rubric=Rubric(number(sources=("tag",)), answer_tag(weight=0.1)),
    levels=len(NODES),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=14),
    licence="Apache-2.0",
)
def max_flow(rng: random.Random, level: int) -> Iterator[Problem]:
    """The most that can flow from one node to another; 5, 7, 9 and 12 nodes, 9 to 40 pipes."""
    while True:
        nodes = "".join(rng.sample(NAMES[: NODES[level - 1]], NODES[level - 1]))
        pipes = draw_pipes(rng, nodes, PIPES[level - 1])
        start, goal = nodes[0], nodes[-1]
        out = sum(room for one, _, room in pipes if one == start)
        into = sum(room for _, two, room in pipes if two == goal)
        most = sum(amount for _, amount in push(pipes, start, goal)) if out and into else 0
        if most > 0 and most not in (out, into):
            break
    yield Problem(
        prompt="Pipes, each from a node to another, with the most that can flow through each:\n"
        + ", ".join(f"{one}>{two} {room}" for one, two, room in pipes)
        + f"\nWhat is the most that can flow from {start} to {goal}? Answer with the number.",
        reference=str(most),
        metadata={"pipes": pipes, "start": start, "goal": goal},
        key=f"{start} {goal} {sorted(pipes)}",
    )
