"""Completions that were scored, as their folders hold them: what comparisons read. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError
from ...verifiers import Completion, Status, Turn, Verdict
from ..storage.names import ARMS, COMPLETIONS, FACTS, HELD_OUT, SUMMARY
from ..storage.records import complain_of_line, read_json, read_json_if_there
from ..storage.rows import Once, read_scored, read_turns

NO_EVALUATION = "Give the folder of a `palaestra eval`, or of a run."
FIRST, LAST, BEST = "first", "last", "best"


@dataclass(frozen=True, slots=True)
class Row:
    """One scored completion. answer, status, reason: of the correctness criterion, the first of the
    rubric."""

    sample: int
    text: str
    reward: float
    passed: bool
    abstained: bool
    answer: str | None = None
    status: str = ""
    reason: str = ""
    prompt_tokens: int = 0
    finish_reason: str = "stop"
    turns: tuple[Turn, ...] = ()
    fault: str = ""

    @property
    def said(self) -> Completion:
        """The completion, for a person who reads it."""
        return Completion(self.text, finish_reason=self.finish_reason, turns=self.turns, fault=self.fault)


@dataclass(frozen=True)
class Question:
    """What a problem asks, as rows record it."""

    prompt: str
    reference: Any


@dataclass(frozen=True)
class Measured:
    """One model's scored completions of a task's problems.

    name: for a person.  rows_P: by the problem's id, in the order of their numbers.  questions: by the
    problem's id.  identity: what was measured, as `identity.Identity` writes it; {} where nothing is on
    record. facts: what else is on record.  verifiable: whether `passed` means anything.
    too_long: problems without a completion because their prompt did not fit.
    """

    name: str
    rows_P: Mapping[str, Sequence[Row]] = field(repr=False)
    questions: Mapping[str, Question] = field(repr=False)
    identity: Mapping[str, Any] = field(default_factory=dict, repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    folder: Path | None = None
    verifiable: bool = True
    too_long: int = 0

    @property
    def samples(self) -> int:
        """The most completions that a problem has."""
        return max(map(len, self.rows_P.values()), default=0)


def read_measured(source: str) -> list[Measured]:
    """What a place on the disk stands for: an evaluation's folder, a run's (RUN, RUN@STEP, RUN@first,
    RUN@best; without a mark its last held-out evaluation), or the folder of a run's arms, each of which is
    one.

    Raises UserError for what is none.
    """
    name, _, mark = (
        source.rpartition("@") if not Path(source).exists() and "@" in source else (source, "", "")
    )
    folder = Path(name)
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}. Give those of evaluations, or of runs.")
    if (folder / ARMS).is_file():
        arms = read_json(folder / ARMS, ("arms",))["arms"]
        begun = [arm for arm in arms if (folder / arm / HELD_OUT).is_dir()]
        if not begun:
            raise UserError(f"No arm of {folder} has been evaluated yet.")
        return [replace(_read_run(folder / arm, mark), name=arm) for arm in begun]
    if (folder / HELD_OUT).is_dir():
        return [_read_run(folder, mark)]
    if mark:
        raise UserError(f"{source}: {folder} is no run with held-out evaluations; leave out @{mark}.")
    return [read_folder(folder, folder.name)]


def list_steps(run: Path) -> list[int]:
    """The steps at which a run was evaluated on held-out problems, ascending."""
    found = (re.fullmatch(r"step-(\d+)", path.name) for path in (run / HELD_OUT).glob("step-*"))
    return sorted(int(match[1]) for match in found if match)


def locate_held_out(run: Path, step: int) -> Path:
    """The folder of a run's held-out evaluation at a step."""
    return run / HELD_OUT / f"step-{step:06d}"


