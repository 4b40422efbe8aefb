"""Score texts in a process apart: a verifier that evaluates what it is given may hang, or end its process.

A verifier whose checks have processes of their own (a sandbox, an endpoint) is asked here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ....verifiers import Completion, Score
from ..problem import Problem
from ..task import Task
from .apart import Lost, run_apart

DEADLINE_S = 20.0  # of one verdict; none that keeps to its bounds comes near
SLOW_S = 0.05  # a verdict that took longer is asked for twice, and the less counts: the machine may be busy
MOST_LOST = 4  # texts that hang or end the process, after which the rest are not tried


@dataclass(frozen=True, slots=True)
class Outcome:
    """score: None where there was none.  seconds: 0 or more.  lost: why: it hung or ended the process.
    raised: the checks that raised, each with what, where that was asked."""

    score: Score | None
    seconds: float = 0.0
    lost: str = ""
    raised: tuple[str, ...] = ()


def score_apart(
    task: Task, texts: Sequence[tuple[str, Problem]], *, each_check: bool = False
) -> Iterator[Outcome]:
    """What the task's rubric says of each text for its problem, in their order. Ends early, without an
    outcome for the rest, where too many hang or end the process.

    each_check: whether each check is asked by itself, too, for what it raises: a rubric counts that against
    the completion, which hides the bug.
    """
    if task.rubric.correctness.start is not None:
        yield from (_score(task, text, problem, each_check, again=False) for text, problem in texts)
        return
    jobs = [partial(_score, task, text, problem, each_check) for text, problem in texts]
    for outcome in run_apart(jobs, DEADLINE_S, MOST_LOST):
        if isinstance(outcome, Lost):
            outcome = Outcome(None, outcome.seconds, outcome.tell("scored"))
        yield outcome


def _score(task: Task, text: str, problem: Problem, each_check: bool, *, again: bool = True) -> Outcome:
    begin = time.perf_counter()
    score = task.score(text, problem)
    seconds = time.perf_counter() - begin
    if again and seconds > SLOW_S:
        begin = time.perf_counter()
        task.score(text, problem)
        seconds = min(seconds, time.perf_counter() - begin)
    raised = tuple(_find_raising(task, text, problem)) if each_check else ()
    return Outcome(score, seconds, raised=raised)


def _find_raising(task: Task, text: str, problem: Problem) -> Iterator[str]:
    for criterion in task.rubric.criteria:
        try:
            criterion.check(Completion(text), problem)
        except Exception as failure:  # noqa: BLE001  somebody else's check: whatever it raises is the finding
            yield f"{criterion.name}: {type(failure).__name__}: {failure}"
