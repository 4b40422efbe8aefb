"""Values for variables that make a formula true, a conjunction of clauses: any that do are right.

Each level adds variables, from 7 to 20, at about the number of clauses where random formulas are hardest
(Mitchell, Selman, Levesque 1992: 4.3 clauses of three literals a variable).
"""

import random
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, read_values, rewrite_values, work_out
from ..core.problem import Problem
from ..core.task import task

VARIABLES = (7, 11, 15, 20)  # by level
RATIO = 4.5  # clauses a variable
VALUES = {"1": 1, "0": 0, "true": 1, "false": 0, "t": 1, "f": 0}
Clause = tuple[int, ...]  # literals: variable 3 is 3, its negation -3


@dataclass
class Search:
    """Davis, Putnam, Logemann, Loveland: unit clauses first, then the first variable of the shortest clause.

    tried: assignments of one variable, guessed or forced.  steps: those of the branch that succeeds.
    """

    clauses: Sequence[Sequence[int]]
    tried: int = 0
    steps: list[str] = field(default_factory=list)

    def solve(self) -> bool:
        return self._solve(list(map(tuple, self.clauses)), [])

    def _solve(self, clauses: list[Clause], steps: list[str]) -> bool:
        if not clauses:
            self.steps = steps
            return True
        shortest = min(clauses, key=len)
        for literal in (shortest[0], -shortest[0]) if len(shortest) > 1 else shortest:
            self.tried += 1
            left = assume(clauses, literal)
            why = "so" if len(shortest) == 1 else "try"
            if left is not None and self._solve(
                left, [*steps, f"{why} {name(abs(literal))}={int(literal > 0)}"]
            ):
                return True
        return False


def assume(clauses: list[Clause], literal: int) -> list[Clause] | None:
    """What is left of the clauses when a literal is true; None where one becomes empty."""
    left = []
    for clause in clauses:
        if literal in clause:
            continue
        if -literal in clause:
            clause = tuple(other for other in clause if other != -literal)
            if not clause:
                return None
        left.append(clause)
    return left


def name(variable: int) -> str:
    return string.ascii_lowercase[variable - 1]


def write(clause: Clause) -> str:
    return "(" + " or ".join(("" if literal > 0 else "not ") + name(abs(literal)) for literal in clause) + ")"


def find_fault(reference: dict, answer: str) -> str:
    """Whether every clause has a true literal."""
    values = read_values(answer, map(name, range(1, reference["variables"] + 1)), VALUES)
    for clause in reference["clauses"]:
        if not any(values[name(abs(literal))] == (literal > 0) for literal in clause):
            return f"{write(clause)} is false."
    return ""


def solve(problem: Problem) -> str:
    """The guesses and what follows from them, then the values; those that don't matter as the generator has
    them."""
    search = Search(problem.reference["clauses"])
    search.solve()
    values = dict(word.split("=") for word in problem.reference["solution"].split())
    values |= dict(step.split()[1].split("=") for step in search.steps)
    return work_out(search.steps, write_values(values))


def write_values(values: Mapping[str, object]) -> str:
    return " ".join(f"{variable}={value}" for variable, value in values.items())


def count_work(problem: Problem) -> int:
    """Assignments of one variable that backtracking tries."""
    search = Search(problem.reference["clauses"])
    search.solve()
    return search.tried


def draw_clauses(rng: random.Random, hidden: list[int], count: int) -> list[Clause]:
    """Different clauses of three literals that hold of the hidden values, each variable in one of them at
    least. Those with fewer true literals are preferred, or counting signs would give the values away."""
    found: dict[Clause, None] = {}
    while len(found) < count:
        variables = sorted(rng.sample(range(1, len(hidden) + 1), 3))
        clause = tuple(variable * rng.choice((1, -1)) for variable in variables)
        true = sum((literal > 0) == hidden[abs(literal) - 1] for literal in clause)
        if true and rng.random() < 0.618**true * 1.618:  # as in Jia, Moore, Strain 2007, q-hidden formulas
            found[clause] = None
    return list(found)


@task(
    "satisfiability",
    rubric=Rubric(
        puzzle("satisfies", find_fault, several=True, rewrite=rewrite_values), answer_tag(weight=0.1)
    ),
    levels=len(VARIABLES),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=20),
    licence="Apache-2.0",
)
def satisfiability(rng: random.Random, level: int) -> Iterator[Problem]:
    """Values that make a formula true; 7, 11, 15 and 20 variables, any solution."""
    variables = VARIABLES[level - 1]
    while True:
        hidden = [rng.randrange(2) for _ in range(variables)]
        clauses = draw_clauses(rng, hidden, round(RATIO * variables))
        if {abs(literal) for clause in clauses for literal in clause} == {*range(1, variables + 1)}:
            break
    yield Problem(
        prompt="Find values, 1 or 0, that make every line true:\n"
        + "\n".join(map(write, clauses))
        + f"\nAnswer with all {variables} variables, as in a=1 b=0, separated by blanks.",
        reference={
            "variables": variables,
            "clauses": list(map(list, clauses)),
            "solution": write_values(
                {name(number): hidden[number - 1] for number in range(1, variables + 1)}
            ),
        },
        key=str(sorted(clauses)),
    )
