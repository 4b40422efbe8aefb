"""Score completions with a task's rubric, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from ...verifiers import Completion, Score
from ...verifiers.types import Misreturned
from . import registry
from .errors import TaskError
from .lookup import ProblemsById
from .problem import Problem
from .task import Task


@overload
def score(task: Task | str, completion: str | Completion, problem: Problem | str) -> Score: ...
@overload
def score(
    task: Task | str, completion: Sequence[str | Completion], problem: Problem | str | Sequence[Problem | str]
) -> list[Score]: ...
def score(
    task: Task | str,
    completion: str | Completion | Sequence[str | Completion],
    problem: Problem | str | Sequence[Problem | str],
) -> Score | list[Score]:
    """What a task's rubric says of a completion, or of many.

    task: a task, its name, or the path of its file.
    completion: one, or several: a list gives a list of scores.
    problem: a problem, or its id (`gcd/test/0/1/5`); for several completions one for all, or one for each.
    Raises UnknownTask, and TaskError where the task has no such problem, the numbers of completions and
    problems differ, or a function of its rubric returned what is no reward.

    >>> import palaestra as pal
    >>> problem = pal.Problem("What is the greatest common divisor of 12 and 18?", "6")
    >>> score = pal.score("gcd", "Both are multiples of <answer>6</answer>", problem)
    >>> score.reward, score.passed, score.parts["number"].status.value
    (1.0, True, 'correct')
    >>> [score.passed for score in pal.score("gcd", ["<answer>6</answer>", "<answer>3</answer>"], problem)]
    [True, False]
    """
    chosen = registry.get(task) if isinstance(task, str) else task
    by_id = ProblemsById(chosen)

    def find(problem: Problem | str) -> Problem:
        return by_id.get(problem) if isinstance(problem, str) else problem

    if isinstance(completion, str | Completion):
        if not isinstance(problem, Problem | str):
            raise TaskError(
                "Several problems need several completions: give a list of completions, or one problem."
            )
        return _score(chosen, completion, find(problem))
    problems = [problem] * len(completion) if isinstance(problem, Problem | str) else problem
    if len(problems) != len(completion):
        raise TaskError(
            f"{len(completion)} completions and {len(problems)} problems: give one problem for all, or one "
            "for each."
        )
    return [_score(chosen, each, find(of)) for each, of in zip(completion, problems, strict=True)]


def _score(task: Task, completion: str | Completion, problem: Problem) -> Score:
    found = task.score(completion, problem)
    for part in found.parts.values():
        if isinstance(part, Misreturned):
            raise TaskError(f"Task {task.name}: {part.reason}")
    return found
