"""Greatest common divisor of two numbers; three digits at level 1, each level adds one."""

import math
import random
from collections.abc import Iterator

from ..verifiers import Rubric, answer_tag, number
from .core.problem import Problem
from .core.task import task


@task("gcd", rubric=Rubric(number(), answer_tag(weight=0.1)), levels=3, kind="math", licence="Apache-2.0")
def gcd(rng: random.Random, level: int) -> Iterator[Problem]:
    a, b = sorted(rng.randrange(2, 10 ** (level + 2)) for _ in range(2))
    yield Problem(
        prompt=f"What is the greatest common divisor of {a} and {b}?",
        reference=str(math.gcd(a, b)),
        key=f"{a} {b}",
    )
