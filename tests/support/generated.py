"""Problems of generated tasks, and answers to them."""

from __future__ import annotations

from palaestra import tasks
from palaestra.tasks import Problem


def draw(name: str, index: int, level: int = 1) -> Problem:
    return tasks.get(name).problem("train", index, level=level)


def passes(name: str, problem: Problem, answer: object) -> bool:
    """Whether the answer in its mark is right."""
    return tasks.get(name).score(f"<answer>{answer}</answer>", problem).passed
