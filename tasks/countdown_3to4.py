"""Reach a target from three or four numbers, each used exactly once, as TinyZero trains on
(Countdown-Tasks-3to4, Pan et al. 2025)."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import combinations
from typing import Any

from ..verifiers import Rubric, answer_tag
from .core.dataset import Hub, dataset_task
from .core.errors import TaskError
from .core.problem import Problem
from .countdown import reaches_target

MOST = 4  # numbers: the search for a solution takes 3,888 ways of joining four at most


def find_expression(terms: list[tuple[str, Fraction]], target: Fraction) -> str | None:
    """An expression of the terms (text, value), each used once, that makes the target; None where there is
    none."""
    if len(terms) == 1:
        return terms[0][0] if terms[0][1] == target else None
    for left, right in combinations(range(len(terms)), 2):
        rest = [term for place, term in enumerate(terms) if place not in (left, right)]
        for joined in _join(*terms[left], *terms[right]):
            found = find_expression([*rest, joined], target)
            if found is not None:
                return found
    return None


def _join(a: str, x: Fraction, b: str, y: Fraction) -> Iterator[tuple[str, Fraction]]:
    yield f"({a}+{b})", x + y
    yield f"({a}*{b})", x * y
    yield f"({a}-{b})", x - y
    yield f"({b}-{a})", y - x
    if y:
        yield f"({a}/{b})", x / y
    if x:
        yield f"({b}/{a})", y / x


def work_out(problem: Problem) -> str:
    """An expression that reaches the target. Raises TaskError where there is none."""
    numbers, target = problem.reference["numbers"], problem.reference["target"]
    found = find_expression([(str(number), Fraction(number)) for number in numbers], Fraction(target))
    if found is None:
        raise TaskError(f"{problem.name}: {numbers} can't make {target}, so that there is nothing to show.")
    return f"<answer>{found[1:-1] if found.startswith('(') else found}</answer>"


@dataset_task(
    "countdown_3to4",
    rubric=Rubric(reaches_target(), answer_tag(weight=0.1)),
    hub=Hub("Jiayi-Pan/Countdown-Tasks-3to4"),
    splits={"train": "train"},
    columns=("target", "nums"),
    sizes={"train": 490_364},
    licence="unknown",
    citation="Pan et al. 2025, TinyZero, https://github.com/Jiayi-Pan/TinyZero",
    kind="math",
    solve=work_out,
)
def countdown_3to4(row: Mapping[str, Any]) -> Problem:
    """Countdown of three or four numbers. A solution is searched for when somebody asks for it, not when rows
    are read."""
    numbers, target = [int(number) for number in row["nums"]], int(row["target"])
    if not 1 <= len(numbers) <= MOST:
        raise ValueError(f"nums has {len(numbers)} numbers, not 1 to {MOST}")
    return Problem(
        prompt=f"Use {' '.join(map(str, numbers))} once each with + - * / ( ) to make {target}.",
        reference={"numbers": numbers, "target": target},
        key=f"{' '.join(map(str, sorted(numbers)))} = {target}",
    )
