"""Pass-rates of completions that were sampled somewhere else: rows of a file, judged by a task's rubric.

Imports no torch. Suffix: P problems.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from ...tasks.core.errors import DataError, TaskError, shorten
from ...tasks.core.lookup import ProblemsById
from ...tasks.core.problem import Problem
from ...tasks.core.reach import find_reach
from ...tasks.core.rowfiles import Row, read_rows
from ...tasks.core.task import Task
from ...verifiers import Completion, Status
from ..config.shared import TaskConfig
from ..config.tasks import load_task
from ..intervals import Estimate, Interval, list_ks, mean_interval, pass_at_k
from .agreement import Agreement, Labels, read_labels
from .said import FORM, read_completions_of
from .scoring import Completed, Plain, count_workers, score_in_order

Verdict = dict[str, Any]


@dataclass(frozen=True)
class FileScores:
    """What the completions of a file are worth.

    pass_at: k -> estimate of pass@k with its 95 % interval, for k = 1, 2, 4, ... up to the most completions
    of a problem; empty for a task that nothing can verify.  reward: mean over problems.  extracted,
    abstained: shares of the completions.  criteria: of a rubric with several, each one's mean amount over
    problems, which of a check that says yes or no is its pass-rate.  by_reference: rows that were judged by
    the reference that they bring.  missing: of a data set, its split -> problems of it that have no row.
    agreement: with the labels of a column; None where none was named, or nothing is labelled.
    """

    task: str
    completions: int
    problems: int
    passed: int
    pass_at: dict[int, Estimate]
    reward: Interval
    extracted: float
    abstained: float
    criteria: Mapping[str, Interval] = field(default_factory=dict)
    by_reference: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)
    agreement: Agreement | None = None

    def __str__(self) -> str:
        lines = [
            f"{self.task}: {self.completions} completions of {self.problems} problems, {self.passed} passed"
        ]
        for k, estimate in self.pass_at.items():
            few = (
                f"; {estimate.excluded} problem(s) with fewer than {k} scored completions left out"
                if estimate.excluded
                else ""
            )
            lines.append(f"  pass@{k:<3} {estimate}   (95 % interval{few})")
        extracted = f"answer extracted {self.extracted:.1%}, " if self.pass_at else ""
        lines.append(f"  {extracted}unscorable {self.abstained:.1%}, mean reward {self.reward}")
        if self.criteria:
            lines.append(f"  criteria: {', '.join(f'{name} {mean}' for name, mean in self.criteria.items())}")
        if self.agreement is not None:
            lines.append(f"  {self.agreement}")
        for split, count in self.missing.items():
            lines.append(f"  {count} problem(s) of the {split} split have no completion and are in no rate")
        if self.by_reference:
            lines.append(f"  {self.by_reference} row(s) judged by the reference that they bring")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Answered:
    """A row's problem and completions. own: judged by the row's own reference."""

    row: Row
    problem: Problem
    said: list[Completion]
    own: bool


@dataclass(frozen=True, slots=True)
class _Counted:
    """What is counted of a score. A file may have millions, with long answers in their verdicts."""

    reward: float
    passed: bool
    abstained: bool
    extracted: bool


class _Tally:
    """Scores by problem, and what is counted beside them."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.scores_P: dict[str, list[_Counted]] = {}
        self.amounts: dict[str, dict[str, array[float]]] = {}  # criterion -> problem -> what it found
        self.by_reference = 0
        self.seen: Counter[str] = Counter()  # problems of each split
        self.labels = Labels()

    def add(self, answered: _Answered, score: Plain) -> int:
        """Enter a score; the number of its completion among those of its problem, from 0."""
        key = _name(answered.problem)
        if key not in self.scores_P and not answered.own:
            self.seen[answered.problem.id.split("/")[1]] += 1
        scores = self.scores_P.setdefault(key, [])
        scores.append(_Counted(score["reward"], score["passed"], score["abstained"], score["extracted"]))
        if len(score["parts"]) > 1 and not score["abstained"]:
            for name, part in score["parts"].items():
                if part["status"] != Status.NOT_APPLICABLE:
                    found = self.amounts.setdefault(name, {}).setdefault(key, array("d"))
                    found.append(part["value"] if part["number"] is None else part["number"])
        return len(scores) - 1

    def summarise(self) -> FileScores:
        scores = [score for listed in self.scores_P.values() for score in listed]
        scored_P = [[s for s in listed if not s.abstained] for listed in self.scores_P.values()]
        rewards_P = [[score.reward for score in listed] for listed in scored_P]
        correct_P = [sum(score.passed for score in listed) for listed in scored_P]
        samples_P = [len(listed) for listed in scored_P]
        rubric, count, most = self.task.rubric, max(1, len(scores)), max(samples_P, default=0)
        ks = list_ks(max(1, most), 1024)
        # A reward of one's own may lie beyond the bounds that the rubric knows of.
        seen = [rubric.least, rubric.most, *(reward for rewards in rewards_P for reward in rewards)]
        sizes = {split: self.task.source.size(split) for split in self.seen}
        return FileScores(
            task=self.task.name,
            completions=len(scores),
            problems=len(self.scores_P),
            passed=sum(correct_P),
            pass_at={k: pass_at_k(correct_P, samples_P, k) for k in ks} if rubric.verifiable else {},
            reward=mean_interval(rewards_P, min(seen), max(seen)),
            extracted=sum(score.extracted for score in scores) / count,
            abstained=sum(score.abstained for score in scores) / count,
            criteria={name: _average(values_P.values()) for name, values_P in self.amounts.items()},
            by_reference=self.by_reference,
            agreement=self.labels.summarise(),
            missing={s: size - self.seen[s] for s, size in sizes.items() if size and size > self.seen[s]},
        )


