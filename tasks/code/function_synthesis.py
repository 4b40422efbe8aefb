"""Find the function behind examples: a chain of steps on a list, out of some that are named.

Each level has more steps in the chain or to choose from. The tests are hidden. Every chain of that many steps
that fits the examples passes them: the generator goes through all of them.
"""

import random
from collections.abc import Iterator, Sequence

from ...verifiers import Rubric, code, one_block
from ..common.list_steps import (
    Numbers,
    Step,
    draw_numbers,
    draw_steps,
    draw_tests,
    run,
    write_calls,
    write_code,
)
from ..common.puzzles import err_by_step
from ..core.problem import Problem
from ..core.programs import render_solution
from ..core.task import task

CHAIN = (2, 2, 3, 3)  # steps; by level
CHOICE = (5, 9, 7, 11)  # steps to choose from
LARGEST = 30
EXAMPLES, HIDDEN = 4, 8  # lists


def follow(
    steps: Sequence[Step], length: int, inputs: Sequence[Numbers], outputs: Sequence[Numbers]
) -> list[tuple]:
    """The chains of so many steps that make the outputs of the inputs."""
    first, *others = inputs
    level: list[tuple[tuple[Step, ...], Numbers]] = [((), first)]
    for _ in range(length):
        level = [((*chain, step), step.apply(numbers)) for chain, numbers in level for step in steps]
    fitting = (chain for chain, numbers in level if numbers == outputs[0])
    return [chain for chain in fitting if [run(chain, numbers) for numbers in others] == [*outputs[1:]]]


def count_work(problem: Problem) -> int:
    """Chains of so many steps that there are."""
    return problem.metadata["choice"] ** problem.metadata["chain"]


@task(
    "function_synthesis",
    rubric=Rubric(code(), one_block()),
    levels=len(CHAIN),
    kind="code",
    solve=render_solution,
    attempt=err_by_step(render_solution, count_work, every=200),
    licence="Apache-2.0",
)
def function_synthesis(rng: random.Random, level: int) -> Iterator[Problem]:
    """Find the function behind examples; chains of 2 of 5 steps up to 3 of 11, hidden tests."""
    length = CHAIN[level - 1]
    while True:
        steps = draw_steps(rng, CHOICE[level - 1], LARGEST)
        chain = [rng.choice(steps) for _ in range(length)]
        inputs = [draw_numbers(rng, size, 2 * LARGEST) for size in (8, 7, 6, 5)]
        outputs = [run(chain, numbers) for numbers in inputs]
        if not all(2 <= len(output) <= 16 for output in outputs) or len({*map(str, outputs)}) < EXAMPLES:
            continue
        hidden = draw_tests(rng, HIDDEN, 0, 9, 2 * LARGEST)
        expected = [run(chain, numbers) for numbers in hidden]
        fitting = follow(steps, length, inputs, outputs)
        if follow(steps, length - 1, inputs, outputs):
            continue  # a step too many
        if all([run(other, numbers) for numbers in hidden] == expected for other in fitting):
            break
    listed = "\n".join(f"- {step.text}" for step in sorted(steps, key=lambda step: step.text))
    shown = "\n".join(f"f({i}) == {o}" for i, o in zip(inputs, outputs, strict=True))
    yield Problem(
        prompt=f"f takes a list of whole numbers and makes {length} of these steps in some order, one of "
        "them perhaps "
        f"more than once:\n{listed}\nIt is known that\n{shown}\nWrite f in Python; it is tested on other "
        "lists.",
        reference={"entry_point": "f", "calls": write_calls(hidden, expected)},
        metadata={
            "solution": f"def f(x):\n    return {write_code(chain)}",
            **{"chain": length, "choice": len(steps)},
        },
        key=f"{[step.text for step in steps]} {inputs[0]} {outputs[0]}",
    )
