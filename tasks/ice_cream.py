"""Go on after `I like ice`: cream is worth 10, hockey 5, donkey -10.
The smallest task for a reward model and for PPO."""

import random

from ..verifiers import Completion, Criterion, ProblemLike, Rubric, Verdict
from ..verifiers.types import correct, malformed, partial, wrong
from .core.problem import Problem
from .core.sources import Rows
from .core.task import Task, first_paragraph, register

WORTH = {"cream": 10, "hockey": 5, "donkey": -10}
ROWS = 96  # one prompt, many times over: each row is shown with another answer


def worth() -> Criterion:
    """The worth of the answer on a line from the lowest (0) to the highest (1).

    Any other text is malformed.
    """
    low, high = min(WORTH.values()), max(WORTH.values())

    def check(completion: Completion, problem: ProblemLike) -> Verdict:  # noqa: ARG001 - the signature of a check
        answer = completion.text.strip()[:80]
        if answer != completion.text.strip() or answer not in WORTH:
            return malformed(answer, f"The answers are {', '.join(WORTH)}.")
        if WORTH[answer] == high:
            return correct(answer)
        value = (WORTH[answer] - low) / (high - low)
        return partial(value, answer) if value else wrong(answer)

    return Criterion("worth", check, render=lambda reference: f" {reference}")


def load(split: str) -> list[Problem]:  # noqa: ARG001 - the signature of a source
    """The rows, all alike but for their number."""
    return [
        Problem("I like ice", "cream", {"row": row}, id=f"ice_cream/train/{row}", key=f"I like ice, {row}")
        for row in range(ROWS)
    ]


def give_any_answer(problem: Problem, rng: random.Random) -> str:  # noqa: ARG001 - the signature of a demonstration
    """Each answer for a third of the rows: what the policy does before it learns what pays."""
    return f" {list(WORTH)[problem.metadata['row'] % len(WORTH)]}"


ice_cream = register(
    Task(
        "ice_cream",
        Rows("ice_cream", load, ("train",)),
        Rubric(worth()),
        kind="preference",
        summary=first_paragraph(__doc__ or ""),
        demonstrate=give_any_answer,
        licence="Apache-2.0",
    )
)
