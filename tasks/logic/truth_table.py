"""The truth table of a formula: its value in every row, as bits.

Each level adds a variable or deepens the formula.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, read_bits, work_out
from ..core.problem import Problem
from ..core.task import task

VARIABLES = (4, 4, 5, 5)  # by level
OPERATORS = (4, 7, 8, 12)  # in the formula
BINARY: dict[str, Callable[[int, int], int]] = {
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "implies": lambda a, b: ~a | b,
    "iff": lambda a, b: ~(a ^ b),
}
SHARES = (3, 3, 1, 2, 1)  # how often each is drawn: of exclusive ones alone come few different tables


@dataclass(frozen=True)
class Formula:
    """text: in parentheses where it is not one name.  table: its values, the first row in the highest bit."""

    text: str
    table: int


def make_names(variables: int) -> list[Formula]:
    """The variables themselves: `a` is 0 in the first half of the rows."""
    rows = 1 << variables
    return [
        Formula("abcde"[i], sum(1 << rows - 1 - row for row in range(rows) if row >> variables - 1 - i & 1))
        for i in range(variables)
    ]


def find_fault(reference: dict, answer: str) -> str:
    bits = read_bits(answer)
    return "" if bits == reference["solution"] else f"The values are not {bits[:64]}."


def solve(problem: Problem) -> str:
    """The values of each part of the formula, then those of the whole."""
    return work_out(problem.metadata["parts"], problem.reference["solution"])


def write_bits(table: int, rows: int) -> str:
    return f"{table & ((1 << rows) - 1):0{rows}b}"


def build(rng: random.Random, variables: int, operators: int) -> list[Formula]:
    """A formula's parts in the order in which they are worked out; the last one is the whole."""
    mask = (1 << (1 << variables)) - 1
    names = make_names(variables)
    open_parts = [*names, *(rng.choice(names) for _ in range(operators + 1 - variables))]
    rng.shuffle(open_parts)
    parts = []
    while len(open_parts) > 1:
        left = open_parts.pop(rng.randrange(len(open_parts)))
        right = open_parts.pop(rng.randrange(len(open_parts)))
        (sign,) = rng.choices(list(BINARY), SHARES)
        negated = rng.random() < 0.3
        table = BINARY[sign](left.table ^ mask * negated, right.table) & mask
        text = f"({'not ' * negated}{left.text} {sign} {right.text})"
        parts.append(Formula(text, table))
        open_parts.append(parts[-1])
    return parts


def depends_on_all(table: int, variables: int) -> bool:
    """Whether each variable changes the value in some row: so it is constant neither."""
    for number, name in enumerate(make_names(variables)):
        apart = 1 << variables - 1 - number  # rows from one where it is 0 to its twin where it is 1
        if not (table ^ table >> apart) & name.table:
            return False
    return True


def count_work(problem: Problem) -> int:
    """Values worked out, one for each row and operator."""
    return len(problem.metadata["parts"]) * len(problem.reference["solution"])


@task(
    "truth_table",
    rubric=Rubric(puzzle("rows", find_fault, max_chars=200), answer_tag(weight=0.1)),
    levels=len(VARIABLES),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=180),
    licence="Apache-2.0",
)
def truth_table(rng: random.Random, level: int) -> Iterator[Problem]:
    """The value of a formula in every row of its truth table; 4, 4, 5 and 5 variables, 4 to 12 operators."""
    variables, rows = VARIABLES[level - 1], 1 << VARIABLES[level - 1]
    while True:
        parts = build(rng, variables, OPERATORS[level - 1])
        if depends_on_all(parts[-1].table, variables):
            break
    names = "abcde"[:variables]
    yield Problem(
        prompt=f"Formula: {parts[-1].text[1:-1]}\n"
        f"Give its value, 1 or 0, in each of the {rows} rows of its truth table, from {', '.join(names)} = "
        f"{' '.join('0' * variables)} to {' '.join('1' * variables)} in the order of counting in binary "
        "(`not` binds tightest, xor: one of "
        f"the two alone, iff: both alike). Answer with {rows} digits without blanks.",
        reference={"solution": write_bits(parts[-1].table, rows)},
        metadata={"parts": [f"{part.text[1:-1]}: {write_bits(part.table, rows)}" for part in parts]},
        key=parts[-1].text,
    )