def _read_run(run: Path, mark: str) -> Measured:
    steps = list_steps(run)
    if not steps:
        raise UserError(f"{run} has not been evaluated yet: it has no held-out completions.")
    if mark in (FIRST, LAST, ""):
        step = steps[0] if mark == FIRST else steps[-1]
    elif mark == BEST:
        measured = {step: read_folder(locate_held_out(run, step), "") for step in steps}
        trained = [step for step in steps if step] or steps
        step = max(trained, key=lambda each: _average_rate(measured[each]))
    elif mark.isdecimal() and int(mark) in steps:
        step = int(mark)
    else:
        raise UserError(
            f"{run}@{mark}: it was evaluated at the steps {', '.join(map(str, steps))}. Give one of them, or "
            f"{FIRST}, {BEST} or {LAST}."
        )
    return read_folder(locate_held_out(run, step), f"{run.name}@{step}")


def _average_rate(measured: Measured) -> float:
    rates = [rate_problem(rows) for rows in measured.rows_P.values()]
    known = [rate for rate in rates if rate is not None]
    return sum(known) / len(known) if known else 0.0


def rate_problem(rows: Sequence[Row]) -> float | None:
    """The share of a problem's scored completions that passed; None where none was scored."""
    scored = [row.passed for row in rows if not row.abstained]
    return sum(scored) / len(scored) if scored else None


def read_folder(folder: Path, name: str) -> Measured:
    """The evaluation in a folder. Raises UserError where there is none, or a row is damaged."""
    path = folder / COMPLETIONS
    if not path.is_file():
        inside = sorted(child.name for child in folder.iterdir() if (child / COMPLETIONS).is_file())
        hint = f"It holds evaluations: give {folder / inside[0]}, ..." if inside else NO_EVALUATION
        raise UserError(f"{folder} holds no evaluation: there is no {COMPLETIONS}. {hint}")
    rows_P: dict[str, list[Row]] = {}
    questions: dict[str, Question] = {}
    once = Once()
    for number, values in read_scored(path):
        key = values["id"]
        row = make_row(values, len(rows_P.get(key, ())))
        if wrong := once.find_repeat(key, values, number):
            raise complain_of_line(path, number, wrong)
        rows_P.setdefault(key, []).append(row)
        questions.setdefault(key, Question(values.get("prompt", ""), values.get("reference")))
    if not rows_P:
        raise UserError(f"{path} holds no completion yet.")
    facts, summary = read_json_if_there(folder / FACTS), read_json_if_there(folder / SUMMARY)
    ordered = {key: sorted(rows, key=lambda row: row.sample) for key, rows in rows_P.items()}
    return Measured(
        name, ordered, questions, facts.get("identity", {}), facts, folder,
        summary.get("pass_at") != {}, int(summary.get("too_long", 0)),
    )  # fmt: skip


def make_row(values: Mapping[str, Any], number: int) -> Row:
    """A row of completions.jsonl. number: of its sample, where it does not say so."""
    first = next(iter(values["verdicts"].values()), {})
    return Row(
        values.get("sample", number),
        values["completion"],
        float(values["reward"]),
        values["passed"],
        values["abstained"],
        first.get("answer"),
        str(first.get("status", "")),
        str(first.get("reason", "")),
        values.get("prompt_tokens", 0),
        values["finish_reason"],
        read_turns(values),
        str(values.get("fault", "")),
    )


def read_verdict(said: Mapping[str, Any]) -> Verdict:
    """A verdict from plain data. Raises ValueError, TypeError or KeyError for what is none."""
    status, value, seconds = Status(said["status"]), float(said["value"]), float(said["seconds"])
    by_turn = tuple(map(float, said.get("by_turn", ())))
    return Verdict(status, value, said["answer"], said["reason"], seconds, said.get("number"), by_turn)


def write_verdict(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain data. By hand: `dataclasses.asdict` copies deeply, and takes ten times as long."""
    return {
        "status": verdict.status.value,
        "value": verdict.value,
        "answer": verdict.answer,
        "reason": verdict.reason,
        "seconds": verdict.seconds,
        "number": verdict.number,
        **({"by_turn": list(verdict.by_turn)} if verdict.by_turn else {}),
    }
