"""completions.jsonl of an evaluation: a line for each completion, written as soon as it is scored.

An evaluation that stopped goes on from it. One process at a time writes it: the kernel frees the lock when
that one ends, however it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from ...tasks import Problem
from ...tasks.core.errors import UserError, shorten
from ...verifiers import Rubric, Score
from ..rollouts.group import Answer
from ..storage.records import parse_object, read_objects
from ..storage.rows import RENDERED, find_fault, is_number
from .evaluate import Place
from .records import make_record, read_record


def _open_locked(path: Path) -> int:
    """The descriptor of a file for this process alone. Raises UserError where another one has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(
            f"Another process is writing this evaluation ({path}). Wait until it has ended, or give another "
            "--out."
        ) from None
    return descriptor


@dataclass
class Journal:
    """The open file. answers: those that it holds, by (place of the problem, number of the sample).
    seconds: that the evaluation had taken when the last of them was written."""

    path: Path
    descriptor: int
    answers: dict[Place, Answer] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def open(cls, path: Path) -> Self:
        """Make or open the file, for this process alone. Raises UserError where another one writes it."""
        while True:
            descriptor = _open_locked(path)
            if path.exists() and os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                return cls(path, descriptor)
            os.close(descriptor)  # it was replaced in between

    def read(self, problems: Sequence[Problem], rubric: Rubric, samples: int) -> None:
        """Take in the answers that are there. A last line that was cut off is removed.

        samples: of each problem, as many as there may be.

        Raises UserError, with the line's number, for a line that is no completion of these problems.
        """
        text = self.path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(self.descriptor, whole)
        places = {problem.id: place for place, problem in enumerate(problems)}
        for number, line in enumerate(text[:whole].split(b"\n")[:-1], 1):
            try:
                values = parse_object(line)
                if wrong := find_fault(values):
                    raise ValueError(wrong)
                key = places.get(values["id"], -1), values.get("sample", -1)
                if key[0] < 0 or not 0 <= key[1] < samples:
                    raise ValueError("it is of no problem and sample of this evaluation")
                if key in self.answers:
                    raise ValueError("its completion is there already")
                answer = read_record(values, rubric)
            except (ValueError, TypeError, KeyError, AttributeError) as failure:
                raise UserError(
                    f"{self.path}, line {number} is damaged: it is no completion of this evaluation "
                    f"({shorten(str(failure), 80)}). Remove that line, then try again: the completion will "
                    "be sampled anew."
                ) from failure
            seconds = values.get("seconds", 0)
            self.seconds = max(self.seconds, seconds if is_number(seconds) else 0.0)
            self.answers[key] = answer

    def write(
        self, problem: Problem, sample: int, answer: Answer, seconds: float, rendered: str = ""
    ) -> None:
        """Append one completion; it is in the file when this returns, if the machine stays up.

        rendered: the prompt as the model saw it.
        """
        extra = {RENDERED: rendered} if rendered else {}
        record = make_record(problem, answer.completion, answer.score, **extra)
        line = json.dumps({"sample": sample, **record, "seconds": round(seconds, 3)}, default=str) + "\n"
        rest = memoryview(line.encode())
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def replace_scores(self, problems: Sequence[Problem], scores: Mapping[Place, Score]) -> None:
        """Give completions that are in the file other scores. It has all of them, or is as it was before."""
        new = self.path.with_name(f".{self.path.name}.partial")
        new.unlink(missing_ok=True)
        descriptor = _open_locked(new)
        places = {problem.id: place for place, problem in enumerate(problems)}
        with open(descriptor, "w", encoding="utf-8", closefd=False) as file:
            for line in read_objects(self.path):
                key = places[line.values["id"]], int(line.values["sample"])
                if key not in scores:
                    file.write(line.text)
                    continue
                answer = Answer(self.answers[key].completion, scores[key])
                self.answers[key] = answer
                record = make_record(problems[key[0]], answer.completion, answer.score)
                file.write(json.dumps({**line.values, **record}, default=str) + "\n")
        new.replace(self.path)
        os.close(self.descriptor)
        self.descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.descriptor)
