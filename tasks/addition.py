"""Add a few numbers, as `32+83+53=`.

Demonstrations mix worked columns with lazy guesses, as a base model does.
"""

import random

from ..verifiers import Rubric, answer_tag, number
from .core.problem import Problem
from .core.task import task

WORKED_SHARE = 0.4


def work_out(problem: Problem) -> str:
    """The columns from the right, each with its carry, in a think block; then the answer."""
    operands: list[int] = problem.metadata["operands"]
    columns, carry = [], 0
    for column in range(len(str(max(operands)))):
        digits = [operand // 10**column % 10 for operand in operands]
        terms = "+".join(map(str, [*digits, carry] if column else digits))
        total = sum(digits) + carry
        carry = total // 10
        columns.append(f"{terms}={total:02}")  # of one width, so that every digit has its place
    return f"<think>{','.join(columns)}</think><answer>{problem.reference}</answer>"


def mix_habits(problem: Problem, rng: random.Random) -> str:
    """40 % worked; the rest a guess without a think block, right one time in ten and else off by a little."""
    if rng.random() < WORKED_SHARE:
        return work_out(problem)
    total = int(problem.reference)
    guess = (
        total
        if rng.random() < 0.1
        else max(0, total + rng.choice((-20, -11, -10, -9, -2, -1, 1, 2, 9, 10, 11, 20)))
    )
    return f"<answer>{guess}</answer>"


@task(
    "addition",
    rubric=Rubric(number(sources=("tag",)), answer_tag(gate=True)),
    instruction="",
    solve=work_out,
    demonstrate=mix_habits,
    kind="math",
    licence="Apache-2.0",
)
def addition(rng: random.Random, level: int, *, operands: int = 3, digits: int = 2) -> Problem:  # noqa: ARG001
    """Add `operands` numbers of `digits` digits each;
    the order of the operands does not make a new problem."""
    numbers = [rng.randrange(10 ** (digits - 1), 10**digits) for _ in range(operands)]
    return Problem(
        prompt="+".join(map(str, numbers)) + "=",
        reference=str(sum(numbers)),
        metadata={"operands": numbers},
        key=" ".join(map(str, sorted(numbers))),
    )
