"""Write a function in at most so many characters: its steps are told, its tests hidden.

Each level has more steps. A program that passes the tests but is too long gets less than half of the reward,
the less the longer it is; only one within the limit has passed.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

from ...verifiers import Completion, Criterion, ProblemLike, Rubric, Verdict, code, extract_code, one_block
from ...verifiers.types import malformed, partial
from ..common.list_steps import draw_steps, draw_tests, run, write_calls, write_code
from ..common.puzzles import err_by_step
from ..core.problem import Problem
from ..core.programs import render_solution
from ..core.task import task

STEPS = (2, 3, 4, 6)  # by level
LARGEST = 999
TESTS = 8
TOO_LONG = 0.4  # of the value of a right program that is just over its limit


def within_limit(name: str = "code") -> Criterion:
    """The program passes every test of the reference, and has no more than its `limit` of ASCII characters.

    White space at its ends does not count. What passes but is longer is worth TOO_LONG * limit / length.
    """
    tests = code(name)

    def check(completion: Completion, problem: ProblemLike) -> Verdict:
        verdict = tests.check(completion, problem)
        limit = problem.reference["limit"]
        if not verdict.correct:
            return verdict
        program = (extract_code(completion.text).answer or "").strip()
        if not program.isascii():  # characters of which each packs several
            return malformed(verdict.answer, "The program is not in ASCII.")
        length = len(program)
        if length <= limit:
            return verdict
        return partial(
            TOO_LONG * limit / length, verdict.answer, f"{length} characters are more than {limit}."
        )

    return replace(tests, check=check, rewrite=None)


def count_work(problem: Problem) -> int:
    """Steps that the program makes."""
    return problem.metadata["steps"]


@task(
    "code_golf",
    rubric=Rubric(within_limit(), one_block()),
    levels=len(STEPS),
    kind="code",
    solve=render_solution,
    attempt=err_by_step(render_solution, count_work, every=6),
    licence="Apache-2.0",
)
def code_golf(rng: random.Random, level: int) -> Iterator[Problem]:
    """Write a function in few characters; 2, 3, 4 and 6 steps on a list, hidden tests."""
    while True:
        steps = draw_steps(rng, STEPS[level - 1], LARGEST)
        if sum(step.numbered for step in steps) < 2:
            continue  # so that there are many problems
        tests = draw_tests(rng, TESTS, 5, 12, 2 * LARGEST)
        expected = [run(steps, numbers) for numbers in tests]
        # Every step matters, or a program without it would do.
        shorter = ([*steps[:place], *steps[place + 1 :]] for place in range(len(steps)))
        if not any([run(fewer, numbers) for numbers in tests] == expected for fewer in shorter):
            break
    solution = f"f=lambda x:{write_code(steps)}"
    listed = "\n".join(f"{number}. {step.text}" for number, step in enumerate(steps, start=1))
    yield Problem(
        prompt="Write a Python function f of a list of whole numbers that returns the list after these "
        "steps:\n"
        f"{listed}\nThe whole program may have {len(solution)} characters at most, all of them ASCII, line "
        "ends included.",
        reference={
            **{"entry_point": "f", "limit": len(solution)},
            "calls": write_calls(tests, expected),
        },
        metadata={"solution": solution, "steps": len(steps)},
        key="; ".join(step.text for step in steps),
    )
