"""A task of one's own: the greatest common divisor of two numbers; each level adds a digit.

    palaestra task show ./examples/own_task.py
    palaestra task check ./examples/own_task.py
    palaestra train --task ./examples/own_task.py

A generator draws problems from `rng` alone; the rubric judges answers. The first criterion decides what
counts as passed, the others only add to the reward. docs/tasks.md has the rest: options, data sets, programs.
"""

import math
import random
from collections.abc import Iterator

from palaestra import Problem, Rubric, criteria, task


@task("my_gcd", rubric=Rubric(criteria.number(), criteria.answer_tag(weight=0.1)), levels=3)
def my_gcd(rng: random.Random, level: int) -> Iterator[Problem]:
    """Greatest common divisor of two numbers; each level adds a digit."""
    a, b = (rng.randrange(2, 10 ** (level + 1)) for _ in range(2))
    yield Problem(
        prompt=f"What is the greatest common divisor of {a} and {b}?", reference=str(math.gcd(a, b))
    )