def _average(values_P: Collection[Sequence[float]]) -> Interval:
    """The mean over problems of what a criterion found; numbers beyond 0 and 1 widen the bounds."""
    seen = [0.0, 1.0, *(value for values in values_P for value in values)]
    return mean_interval([list(values) for values in values_P], min(seen), max(seen))


def score_file(
    task: Task | str | TaskConfig,
    path: str | PathLike[str],
    *,
    column: str = "auto",
    label: str = "",
    keep: Callable[[Verdict], None] | None = None,
    workers: int | None = None,
) -> FileScores:
    """What a task's rubric says of the completions in a file (JSONL, JSON, gzipped, Parquet).

    task: a task, its name, the path of its file, or the settings that name one.
    column: that holds the completions; auto takes `completion` or `completions`.  A row's `id`, as
    `palaestra task export` writes it, names its problem; several rows may name the same one. A row without
    one brings its `reference`.
    label: column with what a person says of each completion, true or false (1 or 0), null for nothing, a list
    for several: how far the rubric agrees is then told, with intervals; "": none.
    Of an episode a row has its `turns` (each with `role`, policy or world, and `text`), or a chat with what
    the world said, and the `state` in which it ended. A criterion that reads what is not there abstains.
    workers: processes that score; None takes as many as there are processors. A task that is given as an
    object, not by its name, is scored in this one; one whose checks run programs has processes of its own.
    keep: called with each verdict as plain data before the next one is made.
    Raises DataError, which names file and line, for the first row that can't be read; what was scored before
    it has been given to `keep`.

    >>> import json, pathlib
    >>> import palaestra as pal
    >>> task = pal.tasks.get("gcd")
    >>> rows = [{"id": p.id, "completions": [task.solution(p), "no"]} for p in task.problems("test", 3)]
    >>> written = pathlib.Path("said.jsonl").write_text("".join(json.dumps(row) + chr(10) for row in rows))
    >>> scores = pal.score_file("gcd", "said.jsonl")
    >>> scores.pass_at[1].value, scores.pass_at[2].value, scores.extracted
    (0.5, 1.0, 0.5)
    """
    named = TaskConfig(name=task) if isinstance(task, str) else task if isinstance(task, TaskConfig) else None
    chosen = task if isinstance(task, Task) else load_task(named or TaskConfig())
    problems, tally = ProblemsById(chosen), _Tally(chosen)
    waiting: deque[_Answered] = deque()
    labels: deque[bool | None] = deque()  # of each completion that waits

    def read() -> Iterator[Completed]:
        for answered in _read_answers(chosen, problems, Path(path), column):
            count = len(answered.said)
            labels.extend(read_labels(answered.row, label, count) if label else [None] * count)
            for completion in answered.said:
                waiting.append(answered)
                yield Completed(completion, answered.problem, answered.own)

    counted: _Answered | None = None
    for score in score_in_order(chosen, read(), named, workers or count_workers()):
        answered, said = waiting.popleft(), labels.popleft()
        if said is not None and not score["abstained"]:
            tally.labels.add(_name(answered.problem), said, score["passed"])
        if answered is not counted:
            tally.by_reference += answered.own
            counted = answered
        sample = tally.add(answered, score)
        if keep is not None:
            keep(_write_verdict(answered, sample, score))
    if not tally.scores_P:
        raise DataError(f"{path} holds no row. {FORM}.")
    return tally.summarise()


