"""Guess a number; the world says whether it is higher or lower.

The guesses are as many as halving the numbers takes, so that nothing else wins for certain. Each level has
more numbers.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator

from ...verifiers import Rubric
from ...verifiers.criteria.reached import reached
from ..common.games import Game, read_action
from ..core.episode import EpisodeLimits
from ..core.problem import Problem
from ..core.task import task

NUMBERS = (12, 50, 200, 1_000)  # by level
HIGHEST = 100_000
MOST_DIGITS = 12  # of a guess


class NumberGuess(Game):
    """It has a number, and compares each guess with it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reference["guesses"])
        self.number: int = problem.reference["number"]

    def answer(self, said: str) -> str:
        action = read_action(said).replace(",", "")
        if not (action.isascii() and action.isdigit() and len(action) <= MOST_DIGITS):
            return f"Say one whole number a turn, and nothing else. {self.left}"
        guess = int(action)
        if guess == self.number:
            return self.end("The number is guessed.", 1.0)
        return f"{'Higher' if guess < self.number else 'Lower'}. {self.left}"


def halve(problem: Problem) -> Generator[str, str, None]:
    """Always the number in the middle."""
    low, high = problem.reference["low"], problem.reference["high"]
    while True:
        middle = (low + high) // 2
        said = yield str(middle)
        low, high = (middle + 1, high) if said.startswith("Higher") else (low, middle - 1)


@task(
    "number_guess",
    rubric=Rubric(reached()),
    levels=len(NUMBERS),
    kind="logic",
    episode=NumberGuess,
    player=halve,
    limits=EpisodeLimits(turns=max(NUMBERS).bit_length(), tokens_per_turn=32),
    licence="Apache-2.0",
)
def number_guess(rng: random.Random, level: int) -> Iterator[Problem]:
    """Guess a number from answers of higher and lower; among 12, 50, 200 and 1,000 numbers."""
    count = NUMBERS[level - 1]
    low = rng.randrange(HIGHEST)
    high = low + count - 1
    guesses = count.bit_length()
    yield Problem(
        prompt=f"I have a whole number from {low} to {high}. Guess it, one number a turn; I say whether "
        f"mine is higher or lower. You have {guesses} guesses.",
        reference={"low": low, "high": high, "number": rng.randint(low, high), "guesses": guesses},
    )
