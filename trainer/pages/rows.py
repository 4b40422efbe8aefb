"""The completions of runs and evaluations as columns of numbers; their texts stay in the files.

A page filters the columns in the browser and reads texts a chunk at a time, so what is held here for each row
is a few numbers and its place in its file.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ...verifiers import Status
from ..storage.records import hash_tail, parse_object
from ..storage.rows import Once, find_fault

NOTHING = -1  # code of a word, or of a value, that a row does not have
PLACES = 4  # of rewards and their like


@dataclass
class Words:
    """Texts that many rows share, each by its code: 0, 1, ... in the order of their appearance."""

    texts: list[str] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)

    def code(self, text: str) -> int:
        if text not in self.codes:
            self.codes[text] = len(self.texts)
            self.texts.append(text)
        return self.codes[text]


@dataclass(frozen=True)
class Stand:
    """How a file stands: which one it is, its bytes, and when it was last written, in nanoseconds."""

    inode: int
    size: int
    written: int

    @classmethod
    def of(cls, stream: BinaryIO) -> Stand:
        found = os.fstat(stream.fileno())
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass
class RowFile:
    """A JSONL file of completions. run: number of the run that it is of.  held_out: whether they are of a
    held-out evaluation of that run: nothing was learned from them.  read: bytes that were taken in.

    seen_as, tail: the file as it stood when they were read, and the hash of its last bytes among them.
    damaged: numbers of the lines, from 1, that are no records of a completion; they are left out and shown.
    """

    path: Path
    run: int
    held_out: bool = False
    read: int = 0
    lines: int = 0
    seen_as: Stand | None = None
    tail: str = ""
    damaged: list[int] = field(default_factory=list)
    once: Once = field(default_factory=Once)

    def is_changed(self) -> bool:
        """Whether what was taken in is no longer what stands there: a resume cut the file, and may have
        written it further than it was, or removed it, or another file has its place."""
        if not self.read:
            return False
        if not self.path.is_file():
            return True
        with self.path.open("rb") as stream:
            now = Stand.of(stream)
            if now == self.seen_as:
                return False
            another = self.seen_as is None or now.inode != self.seen_as.inode
            return another or hash_tail(stream, self.read) != self.tail


@dataclass
class Table:
    """files: where the rows are.  file, offset, length: of each row, its place in bytes.

    generation: how often all of it was read anew, and what was made of its rows before is out of date.
    columns: name -> a number for each row; of `problem`, `finish` and `status NAME` (of each criterion) the
    code of a word in `words`, of `value NAME`, `advantage` and `shadow` None where the row has none.
    """

    files: list[RowFile] = field(default_factory=list)
    file: array[int] = field(default_factory=lambda: array("i"))
    offset: array[int] = field(default_factory=lambda: array("q"))
    length: array[int] = field(default_factory=lambda: array("i"))
    columns: dict[str, list[Any]] = field(default_factory=dict)
    words: dict[str, Words] = field(default_factory=dict)
    generation: int = 0
    _paths: set[Path] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.offset)

    def add_file(self, path: Path, run: int, *, held_out: bool = False) -> None:
        """Know of a file of rows, once, for `read_new`; one that is not there yet has none."""
        if path not in self._paths:
            self._paths.add(path)
            self.files.append(RowFile(path, run, held_out))

    def read_new(self) -> int:
        """Take in whole lines that the files have beyond what was read; how many rows there are more.

        Where a file is another one than was read, all of them are read anew.
        """
        if any(file.is_changed() for file in self.files):
            self._forget()
        before = len(self)
        for number, file in enumerate(self.files):
            if not file.path.is_file():
                continue
            with file.path.open("rb") as stream:
                stand = Stand.of(stream)  # before what is written while it is read
                if stand == file.seen_as:
                    continue
                stream.seek(file.read)
                for line in stream:
                    if not line.endswith(b"\n"):
                        break
                    file.lines += 1
                    if not self._add(number, file.read, line):
                        file.damaged.append(file.lines)
                    file.read += len(line)
                file.seen_as, file.tail = stand, hash_tail(stream, file.read)
        return len(self) - before

    def read_record(self, row: int) -> dict[str, Any]:
        """The record of a row, from its file; {} where the file has changed under us."""
        with self.files[self.file[row]].path.open("rb") as stream:
            stream.seek(self.offset[row])
            return parse_record(stream.read(self.length[row])) or {}

    def read_records(self, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
        """The records of many rows, each file opened once as long as the rows stay in it."""
        stream, opened = None, -1
        try:
            for row in rows:
                if self.file[row] != opened:
                    if stream is not None:
                        stream.close()
                    opened = self.file[row]
                    stream = self.files[opened].path.open("rb")
                assert stream is not None
                stream.seek(self.offset[row])
                yield parse_record(stream.read(self.length[row])) or {}
        finally:
            if stream is not None:
                stream.close()

    def _add(self, number: int, offset: int, line: bytes) -> bool:
        record = parse_record(line)
        if record is None or self.files[number].once.find_repeat(
            record["id"], record, self.files[number].lines
        ):
            return False
        row = len(self)
        self.file.append(number)
        self.offset.append(offset)
        self.length.append(len(line))
        values = {
            "run": self.files[number].run,
            "held_out": int(self.files[number].held_out),
            "step": record.get("step", 0),
            "sample": record.get("sample", 0),
            "problem": self._code("problem", str(record["id"])),
            "reward": round(record["reward"], PLACES),
            "passed": int(record["passed"]),
            "abstained": int(record["abstained"]),
            "tokens": record["tokens"],
            "finish": self._code("finish", str(record["finish_reason"])),
            "advantage": record.get("advantage"),
            "shadow": record.get("shadow_reward"),
        }
        for name, verdict in record["verdicts"].items():
            values[f"status {name}"] = self._code("status", str(verdict["status"]))
            values[f"value {name}"] = _read_amount(verdict)
        for name, value in record.get("learned", {}).items():
            values[f"learned {name}"] = round(value, PLACES)
        for name, value in values.items():
            if name not in self.columns:
                self.columns[name] = [NOTHING if name.startswith("status ") else None] * row
            self.columns[name].append(value)
        for name, column in self.columns.items():
            if name not in values:
                column.append(NOTHING if name.startswith("status ") else None)
        return True

    def _code(self, name: str, text: str) -> int:
        return self.words.setdefault(name, Words()).code(text)

    def _forget(self) -> None:
        """Everything: rows of several files lie among each other."""
        self.generation += 1
        del self.file[:], self.offset[:], self.length[:]
        self.columns.clear()
        self.words.clear()
        for file in self.files:
            file.read, file.lines, file.seen_as = 0, 0, None
            file.damaged.clear()
            file.once.lines.clear()


def parse_record(line: bytes) -> dict[str, Any] | None:
    """The record of a completion in a line of rollouts.jsonl or completions.jsonl; None for another line."""
    try:
        record = parse_object(line)
    except ValueError:
        return None
    return None if find_fault(record) else record


def _read_amount(verdict: Mapping[str, Any]) -> float | None:
    """What a verdict brings into the reward; None where its criterion does not apply."""
    if verdict["status"] == Status.NOT_APPLICABLE:
        return None
    number = verdict.get("number")
    return round(verdict["value"] if number is None else number, PLACES)


def list_criteria(table: Table) -> list[str]:
    """Names of the rubrics' criteria; the first is the one that decides `passed`."""
    return [name.removeprefix("value ") for name in table.columns if name.startswith("value ")]


def group_by_step(table: Table, run: int, column: str) -> Mapping[int, dict[int, list[float]]]:
    """Of a run, step -> the code of each of its problems -> the values; what abstained or has none is left
    out, and what is of a held-out evaluation."""
    columns = table.columns
    if column not in columns:
        return {}
    steps: dict[int, dict[int, list[float]]] = {}
    rows = zip(
        columns["run"],
        columns["step"],
        columns["problem"],
        columns["abstained"],
        columns["held_out"],
        columns[column],
        strict=True,
    )
    for of_run, step, problem, abstained, held_out, value in rows:
        if of_run == run and not abstained and not held_out and value is not None:
            steps.setdefault(step, {}).setdefault(problem, []).append(value)
    return steps


def gather_by_problem(
    groups: Mapping[int, Mapping[int, Sequence[float]]], steps: Sequence[int]
) -> dict[int, list[float]]:
    """What `group_by_step` gives, over some of the steps: the code of each problem -> the values of all of
    its visits, for a problem that is drawn again is no other problem."""
    found: dict[int, list[float]] = {}
    for step in steps:
        for problem, values in groups[step].items():
            found.setdefault(problem, []).extend(values)
    return found
