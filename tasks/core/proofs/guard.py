"""Score texts in a process apart: a verifier that evaluates what it is given may hang, or end its process.

A verifier whose checks have processes of their own (a sandbox, an endpoint) is asked here.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from ....verifiers import Completion, Score
from ..problem import Problem
from ..task import Task

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
    done = lost = 0
    while done < len(texts) and lost < MOST_LOST:
        for outcome in _score_in_child(task, texts[done:], each_check):
            done += 1
            lost += bool(outcome.lost)
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


def _score_in_child(task: Task, texts: Sequence[tuple[str, Problem]], each_check: bool) -> Iterator[Outcome]:
    """Outcomes up to the end, or to the first text that is lost."""
    fork = multiprocessing.get_context(
        "fork"
    )  # a task may hold functions that no other start could carry over
    ours, its = fork.Pipe(duplex=False)
    child = fork.Process(target=_work, args=(task, texts, each_check, its), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads here, which the child does not need
        child.start()
    its.close()
    try:
        for _ in texts:
            if not ours.poll(DEADLINE_S):
                yield Outcome(None, DEADLINE_S, f"took over {DEADLINE_S:.0f} s")
                return
            try:
                yield ours.recv()
            except EOFError:
                yield Outcome(None, 0.0, "ended the process that scored it")
                return
    finally:
        child.kill()
        child.join()
        ours.close()


def _work(task: Task, texts: Sequence[tuple[str, Problem]], each_check: bool, its: Connection) -> None:
    faulthandler.disable()  # a text that ends the process is told by the parent
    with open(os.devnull, "w") as silence:  # and what it prints is not for the terminal
        sys.stdout = sys.stderr = silence
        for number in (1, 2):
            os.dup2(silence.fileno(), number)
        for text, problem in texts:
            its.send(_score(task, text, problem, each_check))
