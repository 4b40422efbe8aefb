"""Who lives where: people, pets and the like in a row of houses, from clues about them (a zebra puzzle).

Each level adds houses or kinds of things. The generator proves that the clues have one solution, and leaves
out clues that are not needed.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import Unreadable, err_by_step, puzzle, split_words, work_out
from ..common.words import FIRST_NAMES
from ..core.problem import Problem
from ..core.task import task

SIZES = ((3, 3), (4, 2), (4, 3), (5, 3))  # houses, kinds of things; by level
THINGS = (
    FIRST_NAMES[:14],
    ("cat", "dog", "fox", "owl", "hen", "eel", "bat", "ant", "bee", "cow", "elk", "pig", "rat", "yak"),
    ("tea", "milk", "cocoa", "juice", "water", "cider", "mead", "kefir", "lassi", "soda", "cola", "ale"),
)
RELATIONS = ("same", "left", "beside", "before", "at", "not at")


@dataclass(frozen=True)
class Clue:
    """What holds of two things, or of one and a house: each thing by its kind's number and its own.

    house: counted from 0; only "at" and "not at" have one.
    """

    relation: str
    kind: int
    thing: int
    other_kind: int = 0
    other: int = 0
    house: int = 0


@dataclass(frozen=True)
class Places:
    """The orders of one kind's things in the houses. with_thing: thing -> house -> orders, as bits."""

    orders: list[tuple[int, ...]]
    with_thing: list[list[int]]


@cache
def list_places(houses: int) -> Places:
    orders = list(permutations(range(houses)))  # of each thing, its house
    with_thing = [
        [
            sum(1 << number for number, order in enumerate(orders) if order[thing] == house)
            for house in range(houses)
        ]
        for thing in range(houses)
    ]
    return Places(orders, with_thing)


def fits(relation: str, place: int, other: int) -> bool:
    match relation:
        case "same":
            return place == other
        case "left":
            return place + 1 == other
        case "beside":
            return abs(place - other) == 1
        case "before":
            return place < other
        case "at":
            return place == other
    return place != other


@cache
def list_alike(houses: int, relation: str, thing: int, other: int) -> int:
    """The orders of one kind in which two of its things fit a relation, as bits."""
    orders = list_places(houses).orders
    return sum(
        1 << number for number, order in enumerate(orders) if fits(relation, order[thing], order[other])
    )


@cache
def list_allowed(houses: int, relation: str, thing: int, first: bool) -> tuple[int, ...]:
    """For each house of one thing of a clue, the orders of the other's kind that fit, as bits.

    thing: the other.  first: whether it is the clue's first.
    """
    there = list_places(houses).with_thing[thing]
    return tuple(
        sum(
            there[house]
            for house in range(houses)
            if (fits(relation, house, place) if first else fits(relation, place, house))
        )
        for place in range(houses)
    )


class Search:
    """Counts the solutions of clues, two at most. tried: orders of one kind that it looks at."""

    def __init__(self, houses: int, kinds: int, clues: Sequence[Clue]) -> None:
        self.orders, self.kinds = list_places(houses).orders, kinds
        self.tried = 0
        everything = (1 << len(self.orders)) - 1
        self.start = [everything] * kinds
        # Of each kind, what its order says of a later one: its thing, the later kind, the orders by house.
        self.later: list[list[tuple[int, int, tuple[int, ...]]]] = [[] for _ in range(kinds)]
        for clue in clues:
            if clue.relation in ("at", "not at"):
                there = list_places(houses).with_thing[clue.thing][clue.house]
                self.start[clue.kind] &= there if clue.relation == "at" else everything ^ there
            elif clue.kind == clue.other_kind:
                self.start[clue.kind] &= list_alike(houses, clue.relation, clue.thing, clue.other)
            elif clue.kind < clue.other_kind:
                allowed = list_allowed(houses, clue.relation, clue.other, False)
                self.later[clue.kind].append((clue.thing, clue.other_kind, allowed))
            else:
                allowed = list_allowed(houses, clue.relation, clue.thing, True)
                self.later[clue.other_kind].append((clue.other, clue.kind, allowed))

    def count(self) -> int:
        return self._count(0, self.start)

    def _count(self, kind: int, left: list[int]) -> int:
        """Solutions that are left; left: for each kind the orders that may still be."""
        if kind == self.kinds - 1:
            self.tried += min(left[kind].bit_count(), 2)
            return min(left[kind].bit_count(), 2)
        found, rest = 0, left[kind]
        while rest and found < 2:
            lowest = rest & -rest
            rest ^= lowest
            self.tried += 1
            order, narrowed = self.orders[lowest.bit_length() - 1], list(left)
            for thing, later, allowed in self.later[kind]:
                narrowed[later] &= allowed[order[thing]]
            if all(narrowed[kind + 1 :]):
                found += self._count(kind + 1, narrowed)
        return found


