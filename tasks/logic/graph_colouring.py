"""Colour a graph with three colours so that no edge joins two of one colour: any such colouring counts.

Each level adds nodes and edges, up to where random graphs that can be coloured are hardest (Cheeseman,
Kanefsky, Taylor 1991: about 4.6 edges a node and its other end).
"""

import random
import string
from collections.abc import Iterator

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, read_values, rewrite_values, work_out
from ..core.problem import Problem
from ..core.task import task

NODES = (8, 11, 16, 22)  # by level
EDGES = (13, 20, 32, 50)
NAMES = string.ascii_uppercase
COLOURS = {"1": "1", "2": "2", "3": "3"}


class Search:
    """Backtracking by the node with the fewest colours left. tried: colours given to a node."""

    def __init__(self, nodes: str, edges: list[str]) -> None:
        self.neighbours: dict[str, list[str]] = {node: [] for node in nodes}
        for one, two in edges:
            self.neighbours[one].append(two)
            self.neighbours[two].append(one)
        self.chosen: dict[str, str] = {}
        self.tried = 0

    def solve(self) -> bool:
        open_nodes = [node for node in self.neighbours if node not in self.chosen]
        if not open_nodes:
            return True
        node = min(open_nodes, key=lambda node: (len(self._list_free(node)), -len(self.neighbours[node])))
        for colour in self._list_free(node):
            self.tried += 1
            self.chosen[node] = colour
            if self.solve():
                return True
            del self.chosen[node]
        return False

    def _list_free(self, node: str) -> list[str]:
        taken = {self.chosen.get(other) for other in self.neighbours[node]}
        return [colour for colour in COLOURS if colour not in taken]


def find_fault(reference: dict, answer: str) -> str:
    """Whether every node has a colour, and no edge two of the same."""
    colours = read_values(answer, reference["nodes"], COLOURS)
    same = next((edge for edge in reference["edges"] if colours[edge[0]] == colours[edge[1]]), None)
    return f"{same[0]} and {same[1]} have the same colour." if same else ""


def solve(problem: Problem) -> str:
    """The nodes in the order in which a search colours them, then in the order of the alphabet."""
    search = Search(problem.reference["nodes"], problem.reference["edges"])
    search.solve()
    steps = [f"{node}={colour}" for node, colour in search.chosen.items()]
    return work_out([" ".join(steps)], " ".join(sorted(steps)))


def count_work(problem: Problem) -> int:
    """Colours that backtracking gives to a node, those taken back included."""
    search = Search(problem.reference["nodes"], problem.reference["edges"])
    search.solve()
    return search.tried


@task(
    "graph_colouring",
    rubric=Rubric(
        puzzle("colouring", find_fault, several=True, rewrite=rewrite_values), answer_tag(weight=0.1)
    ),
    levels=len(NODES),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=15),
    licence="Apache-2.0",
)
def graph_colouring(rng: random.Random, level: int) -> Iterator[Problem]:
    """Colour a graph with three colours; 8, 11, 16 and 22 nodes, any right colouring."""
    nodes = NAMES[: NODES[level - 1]]
    while True:
        hidden = {node: str(1 + place % 3) for place, node in enumerate(rng.sample(nodes, len(nodes)))}
        pairs = [one + two for one in nodes for two in nodes if one < two and hidden[one] != hidden[two]]
        edges = rng.sample(pairs, EDGES[level - 1])
        if set("".join(edges)) == set(nodes):
            break
    yield Problem(
        prompt="Edges of a graph: "
        + " ".join(f"{one}-{two}" for one, two in edges)
        + "\nGive each node a colour, 1, 2 or 3, so that no edge joins two nodes of the same colour. "
        f"Answer with all {len(nodes)} nodes, as in A=1 B=2, separated by blanks.",
        reference={
            **{"nodes": nodes, "edges": edges},
            "solution": " ".join(f"{node}={hidden[node]}" for node in nodes),
        },
        key=" ".join(sorted(edges)),
    )