def _write_verdict(answered: _Answered, sample: int, score: Plain) -> Verdict:
    said = {name: score[name] for name in ("reward", "passed", "abstained", "parts")}
    return {"id": answered.row.values.get("id", answered.problem.id), "sample": sample, **said}


def _name(problem: Problem) -> str:
    """What makes rows those of one problem: its id, or else its prompt and reference."""
    return problem.id or _write_plain([problem.prompt, problem.reference, problem.metadata])


def _write_plain(value: Any) -> str:
    """A value as it looks once it was in a JSON file."""
    return json.dumps(value, sort_keys=True, default=str)


def _read_answers(task: Task, problems: ProblemsById, path: Path, column: str) -> Iterator[_Answered]:
    if not path.is_file():
        raise DataError(f"There is no file {path} with completions. {FORM}.")
    at_hand = find_reach(task) != "network"
    for row in read_rows(path):
        said = read_completions_of(row, column, episodes=task.has_episodes)
        yield _find_problem(problems, row, said, at_hand)


def _find_problem(problems: ProblemsById, row: Row, said: list[Completion], at_hand: bool) -> _Answered:
    """The task's problem of the row's id, or one made of the row's own reference.

    The task's own comes first, where its data are at hand: what a file says of the right answer may have been
    changed since.
    """
    task, values = problems.task, row.values
    brings = "reference" in values
    problem = None
    if values.get("id") is not None and (at_hand or not brings):
        try:
            problem = problems.find(str(values["id"]))
        except TaskError as failure:
            raise DataError(f"{row.where}: {failure}") from failure
    if problem is not None:
        if brings and _write_plain(values["reference"]) != _write_plain(problem.reference):
            raise DataError(
                f"{row.where}: its reference is {shorten(repr(values['reference']), 60)}, that of "
                f"{problem.id} is {shorten(repr(problem.reference), 60)}. Give the --option and --data that "
                "its problem was made with, or take one of its id and its reference out."
            )
        return _Answered(row, problem, said, own=False)
    if brings:
        metadata = values.get("metadata") or {}
        if not isinstance(metadata, Mapping):
            raise DataError(f"{row.where}: metadata is {shorten(repr(metadata), 60)}; give a JSON object.")
        own = Problem(values.get("prompt") or "", values["reference"], metadata, str(values.get("id") or ""))
        return _Answered(row, own, said, own=True)
    if values.get("id") is None:
        raise DataError(f"{row.where}: neither id nor reference. {FORM}.")
    raise DataError(
        f"{row.where}: task {task.name} has no problem {values['id']!r}. Take ids from "
        f"`palaestra task export {task.name}`, with the same --option and --data."
    )
