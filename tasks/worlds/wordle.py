"""Find a word of five letters, from marks on each guess; the words it may be are listed.

Each level lists more words.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Sequence

from ...verifiers import Rubric
from ...verifiers.criteria.reached import reached
from ..common.five_letters import WORDS
from ..common.games import Game, read_action
from ..core.episode import EpisodeLimits
from ..core.problem import Problem
from ..core.task import task

LISTED = (12, 24, 48, 80)  # words; by level
GUESSES = (3, 4, 4, 5)
LETTERS = 5


def mark(guess: str, word: str) -> str:
    """G for a letter in its place, Y for one in another, - for none. A letter is marked as often as the word
    has it, those in their place first."""
    left = [its for mine, its in zip(guess, word, strict=True) if mine != its]
    marks = []
    for mine, its in zip(guess, word, strict=True):
        if mine == its:
            marks.append("G")
        elif mine in left:
            left.remove(mine)
            marks.append("Y")
        else:
            marks.append("-")
    return "".join(marks)


class Wordle(Game):
    """It has a word, and marks each guess."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reference["guesses"])
        self.word: str = problem.reference["word"]

    def answer(self, said: str) -> str:
        guess = read_action(said).lower()
        if not (guess.isascii() and guess.isalpha() and len(guess) == LETTERS):
            return f"Say one word of {LETTERS} letters a turn, and nothing else. {self.left}"
        if guess == self.word:
            return self.end("The word is found.", 1.0)
        return f"{guess}: {mark(guess, self.word)}. {self.left}"


def narrow(problem: Problem) -> Generator[str, str, None]:
    """Always the first listed word that may be the one."""
    left: list[str] = list(problem.reference["words"])
    while True:
        guess = left[0]
        said = yield guess
        marks = said.removeprefix(f"{guess}: ")[:LETTERS]
        left = [word for word in left if mark(guess, word) == marks]


def count_guesses(words: Sequence[str], word: str) -> int:
    """How many `narrow` takes to find the word."""
    left, count = list(words), 1
    while left[0] != word:
        marks = mark(left[0], word)
        left = [each for each in left if mark(left[0], each) == marks]
        count += 1
    return count


@task(
    "wordle",
    rubric=Rubric(reached()),
    levels=len(LISTED),
    kind="language",
    episode=Wordle,
    player=narrow,
    limits=EpisodeLimits(turns=max(GUESSES), tokens_per_turn=64),
    licence="Apache-2.0",
)
def wordle(rng: random.Random, level: int) -> Iterator[Problem]:
    """Find a word of five letters from marks on each guess; 12, 24, 48 and 80 words are listed."""
    while True:
        words = rng.sample(WORDS, LISTED[level - 1])
        word = rng.choice(words)
        if count_guesses(words, word) <= GUESSES[level - 1]:
            break
    yield Problem(
        prompt=f"One of these words is meant: {' '.join(words)}. Guess it, one word a turn. I mark each "
        f"letter: G in its place, Y in another one, - in none. You have {GUESSES[level - 1]} guesses.",
        reference={"words": words, "word": word, "guesses": GUESSES[level - 1]},
        key=" ".join(sorted(words)),
    )
