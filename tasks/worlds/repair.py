"""Mend a program that fails: each turn a program, run against hidden tests, and what came of it.

Each level has a longer chain of steps, or one slip more. The world tells how many tests hold, and of the
first that does not how it ended; never what was put in or expected.
"""

from __future__ import annotations

import builtins
import random
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...sandbox import Call, Limits, Outcome, SandboxUnavailable, Status, shared_pool
from ...verifiers import Rubric
from ...verifiers.criteria.code import extract_code
from ...verifiers.criteria.reached import reached
from ...verifiers.types import Unavailable
from ..common.games import Game
from ..common.list_steps import Step, draw_numbers, draw_steps, draw_tests, run, write_calls
from ..core.episode import EpisodeLimits
from ..core.problem import Problem
from ..core.programs import fence
from ..core.task import task

STEPS = (2, 3, 4, 6)  # by level
SLIPS = (1, 1, 2, 3)  # steps that are other ones than they should be
LARGEST = 30
TESTS = 10
TURNS = 6
LIMITS = Limits(wall_s=2.0)  # of one program on all tests
MOST_REASON = 200  # characters of why a program could not be loaded
ENDS = {
    Status.TIMEOUT: "The program took too long",
    Status.CRASHED: "The program ended before its last test",
    Status.FLOODED: "The program wrote too much",
    Status.FORGED: "The program wrote what nobody asked for",
}


class Repair(Game):
    """It runs each program, and tells what came of it. It is over when every test holds."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(TURNS)
        self.calls = [Call(tuple(each["args"]), {}, each["expected"]) for each in problem.reference["calls"]]

    def answer(self, said: str) -> str:
        found = extract_code(said, entry_point="f")
        if found.answer is None:
            reason = found.failure.reason if found.failure is not None else ""
            return f"{reason} Give the whole program in one ```python block. {self.left}".strip()
        try:
            outcome = shared_pool(()).run_tests(found.answer, "f", self.calls, LIMITS, stop_early=False)
        except SandboxUnavailable as failure:
            raise Unavailable(str(failure)) from failure
        if outcome.status is Status.ERROR:
            raise Unavailable(f"The sandbox failed: {outcome.reason}")
        if outcome.passed:
            return self.end("Every test holds.", 1.0)
        return f"{tell(outcome)} {self.left}"


def tell(outcome: Outcome) -> str:
    """What came of a program, without what a test puts in or expects, and without anything that the program
    itself wrote or raised in one but the kind of error."""
    if outcome.status is Status.NOT_LOADED:  # before any test, so that nothing of one can be in it
        return f"The program could not be loaded: {outcome.reason[:MOST_REASON]}"
    if outcome.status in ENDS:
        return f"{ENDS[outcome.status]}."
    held = sum(result.passed for result in outcome.results)
    place, first = next((p, r) for p, r in enumerate(outcome.results, start=1) if not r.passed)
    what = "returned another value" if first.returned else f"raised{_name_error(first.reason) or ' an error'}"
    return f"{held} of {len(outcome.results)} tests hold; in test {place} it {what}."


def _name_error(reason: str) -> str:
    """` TypeError` of a reason that begins so: of Python's errors alone: a program may name its own."""
    words = reason.replace(":", " ").split()
    return next((f" {word}" for word in words if word in ERRORS), "")


ERRORS = frozenset(
    name for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, Exception)
)  # fmt: skip


def mend(problem: Problem) -> Generator[str, str, None]:
    """The program as it stands, and then the right one."""
    yield fence(problem.metadata["broken"])
    yield fence(problem.metadata["solution"])


def start_sandbox() -> Mapping[str, Any]:
    """The isolation that programs run in, for a run's record."""
    return {"sandbox_layers": list(shared_pool(()).active_layers())}


@task(
    "repair",
    rubric=Rubric(replace(reached(), start=start_sandbox)),
    levels=len(STEPS),
    kind="code",
    episode=Repair,
    player=mend,
    limits=EpisodeLimits(turns=TURNS, tokens_per_turn=512),
    licence="Apache-2.0",
)
def repair(rng: random.Random, level: int) -> Iterator[Problem]:
    """Mend a program that fails hidden tests; chains of 2 to 6 steps with 1 to 3 slips."""
    count, slips = STEPS[level - 1], SLIPS[level - 1]
    while True:
        steps = draw_steps(rng, count + slips, LARGEST)
        right, wrong = steps[:count], steps[:count]
        for place, other in zip(rng.sample(range(count), slips), steps[count:], strict=True):
            wrong[place] = other
        hidden = draw_tests(rng, TESTS, 2, 9, 2 * LARGEST)
        expected, got = (
            [run(right, numbers) for numbers in hidden],
            [run(wrong, numbers) for numbers in hidden],
        )
        if (
            sum(left != other for left, other in zip(expected, got, strict=True)) >= 3
            and len({*map(str, expected)}) > TESTS // 2
        ):
            break
    shown = draw_numbers(rng, 6, 2 * LARGEST)
    example = f"f({shown}) returns {run(wrong, shown)} where it should return {run(right, shown)}."
    asked = "\n".join(f"{place}. {step.text}" for place, step in enumerate(right, start=1))
    broken = write_program(wrong)
    yield Problem(
        prompt=f"f takes a list of whole numbers and returns it after these steps, in this order:\n{asked}\n"
        f"This program fails some tests:\n{fence(broken)}\nAs it stands, {example} Mend it. Each turn give "
        "the whole program in one ```python block; I run it and say what came of it. "
        f"You have {TURNS} turns.",
        reference={"calls": write_calls(hidden, expected)},
        metadata={"solution": write_program(right), "broken": broken},
    )


def write_program(steps: Sequence[Step]) -> str:
    """A function of a line for each step."""
    lines = "".join(f"    x = {step.code.replace('{x}', 'x')}\n" for step in steps)
    return f"def f(x):\n{lines}    return x"
