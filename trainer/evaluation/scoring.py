"""Scores of many completions: in this process, or over worker processes that make the task anew by its name.

Imports no torch. A worker gets what it scores as JSON, and gives the scores back as JSON, in order.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cache
from itertools import chain
from typing import Any, TypeVar

from ...tasks.core.errors import UserError
from ...tasks.core.lookup import ProblemsById
from ...tasks.core.problem import Problem
from ...tasks.core.task import Task
from ...verifiers import Completion, Score
from ...verifiers.workers.pool import Pool
from ..config.shared import TaskConfig
from ..config.tasks import load_task
from .measured import write_verdict
from .said import read_said, write_said

TEXTS, CHARS = 400, 200_000  # of a batch, at most; a longer text is a batch of its own
MEMORY_MB = 1 << 15  # address space: a worker may take what this process could
FOREVER_S = 86_400.0  # a batch may take as long as it would here
NO_ROW = (UserError, OSError)  # what a row that can't be had raises; the rows before it are scored first
Plain = dict[str, Any]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Completed:
    """A completion to score, and its problem. own: the problem is none of the task's, by its id."""

    said: Completion
    problem: Problem
    own: bool = False


def write_score(score: Score) -> Plain:
    """A score as plain data, its verdicts by the names of their criteria."""
    return {
        "reward": score.reward,
        "passed": score.passed,
        "abstained": score.abstained,
        "extracted": score.extracted,
        "parts": {name: write_verdict(part) for name, part in score.parts.items()},
    }


def score_in_order(
    task: Task, completed: Iterable[Completed], named: TaskConfig | None = None, workers: int = 1
) -> Iterator[Plain]:
    """The score of each, in the order given. What `completed` raises is raised once those before are given.

    named: the settings by which worker processes make the task; without them all is done here, and so it is
    for a task whose checks run programs, which have processes of their own.
    workers: batches that are scored at once.
    """
    if any(criterion.start is not None for criterion in task.rubric.criteria):
        yield from _flatten(map_in_order(_Here(task), cut(completed, 1), workers))
        return
    batches = _Ahead(cut(completed))
    if workers == 1 or named is None or not batches.go_on_beyond(1):
        yield from _flatten(map(_Here(task), batches))
        return
    with Pool(f"{__name__}:score_batch", workers=workers, memory_mb=MEMORY_MB) as pool:
        yield from _flatten(map_in_order(_There(pool, named, _Here(task)), batches, workers))


def cut(completed: Iterable[Completed], texts: int = TEXTS) -> Iterator[list[Completed]]:
    """Batches of up to so many texts, and of no more characters than `CHARS` but for a lone text. What
    `completed` raises is raised after what it gave before."""
    batch, chars = list[Completed](), 0
    try:
        for each in completed:
            size = _measure(each.said)
            if batch and (len(batch) == texts or chars + size > CHARS):
                yield batch
                batch, chars = [], 0
            batch.append(each)
            chars += size
    except NO_ROW:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _measure(said: Completion) -> int:
    """Characters of a completion, its world's words with them."""
    lost = getattr(said, "lost", ())
    return len(said.text) + (0 if "turns" in lost else sum(len(turn.text) for turn in said.turns))


class _Ahead(Iterator[list[Completed]]):
    """Batches of which some are looked at before they are given."""

    def __init__(self, batches: Iterator[list[Completed]]) -> None:
        self._batches, self._seen = batches, deque[list[Completed]]()
        self._failure: Exception | None = None

    def go_on_beyond(self, count: int) -> bool:
        """Whether there are more than so many."""
        try:
            while len(self._seen) <= count:
                self._seen.append(next(self._batches))
        except StopIteration:
            return False
        except NO_ROW as failure:  # raised where the batch would have come
            self._failure = failure
            return False
        return True

    def __next__(self) -> list[Completed]:
        if self._seen:
            return self._seen.popleft()
        if self._failure is not None:
            raise self._failure
        return next(self._batches)


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """`map` by so many threads, which are a few items ahead. Where an item can't be had, the results of those
    before it come first."""
    pending: deque[Future[Result]] = deque()
    remaining, failure = iter(items), None
    with ThreadPoolExecutor(workers, thread_name_prefix="score") as threads:
        try:
            while True:
                while failure is None and len(pending) < 3 * workers:
                    try:
                        pending.append(threads.submit(function, next(remaining)))
                    except StopIteration:
                        break
                    except NO_ROW as found:  # raised below, after what came before it
                        failure = found
                if not pending:
                    break
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
    if failure is not None:
        raise failure


@dataclass(frozen=True)
class _Here:
    """Scores a batch in this process."""

    task: Task

    def __call__(self, batch: Sequence[Completed]) -> list[Plain]:
        return [write_score(self.task.score(each.said, each.problem)) for each in batch]


@dataclass(frozen=True)
class _There:
    """Scores a batch in a worker; here, where the worker gave no reply (a batch that is no JSON, a reply that
    is too long, a process that was killed)."""

    pool: Pool
    named: TaskConfig
    here: _Here

    def __call__(self, batch: Sequence[Completed]) -> list[Plain]:
        task = {each.name: getattr(self.named, each.name) for each in fields(TaskConfig)}
        asked = {"task": task, "rows": list(map(_write_row, batch))}
        try:
            reply = self.pool.call(asked, FOREVER_S)
        except (TypeError, ValueError, RecursionError):
            return self.here(batch)
        return reply.value if reply.status == "ok" else self.here(batch)


def _write_row(each: Completed) -> list[Any]:
    problem = each.problem
    own = [problem.prompt, problem.reference, problem.metadata] if each.own else []
    return [write_said(each.said), problem.id, *own]


def score_batch(asked: Mapping[str, Any]) -> list[Plain]:
    """What a worker does: the scores of rows, each [completion, id] of the task's own problem, or with the
    prompt, the reference and the metadata of another one."""
    problems = _open_problems(json.dumps(asked["task"]))
    task = problems.task
    scores = []
    for said, problem_id, *own in asked["rows"]:
        problem = Problem(own[0], own[1], own[2], problem_id) if own else problems.get(problem_id)
        scores.append(write_score(task.score(read_said(said), problem)))
    return scores


@cache
def _open_problems(task: str) -> ProblemsById:
    return ProblemsById(load_task(TaskConfig(**json.loads(task))))


def _flatten(batches: Iterable[list[Plain]]) -> Iterator[Plain]:
    return chain.from_iterable(batches)


def count_workers() -> int:
    """Processes that this one may keep busy."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
