"""Large arithmetic with a calculator to call: two numbers at level 1, five at level 4, of 4 to 12 digits.

The numbers are too large to be worked out in the head; the tool is exact. The answer is judged, not the call:
whoever writes the right number has it. Level 1 has some 10^8 problems.
"""

import random
from collections.abc import Generator

from ...verifiers import Rubric, answer_tag
from ...verifiers.arithmetic import evaluate
from ..common.answers import written_number
from ..common.worked import show_answer_alone
from ..core.episode import EpisodeLimits
from ..core.problem import Problem
from ..core.task import task
from ..core.tools.builtin import calculator as calculate
from ..core.tools.telling import write_call

DIGITS = (4, 6, 9, 12)  # of each number; by level
NUMBERS = (2, 3, 4, 5)
ASK = ("What is {}?", "Calculate {}.", "Work out {}.", "Find the value of {}.")


def play(problem: Problem) -> Generator[str, str, None]:
    """One call with the whole expression, then its result."""
    value = yield write_call("calculator", {"expression": problem.metadata["expression"]})
    yield f"<answer>{value}</answer>"


@task(
    "calculator",
    rubric=Rubric(written_number(whole=True), answer_tag(weight=0.1)),
    levels=len(DIGITS),
    kind="math",
    solve=show_answer_alone,
    player=play,
    tools=[calculate],
    limits=EpisodeLimits(turns=4, observation_chars=500),
    licence="Apache-2.0",
)
def calculator(rng: random.Random, level: int) -> Problem:
    """Large arithmetic with a calculator to call; levels have 2 to 5 numbers of 4 to 12 digits."""
    digits = DIGITS[level - 1]
    numbers = [rng.randint(10 ** (digits - 1), 10**digits - 1) for _ in range(NUMBERS[level - 1])]
    at = rng.randrange(len(numbers) - 1)  # one product, so that no sum in columns gives the answer
    signs = ["*" if place == at else rng.choice("+-") for place in range(len(numbers) - 1)]
    expression = str(numbers[0]) + "".join(
        f" {sign} {number}" for sign, number in zip(signs, numbers[1:], strict=True)
    )
    return Problem(
        f"{rng.choice(ASK).format(expression)} The answer is an integer.",
        str(evaluate(expression).value),
        {"expression": expression},
        key=expression,
    )
