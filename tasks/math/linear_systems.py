"""Systems of linear equations with one solution in integers.

Level 1: two unknowns, coefficients to 5. Level 2: two, to 20. Level 3: three, to 6. Level 4: four, to 5.
The solution is drawn first, from -20 to 20. Level 1 has some 8 * 10^6: ten coefficients for each of four
places, 41^2 solutions, and two orders of the equations, which make no new problem.
"""

import random
from fractions import Fraction

from ...verifiers import Criterion, Rubric, Verdict, answer_tag
from ...verifiers.types import correct, malformed, wrong
from ..common.answers import bounded, read_assignments, reverse_list
from ..common.numbers import draw_nonzero
from ..common.polynomials import join_terms
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

SIZES, COEFFICIENTS = (2, 2, 3, 4), (5, 20, 6, 5)
LARGEST = 20  # of a solution
NAMES = ("x", "y", "z", "w")
ASK = ("Solve the system of equations:", "Find the numbers that satisfy all of these equations:")


def solves_system(name: str = "solution") -> Criterion:
    """The answer gives each unknown its value: `x = 3, y = -1`, in any order, or `(3, -1)`."""

    def equal(reference: dict, answer: str) -> Verdict:
        values = read_assignments(answer, reference["names"])
        if values is None:
            return malformed(answer[:80], f"Not one number for each of {', '.join(reference['names'])}.")
        for row in reference["rows"]:
            total = sum(a * values[name] for a, name in zip(row, reference["names"], strict=False))
            if total != row[-1]:
                return wrong(answer, f"Equation {write_row(row, reference['names'])} does not hold.")
        return correct(answer)

    return bounded(name, equal, reverse_list)


def write_row(row: list[int] | list[Fraction], names: tuple[str, ...] | list[str]) -> str:
    """`2x - y = 7`."""
    return f"{join_terms(dict(zip(names, row, strict=False)))} = {row[-1]}"


def eliminate(rows: list[list[int]], names: tuple[str, ...]) -> list[str] | None:
    """The steps of Gauss and Jordan's elimination to the solution; None where there is not exactly one."""
    table = [[Fraction(each) for each in row] for row in rows]
    steps = []
    for column in range(len(names)):
        pivot = next((row for row in range(column, len(table)) if table[row][column]), None)
        if pivot is None:
            return None
        table[column], table[pivot] = table[pivot], table[column]
        lead = table[column][column]
        table[column] = [each / lead for each in table[column]]
        for row in range(len(table)):
            share = table[row][column]
            if row != column and share:
                table[row] = [a - share * b for a, b in zip(table[row], table[column], strict=True)]
        steps.append("; ".join(write_row(row, names) for row in table))
    return steps


@task(
    "linear_systems",
    rubric=Rubric(solves_system(), answer_tag(weight=0.1)),
    levels=len(SIZES),
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=190),
    licence="Apache-2.0",
)
def linear_systems(rng: random.Random, level: int) -> Problem:
    """Two to four linear equations with as many unknowns, solved by integers."""
    size, most = SIZES[level - 1], COEFFICIENTS[level - 1]
    names = NAMES[:size]
    while True:
        values = [rng.randint(-LARGEST, LARGEST) for _ in names]
        rows = []
        for _ in names:
            row = [draw_nonzero(rng, most) for _ in names]
            rows.append([*row, sum(a * value for a, value in zip(row, values, strict=True))])
        steps = eliminate(rows, names)
        if steps is not None and any(values):
            break
    shown = ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))
    listed = "\n".join(write_row(row, names) for row in rows)
    form = " Answer in the form " + ", ".join(f"{name} = ..." for name in names) + "."
    return Problem(
        f"{rng.choice(ASK)}\n{listed}\n{form.strip()}",
        {"names": list(names), "rows": rows, "answer": shown},
        {"steps": steps},
        key="; ".join(sorted(write_row(row, names) for row in rows)),
    )
