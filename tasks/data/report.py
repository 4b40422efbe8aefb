"""What there is to know of data before anything is trained on them: how they are read, counts, lengths, and
what is wrong.

An error is what would make training wrong: rows that can't be used, a split without a problem. A warning is
what costs something: duplicates, rows of train that are in test, a test split too small to tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

from ..core.errors import UserError, shorten
from ..core.problem import Problem
from ..core.task import Task
from ..core.trial import find_broken
from .answers import BASES, MARKS
from .places import WHOLE, find_split
from .table import SHOWN, Table, describe_faults, name_places

FEW = 30  # problems of a test split, below which its pass-rate says little
PROGRAMS_TRIED = 20


@dataclass(frozen=True)
class Report:
    """Lines for a person. facts: how the data were read.  warnings: what costs.  errors: what is wrong."""

    facts: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    def refuse(self) -> None:
        """Raise UserError where something is wrong."""
        if self.errors:
            raise UserError(" ".join(self.errors))

    def write_lines(self) -> list[str]:
        """Facts and warnings, as a run says them."""
        return [*self.facts, *(f"Warning: {warning}" for warning in self.warnings)]


def report(task: Task, needed: Sequence[str] = ()) -> Report:
    """What there is to know of the data of a task. needed: splits that must have problems; those that a task
    lacks are errors.

    Raises DataError for data that can't be read at all: a file that isn't there, a column, a line.
    """
    table = task.source
    assert isinstance(table, Table)
    splits = [split for split in table.splits if split in ("train", "test", "validation") or split in needed]
    facts = (*_describe_splits(table, splits), *_describe_reading(table, splits))
    faults = table.list_faults(splits)
    refusal = table.write_refusal(splits)
    errors = [f"{refusal}{_hint(table, faults[0].kind)}"] if refusal else _find_missing(table, needed)
    broken = "" if errors else find_broken(task)
    errors += [broken] if broken else []
    warnings = [f"{describe_faults(faults)} Left out."] if faults and table.spec.bad_rows == "skip" else []
    warnings += _find_duplicates(table, splits)
    warnings += _find_overlap(table)
    if find_split(table.spec.split) in ("test", "validation"):
        warnings.append(
            f"--split {table.spec.split} trains on what `palaestra eval --data {table.label}` measures "
            "on. Give the rows to train on another name to keep the two apart."
        )
    held = table.part("test").problems if "test" in splits else ()
    if 0 < len(held) < FEW:
        warnings.append(
            f"The test split has {len(held)} {_problems(len(held))}: its pass-rate will say little. More "
            "rows, or a larger --test-share, make it surer."
        )
    return Report(facts, tuple(warnings), tuple(errors))


def try_solutions(task: Task, count: int = PROGRAMS_TRIED) -> list[str]:
    """Warnings of a code task's own solutions that do not pass their tests, tried on `count` problems, evenly
    spread. The sandbox must be ready."""
    table = task.source
    if not isinstance(table, Table) or table.judge.reads != "tests":
        return []
    problems = [
        problem for split in ("train", "test") if split in table.splits for problem in _of(table, split)
    ]
    if not any(problem.metadata.get("solution") for problem in problems):
        return ["No column holds programs that pass the tests (--solution), so the tests could not be tried."]
    some = [
        problem for problem in problems[:: max(1, len(problems) // count)] if problem.metadata["solution"]
    ]
    failed = []
    for problem in some[:count]:
        score = task.score(task.solution(problem), problem)
        if not score.passed:
            verdict = score.correctness
            failed.append(f"{_where(table, problem)}: {shorten(verdict.reason if verdict else '', 100)}")
    if not failed:
        return []
    return [
        f"{len(failed)} of {len(some[:count])} solutions that were tried do not pass their tests. "
        f"{'; '.join(failed[:SHOWN])}."
    ]


def describe_example(task: Task, split: str) -> list[str]:
    """The first problem of a split, its answer, and a completion that would have the full reward."""
    problem = task.problems(split, 1)[0]
    lines = [f"--- {problem.id}", problem.text]
    if task.instruction:
        lines += ["", task.instruction]
    if not isinstance(problem.reference, dict):
        lines.append(f"reference: {problem.reference!r}")
    with suppress(UserError):  # nothing may say how one looks
        lines.append(f"a right completion: {task.solution(problem)}")
    return lines


def _of(table: Table, split: str) -> tuple[Problem, ...]:
    return table.part(split).problems


def _where(table: Table, problem: Problem) -> str:
    split = problem.id.split("/")[1]
    return table.part(split).places[problem.id]


def _problems(count: int) -> str:
    return "problem" if count == 1 else "problems"


def _describe_splits(table: Table, splits: Sequence[str]) -> list[str]:
    parts, sources = [], []
    for split in splits:
        origin, count = table.origins[split], len(_of(table, split))
        held = " held out by a hash of their prompts" if origin.held_out else ""
        named = f" ({origin.name})" if origin.held_out is None and origin.name not in (split, WHOLE) else ""
        parts.append(f"{split} {count:,}{named}{held}")
        sources.append(origin.held_out)
    hint = " --test-share says how many." if any(sources) else ""
    return [f"{table.label}: {', '.join(parts)}.{hint}", *table.place.notes]


def _describe_reading(table: Table, splits: Sequence[str]) -> list[str]:
    layout, spec = table.layout, table.spec
    why = f" (guessed: {table.guessed}; --verify says otherwise)" if table.guessed else ""
    lines = [layout.columns.describe(), f"Verifier: {table.judge.name}{why}."]
    if layout.mark:
        lines.append(f"Answers: {MARKS[layout.mark]}.")
    if layout.base in BASES:
        lines.append(f"Answers: {BASES[layout.base]}.")
    if table.judge.name == "choice" and not layout.columns.choices and not spec.choices:
        lines.append(
            "Options: no column holds them, so they are expected in the prompts; --choices names one."
        )
    lengths = sorted(len(problem.text) for split in splits for problem in _of(table, split))
    if lengths:
        lines.append(f"Prompts: {median(lengths):.0f} characters in the middle, {lengths[-1]:,} at most.")
    return lines


def _find_missing(table: Table, needed: Sequence[str]) -> list[str]:
    errors = []
    for split in needed:
        if split not in table.splits:
            has = f"it has {', '.join(table.splits)}" if table.splits else "it has none"
            errors.append(f"{table.label} has no {split} split; {has}.{_advise_split(table, split)}")
        elif not _of(table, split):
            origin = table.origins[split]
            reason = _explain_empty(table, split, held_out=origin.held_out)
            errors.append(f"The {split} split of {table.label} has no problem{reason}")
    return errors


def _advise_split(table: Table, split: str) -> str:
    """What to do for a split to train on, after a sentence; "" for another."""
    origins = list(table.origins.values())
    if split != "train" or not origins:
        return ""
    if origins[0].held_out:
        return f" --test-share {table.spec.test_share:g} holds all of it out: give a smaller one."
    return f" --split {origins[0].name} trains on that one."


def _explain_empty(table: Table, split: str, *, held_out: bool | None) -> str:
    part = table.part(split)
    if part.overlap:
        return f": all of its {len(part.overlap)} rows are in another split too. Give other rows to train on."
    if part.faults:
        return " that can be used."
    if held_out is not None:
        return f" at --test-share {table.spec.test_share:g}: there are too few rows. Give more."
    return ". Fill it, or take it away."


def _find_duplicates(table: Table, splits: Sequence[str]) -> list[str]:
    """Problems that are in one split several times: with the same answer, and with others. All splits in one
    sentence: the two sides of a file that was divided are one file to its owner."""
    extra, differing = [], []
    for split in splits:
        by_key: dict[str, list[Problem]] = {}
        for problem in _of(table, split):
            by_key.setdefault(problem.key, []).append(problem)
        for group in by_key.values():
            if len({repr(problem.reference) for problem in group}) > 1:
                differing.append(group[1])
            else:
                extra += group[1:]
    warnings = []
    if extra:
        noun = "duplicate" if len(extra) == 1 else "duplicates"
        warnings.append(f"{len(extra)} {noun}{_place_all(table, extra)}.")
    if differing:
        noun = "prompt" if len(differing) == 1 else "prompts"
        warnings.append(
            f"{len(differing)} {noun} with different answers, of which one must be wrong"
            f"{_place_all(table, differing)}."
        )
    return warnings


def _place_all(table: Table, problems: Sequence[Problem]) -> str:
    """` in train (mine.jsonl, lines 3, 7, 12, ...)`: the splits of problems, and their first places."""
    splits = dict.fromkeys(problem.id.split("/")[1] for problem in problems)
    places = [_where(table, problem) for problem in problems]
    return f" in {' and '.join(splits)} ({name_places(places)})"


def _find_overlap(table: Table) -> list[str]:
    if "train" not in table.splits:
        return []
    places = table.part("train").overlap
    if not places:
        return []
    return [
        f"{len(places)} rows of train are in another split too, and are left out of train: "
        f"{name_places(places)}."
    ]


def _hint(table: Table, kind: str) -> str:
    if table.judge.name == "number" and kind:
        return " (--verify math reads expressions and units, exact compares texts.)"
    return ""
