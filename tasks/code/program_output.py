"""Predict what a short program prints: assignments, branches and loops over whole numbers.

Each level has more statements and nests them deeper. The programs are worked out here, not by Python.
"""

import operator
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, read_numbers, rewrite_list, work_out
from ..core.problem import Problem
from ..core.programs import fence
from ..core.task import task

STATEMENTS = (3, 4, 6, 8)  # after the first assignments; by level
DEPTHS = (0, 1, 1, 2)  # statements in statements
NAMES = ("a", "b", "c")
LARGEST = 10**6
SIGNS: dict[str, Callable[[int, int], int]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
BY_NUMBER: dict[str, Callable[[int, int], int]] = {"//": operator.floordiv, "%": operator.mod}
TESTS: dict[str, Callable[[int, int], bool]] = {"<": operator.lt, ">": operator.gt, "==": operator.eq}


class TooLarge(ArithmeticError):
    """A variable left the range of numbers that somebody can follow."""


@dataclass
class State:
    """The variables while a program runs, and each assignment that was made."""

    values: dict[str, int]
    made: list[str] = field(default_factory=list)

    def set(self, name: str, value: int) -> None:
        if abs(value) > LARGEST:
            raise TooLarge
        self.values[name] = value
        self.made.append(f"{name}={value}")

    def read(self, term: str) -> int:
        return self.values[term] if term in self.values else int(term)


@dataclass(frozen=True)
class Statement:
    """lines: in Python, without the indentation of what holds it.  run: what it does to the variables."""

    lines: Sequence[str]
    run: Callable[[State], None]


def indent(body: Sequence[Statement]) -> list[str]:
    return [f"    {line}" for statement in body for line in statement.lines]


def run_all(body: Sequence[Statement], state: State) -> None:
    for statement in body:
        statement.run(state)


def draw_assignment(rng: random.Random, readable: Sequence[str]) -> Statement:
    target, left = rng.choice(NAMES), rng.choice(readable)
    if rng.random() < 0.3:
        sign, right = rng.choice(list(BY_NUMBER)), str(rng.randint(2, 9))
    else:
        sign, right = rng.choice(list(SIGNS)), rng.choice([*readable, str(rng.randint(2, 9))])
    calculate = {**SIGNS, **BY_NUMBER}[sign]

    def run(state: State) -> None:
        state.set(target, calculate(state.read(left), state.read(right)))

    return Statement([f"{target} = {left} {sign} {right}"], run)


def draw_branch(rng: random.Random, readable: Sequence[str], depth: int) -> Statement:
    name, by, sign, other = (
        rng.choice(readable),
        rng.randint(2, 4),
        rng.choice(list(TESTS)),
        rng.choice(readable),
    )
    then, otherwise = ([draw_statement(rng, readable, depth - 1)] for _ in range(2))
    even = other == name or rng.random() < 0.5
    test = f"{name} % {by} == 0" if even else f"{name} {sign} {other}"

    def run(state: State) -> None:
        holds = state.read(name) % by == 0 if even else TESTS[sign](state.read(name), state.read(other))
        run_all(then if holds else otherwise, state)

    return Statement([f"if {test}:", *indent(then), "else:", *indent(otherwise)], run)


def draw_loop(rng: random.Random, readable: Sequence[str], depth: int) -> Statement:
    count, variable = rng.randint(2, 4), "ijk"[sum(name in "ijk" for name in readable)]
    body = [draw_statement(rng, [*readable, variable], depth - 1) for _ in range(rng.randint(1, 2))]

    def run(state: State) -> None:
        for turn in range(count):
            state.values[variable] = turn
            run_all(body, state)

    return Statement([f"for {variable} in range({count}):", *indent(body)], run)


def draw_statement(rng: random.Random, readable: Sequence[str], depth: int) -> Statement:
    kind = rng.random() if depth else 0.0
    if kind < 0.4:
        return draw_assignment(rng, readable)
    return draw_branch(rng, readable, depth) if kind < 0.65 else draw_loop(rng, readable, depth)


def find_fault(reference: dict, answer: str) -> str:
    numbers = read_numbers(answer)
    return "" if numbers == reference["numbers"] else "It prints other numbers."


def solve(problem: Problem) -> str:
    """Each assignment with its value, then what is printed."""
    return work_out([" ".join(problem.metadata["made"])], problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Assignments that are made while the program runs."""
    return len(problem.metadata["made"])


@task(
    "program_output",
    rubric=Rubric(puzzle("output", find_fault, max_chars=200, rewrite=rewrite_list), answer_tag(weight=0.1)),
    levels=len(STATEMENTS),
    kind="code",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=15),
    licence="Apache-2.0",
)
def program_output(rng: random.Random, level: int) -> Iterator[Problem]:
    """Predict what a program prints; 3 assignments up to 8 statements with loops in loops."""
    while True:
        start = {name: rng.randint(2, 30) for name in NAMES}
        depth = DEPTHS[level - 1]
        body = [draw_statement(rng, NAMES, depth) for _ in range(STATEMENTS[level - 1] - bool(depth))]
        if depth:
            body.insert(rng.randint(1, len(body)), draw_loop(rng, NAMES, depth))
        state = State(dict(start))
        try:
            run_all(body, state)
        except TooLarge:
            continue
        values = [state.values[name] for name in NAMES]
        changed = sum(state.values[name] != start[name] for name in NAMES)
        if changed > 1 and len({*values} - {0, 1, -1}) > 1 and len(state.made) <= 60:
            break
    lines = [f"{name} = {value}" for name, value in start.items()]
    source = "\n".join([*lines, *(line for statement in body for line in statement.lines), "print(a, b, c)"])
    yield Problem(
        prompt=f"{fence(source)}\nWhat does this program print? Answer with the three numbers, separated "
        "by blanks.",
        reference={"numbers": values, "solution": " ".join(map(str, values))},
        metadata={"made": state.made, "source": source},
        key=source,
    )
