"""A sum in which letters stand for digits: any digits that make it right count.

Each level hides more digits behind letters and has longer numbers.
"""

import random
import string
from collections.abc import Iterator, Sequence
from itertools import permutations

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, read_values, rewrite_values, work_out
from ..core.problem import Problem
from ..core.task import task

NUMBERS = (2, 2, 2, 3)  # that are added; by level
DIGITS = (3, 4, 5, 5)  # of each of them
LETTERS = (3, 5, 6, 8)
VALUES = {str(digit): digit for digit in range(10)}


class Search:
    """Backtracking over the letters, column by column from the right. tried: digits given to a letter."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        shown = {character for word in words for character in word if character.isdigit()}
        self.letters = list(
            dict.fromkeys(
                word[-1 - column]
                for column in range(len(words[-1]))
                for word in words
                if column < len(word) and word[-1 - column].isalpha()
            )
        )
        self.leading = {word[0] for word in words}
        self.digits: dict[str, int] = {digit: int(digit) for digit in shown}
        self.tried = 0

    def solve(self) -> dict[str, int]:
        """A solution, or {} where there is none."""
        letter = next((letter for letter in self.letters if letter not in self.digits), None)
        if not self._fits():
            return {}
        if letter is None:
            return {letter: self.digits[letter] for letter in self.letters}
        for digit in range(letter in self.leading, 10):
            if digit not in self.digits.values():
                self.tried += 1
                self.digits[letter] = digit
                if found := self.solve():
                    return found
                del self.digits[letter]
        return {}

    def _fits(self) -> bool:
        """Whether the columns from the right are right, up to the first with an open letter."""
        *added, total = self.words
        carry = 0
        for column in range(1, len(total) + 1):
            signs = [word[-column] for word in added if column <= len(word)]
            if not all(sign in self.digits for sign in [*signs, total[-column]]):
                return True
            carry += sum(self.digits[sign] for sign in signs)
            if carry % 10 != self.digits[total[-column]]:
                return False
            carry //= 10
        return carry == 0


def number_letters(words: Sequence[str]) -> str:
    """The sum with its letters numbered as they come: with other letters it is the same problem."""
    text = "+".join(words)
    for number, letter in enumerate(dict.fromkeys(sign for sign in text if sign.isalpha())):
        text = text.replace(letter, chr(ord("a") + number))
    return text


def find_fault(reference: dict, answer: str) -> str:
    """Whether the letters have different digits, none that is shown, no number begins with 0, and the sum is
    right."""
    words: list[str] = reference["words"]
    letters = sorted({sign for word in words for sign in word if sign.isalpha()})
    digits = read_values(answer, letters, VALUES)
    shown = {int(sign) for word in words for sign in word if sign.isdigit()}
    if len({*digits.values()} | shown) < len(letters) + len(shown):
        return "Two signs stand for one digit."
    numbers = ["".join(str(digits.get(sign, sign)) for sign in word) for word in words]
    if any(number[0] == "0" for number in numbers):
        return "A number begins with 0."
    *added, total = map(int, numbers)
    return "" if sum(added) == total else f"{' + '.join(numbers[:-1])} is {sum(added)}, not {total}."


def solve(problem: Problem) -> str:
    """The numbers with their digits, then the letters'."""
    digits = dict(word.split("=") for word in problem.reference["solution"].split())
    numbers = ["".join(digits.get(sign, sign) for sign in word) for word in problem.reference["words"]]
    return work_out([f"{'+'.join(numbers[:-1])}={numbers[-1]}"], problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Digits that backtracking gives to letters, those taken back included."""
    search = Search(problem.reference["words"])
    search.solve()
    return search.tried


@task(
    "cryptarithm",
    rubric=Rubric(puzzle("digits", find_fault, several=True, rewrite=rewrite_values), answer_tag(weight=0.1)),
    levels=len(LETTERS),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=300),
    licence="Apache-2.0",
)
def cryptarithm(rng: random.Random, level: int) -> Iterator[Problem]:
    """Find the digits behind letters in a sum; 3, 5, 6 and 8 letters, numbers of 3 to 5 digits."""
    digits, hidden = DIGITS[level - 1], LETTERS[level - 1]
    while True:
        added = [rng.randrange(10 ** (digits - 1), 10**digits) for _ in range(NUMBERS[level - 1])]
        numbers = [str(number) for number in (*added, sum(added))]
        used = sorted(set("".join(numbers)))
        if len(used) >= hidden:
            break
    letters = dict(zip(rng.sample(used, hidden), rng.sample(string.ascii_uppercase, hidden), strict=True))
    words = ["".join(letters.get(digit, digit) for digit in number) for number in numbers]
    solution = " ".join(
        f"{letter}={digit}" for digit, letter in sorted(letters.items(), key=lambda pair: pair[1])
    )
    yield Problem(
        prompt=f"{' + '.join(words[:-1])} = {words[-1]}\n"
        "Each letter stands for one digit, different letters for different digits, none for a digit that is "
        "shown, and no number begins with 0. Which digits make the sum right? "
        f"Answer with all {hidden} letters, as in X=1 Y=2, separated by blanks.",
        reference={"words": words, "solution": solution},
        key=min(number_letters([*order, words[-1]]) for order in permutations(words[:-1])),
    )
