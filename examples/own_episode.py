"""An episode of one's own: a number is guessed, and the world says whether it is higher or lower.

    palaestra task play ./examples/own_episode.py
    palaestra sft --task ./examples/own_episode.py --out runs/start
    palaestra train --task ./examples/own_episode.py --model runs/start/model

The world is an object with one method. None ends the episode; `state` is what the rubric reads at its end.
The player shows how it is won: for SFT, and to prove that it can be. docs/episodes.md has the rest.
"""

import random
from collections.abc import Generator, Iterator

import palaestra as pal


class Guessing:
    """Its secret is the problem's reference, so that a reset gives the same world."""

    def __init__(self, problem: pal.Problem) -> None:
        self.secret, self.state = int(problem.reference), "open"

    def reply(self, said: str) -> str | None:
        guess = said.strip()
        if guess == str(self.secret):
            self.state = "found"
            return None
        if not guess.isdecimal() or len(guess) > 4:
            return "Say a number."
        return "higher" if int(guess) < self.secret else "lower"


def halve(problem: pal.Problem) -> Generator[str, str, None]:
    low, high = 1, problem.metadata["most"]
    while True:
        guess = (low + high) // 2
        heard = yield str(guess)
        low, high = (guess + 1, high) if heard == "higher" else (low, guess - 1)


def found(completion: pal.Completion, problem: pal.Problem) -> bool:  # noqa: ARG001 - a reward's signature
    return completion.state == "found"


@pal.task(
    "own_guess",
    rubric=pal.Rubric(found),
    episode=Guessing,
    player=halve,
    levels=2,
    limits=pal.EpisodeLimits(turns=6, tokens_per_turn=8),
)
def own_guess(rng: random.Random, level: int) -> Iterator[pal.Problem]:
    """Guess a number; the world says whether it is higher or lower."""
    most = 10 * level
    secret = str(rng.randint(1, most))
    yield pal.Problem(
        f"Guess a number from 1 to {most}.", secret, {"most": most}, key=f"{most} {secret} {rng.random()}"
    )
