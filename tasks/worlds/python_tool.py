"""Questions that a short program answers, with Python to call: how many numbers have some properties.

A property is of divisors, digits or squares; each level asks for more of them at once and goes further.
The counts are worked out here, apart from the program that the player runs. Each level
has more than 10^6 problems.
"""

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.worked import show_answer_alone
from ..core.episode import EpisodeLimits
from ..core.problem import Problem
from ..core.task import task
from ..core.tools.builtin import python
from ..core.tools.telling import write_call

SPAN = (1_000, 2_000, 3_000, 6_000)  # how many numbers are looked at; by level
PROPERTIES = (1, 2, 2, 3)
FARTHEST = 1_000_000  # where they begin, at most


@dataclass(frozen=True)
class Property:
    """said: after "that".  holds: of a number.  test: the same as an expression of `n` in Python."""

    said: str
    holds: Callable[[int], bool]
    test: str


def sum_digits(number: int) -> int:
    total = 0
    while number:
        number, digit = divmod(number, 10)
        total += digit
    return total


def leave_remainder(rng: random.Random) -> Property:
    divisor = rng.randint(11, 29)
    most = rng.randint(divisor // 3, divisor - 2)
    return Property(
        f"leave a remainder below {most} when divided by {divisor}",
        lambda number: number - number // divisor * divisor < most,
        f"n % {divisor} < {most}",
    )


def have_digit_sum(rng: random.Random) -> Property:
    divisor = rng.randint(2, 4)
    return Property(
        f"have a sum of digits that {divisor} divides",
        lambda number: sum_digits(number) % divisor == 0,
        f"sum(map(int, str(n))) % {divisor} == 0",
    )


def hold_digit(rng: random.Random) -> Property:
    digit = rng.randint(0, 9)
    return Property(
        f"have the digit {digit} somewhere", lambda number: str(digit) in str(number), f"'{digit}' in str(n)"
    )


def leave_square(rng: random.Random) -> Property:
    modulus = rng.randint(11, 97)
    most = rng.randint(modulus // 3, modulus // 2)
    return Property(
        f"have a square that leaves a remainder below {most} when divided by {modulus}",
        lambda number: pow(number, 2, modulus) < most,
        f"n * n % {modulus} < {most}",
    )


DRAW = (leave_remainder, have_digit_sum, hold_digit, leave_square)


def list_program(problem: Problem) -> str:
    first, last = problem.metadata["first"], problem.metadata["last"]
    return f"print(sum(1 for n in range({first}, {last} + 1) if {problem.metadata['test']}))"


def play(problem: Problem) -> Generator[str, str, None]:
    """One program, then what it printed."""
    printed = yield write_call("python", {"code": list_program(problem)})
    yield f"<answer>{printed}</answer>"


@task(
    "python_tool",
    rubric=Rubric(written_number(whole=True), answer_tag(weight=0.1)),
    levels=len(SPAN),
    kind="code",
    solve=show_answer_alone,
    player=play,
    tools=[python],
    limits=EpisodeLimits(turns=4, observation_chars=2_000),
    licence="Apache-2.0",
)
def python_tool(rng: random.Random, level: int) -> Problem:
    """Questions that a short program answers; 1 to 3 properties of up to 6,000 numbers."""
    first = rng.randint(1, FARTHEST)
    last = first + SPAN[level - 1] - rng.randrange(SPAN[level - 1] // 2)
    asked = [draw(rng) for draw in rng.sample(DRAW, PROPERTIES[level - 1])]
    count = sum(all(each.holds(number) for each in asked) for number in range(first, last + 1))
    said = [each.said for each in asked]
    told = f"{', '.join(said[:-1])} and {said[-1]}" if len(said) > 1 else said[0]
    test = " and ".join(each.test for each in asked)
    return Problem(
        f"How many of the whole numbers from {first} to {last} (both included) {told}?",
        str(count),
        {"first": first, "last": last, "test": test},
        key=f"{first} {last} {test}",
    )