def draw_clue(rng: random.Random, orders: Sequence[tuple[int, ...]]) -> Clue:
    """A clue that holds of the hidden solution."""
    houses, kinds = len(orders[0]), len(orders)
    while True:
        relation = rng.choice(RELATIONS)
        kind, thing = rng.randrange(kinds), rng.randrange(houses)
        if relation in ("at", "not at"):
            if relation == "at" and rng.random() < 0.7:
                continue
            house = rng.randrange(houses)
            if fits(relation, orders[kind][thing], house):
                return Clue(relation, kind, thing, house=house)
            continue
        other_kind, other = rng.randrange(kinds), rng.randrange(houses)
        alike = kind == other_kind
        if not (alike and (thing == other or relation == "same")) and fits(
            relation, orders[kind][thing], orders[other_kind][other]
        ):
            return Clue(relation, kind, thing, other_kind, other)


def choose_clues(rng: random.Random, orders: Sequence[tuple[int, ...]]) -> list[Clue]:
    """Clues that leave one solution, of which none can be spared."""
    houses, kinds = len(orders[0]), len(orders)
    clues = list(dict.fromkeys(draw_clue(rng, orders) for _ in range(houses * kinds - 1)))
    while Search(houses, kinds, clues).count() > 1:
        clues += [clue for clue in (draw_clue(rng, orders), draw_clue(rng, orders)) if clue not in clues]
    for clue in list(clues):
        fewer = [other for other in clues if other != clue]
        if Search(houses, kinds, fewer).count() == 1:
            clues = fewer
    return clues


def write(clue: Clue, names: Sequence[Sequence[str]]) -> str:
    one, two = names[clue.kind][clue.thing], names[clue.other_kind][clue.other]
    match clue.relation:
        case "same":
            return f"{one} and {two} are in the same house."
        case "left":
            return f"{one} is directly left of {two}."
        case "beside":
            return f"{one} is next door to {two}."
        case "before":
            return f"{one} is somewhere left of {two}."
        case "at":
            return f"{one} is in house {clue.house + 1}."
    return f"{one} is not in house {clue.house + 1}."


def find_fault(reference: dict, answer: str) -> str:
    """Whether each house holds what it must, in any order within the house."""
    houses: list[list[str]] = reference["houses"]
    lines = [line for line in answer.replace("/", "\n").replace(";", "\n").split("\n") if line.strip()]
    if len(lines) != len(houses):
        raise Unreadable(f"The answer has {len(lines)} houses, not {len(houses)}.")
    for number, (line, house) in enumerate(zip(lines, houses, strict=True), start=1):
        if sorted(word.lower() for word in split_words(line)) != sorted(word.lower() for word in house):
            return f"House {number} is wrong."
    return ""


def solve(problem: Problem) -> str:
    """Where each thing is, then the houses."""
    houses = problem.reference["houses"]
    steps = (f"{number}: {' '.join(house)}" for number, house in enumerate(houses, start=1))
    return work_out(steps, problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Orders of one kind of things that a search looks at until it has shown that one solution is all."""
    houses = problem.reference["houses"]
    search = Search(len(houses), len(houses[0]), [Clue(**clue) for clue in problem.metadata["clues"]])
    search.count()
    return search.tried


@task(
    "zebra",
    rubric=Rubric(puzzle("houses", find_fault), answer_tag(weight=0.1)),
    levels=len(SIZES),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=20),
    licence="Apache-2.0",
)
def zebra(rng: random.Random, level: int) -> Iterator[Problem]:
    """Who lives where, from clues with one solution; 3 to 5 houses, 2 or 3 kinds of things."""
    houses, kinds = SIZES[level - 1]
    names = [rng.sample(THINGS[kind], houses) for kind in range(kinds)]
    orders = [tuple(rng.sample(range(houses), houses)) for _ in range(kinds)]
    clues = choose_clues(rng, orders)
    rows = [[names[kind][orders[kind].index(house)] for kind in range(kinds)] for house in range(houses)]
    form = " / ".join([" ".join(("NAME", "ANIMAL", "DRINK")[:kinds])] * houses)
    yield Problem(
        prompt=f"{houses} houses stand in a row, numbered from left to right. Each has one of each: "
        + "; ".join(", ".join(group) for group in names)
        + ".\n"
        + "\n".join(write(clue, names) for clue in clues)
        + f"\nWhat is in each house? Answer with the houses from left to right, in the form {form}.",
        reference={"houses": rows, "solution": " / ".join(map(" ".join, rows))},
        metadata={"clues": [vars(clue) for clue in clues]},
        key="\n".join(sorted(map(str, clues))),
    )
