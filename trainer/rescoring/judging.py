"""Completions judged anew in worker processes, each with a deadline. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ...tasks import Problem, Task
from ...tasks.core.errors import UserError
from ...tasks.core.lookup import ProblemsById
from ...verifiers import Completion, Rubric, Score, Verdict
from ...verifiers.types import error, malformed, timeout
from ...verifiers.workers.pool import Pool, Reply
from ..evaluation.measured import read_verdict
from .judges import RubricName
from .recorded import Recorded
from .worker import make_request

TARGET = "palaestra.trainer.rescoring.worker:verify"
MEMORY_MB = 4096  # that a worker may add to what it starts with
TOOK, ENDED = "Verifying took over", "Verifying ended its worker process"
OPEN = "No finding of the reward model is on record, and none is made offline."


@dataclass
class Problems:
    """The task's problems as the completions name them.

    by_record: ids of those that the task does not have (any more) as they were recorded; they are judged by
    the prompt and reference of their rows, and without metadata.
    """

    task: Task
    by_record: set[str] = field(default_factory=set)
    known: dict[str, Problem] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_id = ProblemsById(self.task)

    def find(self, row: Recorded) -> Problem:
        if row.problem not in self.known:
            self.known[row.problem] = self._look(row)
        return self.known[row.problem]

    def _look(self, row: Recorded) -> Problem:
        try:
            found = self._by_id.find(row.problem)
        except UserError:
            found = None
        if found is None or (found.text, _plain(found.reference)) != (row.prompt, _plain(row.reference)):
            self.by_record.add(row.problem)
            return Problem(row.prompt, row.reference, id=row.problem)
        return found


def _plain(value: Any) -> str:
    """As it looks once it was in a JSON file."""
    return json.dumps(value, sort_keys=True, default=str)


def judge_anew(
    rows: Sequence[Recorded],
    problems: Problems,
    name: RubricName,
    rubric: Rubric,
    workers: int,
    deadline_s: float,
    told: Callable[[], object] = lambda: None,
) -> list[Score]:
    """The score of each row by a rubric. What is written alike is verified once.

    rubric: what `name` names, with the learned criteria that stand beside it.
    deadline_s: seconds for one completion; one that takes longer has timed out.  told: called after each row.
    """
    seen: dict[tuple[Any, ...], Any] = {}
    with Pool(TARGET, workers=workers, memory_mb=MEMORY_MB) as pool, ThreadPoolExecutor(workers) as threads:

        def verify(row: Recorded) -> Reply:
            return pool.call(make_request(name, problems.find(row), row.completion), deadline_s)

        waiting, scores = [], list[Score]()
        try:
            for row in rows:
                key = _key(row.problem, row.completion)
                problems.find(row)  # here, for it is not made for threads
                if key not in seen:
                    seen[key] = threads.submit(verify, row)
                waiting.append(seen[key])
            for row, future in zip(rows, waiting, strict=True):
                scores.append(make_score(rubric.of(row.problem), future.result(), row.learned, deadline_s))
                told()
        finally:  # after an error or Ctrl-C nothing that waits is begun
            threads.shutdown(wait=False, cancel_futures=True)
    return scores


def _key(problem: str, completion: Completion) -> tuple[Any, ...]:
    said = completion.text, completion.turns, completion.fault, completion.reasoning
    return problem, *said, completion.finish_reason, completion.tokens, _plain(completion.state)


def make_score(rubric: Rubric, reply: Reply, learned: Mapping[str, float], deadline_s: float) -> Score:
    """The score that a worker's reply makes up. Learned criteria keep what their reward models found then."""
    names = [criterion.name for criterion in rubric.criteria if criterion.learned is None]
    if reply.status == "ok":
        parts = {criterion: read_verdict(said) for criterion, said in reply.value.items()}
    else:
        parts = dict.fromkeys(names, _explain(reply, deadline_s))
    kept = {}
    for criterion in rubric.learned:
        assert criterion.learned is not None
        if criterion.name in learned:
            kept[criterion.name] = learned[criterion.name]
            parts[criterion.name] = criterion.learned.verdict(kept[criterion.name])
        else:
            parts[criterion.name] = error(OPEN)
    ordered = {criterion.name: parts[criterion.name] for criterion in rubric.criteria}
    return rubric.judge(ordered, kept)


def count_unfinished(scores: Sequence[Score]) -> int:
    """Completions whose check took longer than its deadline, or ended its worker process."""
    return sum(
        any(part.reason.startswith((TOOK, ENDED)) for part in score.parts.values()) for score in scores
    )


def _explain(reply: Reply, deadline_s: float) -> Verdict:
    if reply.status == "timeout":
        return timeout(reason=f"{TOOK} {deadline_s:g} s.")
    if reply.reason.startswith("raised"):  # a check's own exceptions are verdicts by then
        return error(f"The worker process could not verify: {reply.reason}")
    return malformed(reason=f"{ENDED}: {reply.reason}")
