"""The table of `palaestra tasks`: which tasks, and as many columns as the terminal has room for."""

from __future__ import annotations

import difflib
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...tasks.core.errors import UserError
from ...tasks.core.reach import MEANINGS, find_reach
from ...tasks.core.task import Task

WIDTH = 100  # characters of a line where no terminal says how many it has
GAP = 2


@dataclass(frozen=True)
class Column:
    """cells: one a task.  least: characters that it may be cut to; 0: it is shown in full or not at all."""

    title: str
    cells: Sequence[str]
    least: int = 0

    @property
    def width(self) -> int:
        return max(map(len, (self.title, *self.cells)))


def select_tasks(tasks: Sequence[Task], kinds: Sequence[str], word: str) -> list[Task]:
    """The tasks of these kinds (none: of all) with the word in their name or summary.

    Raises UserError where that leaves none.
    """
    known = sorted({task.kind for task in tasks})
    for kind in kinds:
        if kind not in known:
            near = difflib.get_close_matches(kind, known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise UserError(f"--kind {kind!r}: no task is of that kind; there are {', '.join(known)}.{hint}")
    asked = word.casefold()
    found = [
        task
        for task in tasks
        if (not kinds or task.kind in kinds) and asked in f"{task.name}\n{task.summary}".casefold()
    ]
    if not found:
        among = f" of kind {' or '.join(kinds)}" if kinds else ""
        near = difflib.get_close_matches(word, [task.name for task in tasks], n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else "`palaestra tasks` lists all of them."
        raise UserError(f"No task{among} has {word!r} in its name or summary. {hint}")
    return found


def write_table(tasks: Sequence[Task], *, wide: bool) -> list[str]:
    """The lines of the table. wide: every column in full, else those that the terminal has room for."""
    reaches = [find_reach(task) for task in tasks]
    columns = [
        Column("name", [task.name for task in tasks]),
        Column("kind", [task.kind for task in tasks]),
        Column("data", reaches),
        Column("splits (problems)", [_write_splits(task) for task in tasks], least=23),
        Column("licence", [task.licence for task in tasks], least=8),
        Column("source", [task.origin for task in tasks], least=12),
    ]
    if wide:
        columns.append(Column("summary", [task.summary for task in tasks]))
    room = find_width()
    shown = columns if wide else fit_columns(columns, room)
    meanings = "; ".join(f"{reach}: {text}" for reach, text in MEANINGS.items() if reach in reaches)
    left_out = [column.title for column in columns if column.title not in {c.title for c in shown}]
    more = f" --wide shows {', '.join(left_out)}, too." if left_out else ""
    notes = [
        f"{meanings}.",
        f"- : without end, or not known before reading. palaestra task show NAME shows problems.{more}",
    ]
    rows = zip(*(_fill(column) for column in shown), strict=True)
    return [
        *((" " * GAP).join(cells).rstrip() for cells in rows),
        *(line for note in notes for line in textwrap.wrap(note, room)),
    ]


def find_width() -> int:
    """Characters of a line of the terminal, WIDTH where standard output is none."""
    return shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH


def fit_columns(columns: Sequence[Column], room: int) -> list[Column]:
    """As many of the columns, from the first on, as fit `room` characters when the widest are cut."""
    for count in range(len(columns), 1, -1):
        kept = columns[:count]
        widths = [column.width for column in kept]
        while sum(widths) + GAP * (count - 1) > room:
            can_give = [n for n, column in enumerate(kept) if 0 < column.least < widths[n]]
            if not can_give:
                break
            widths[max(can_give, key=lambda n: widths[n])] -= 1
        else:
            return [
                replace(column, cells=[cut_cell(cell, width) for cell in column.cells])
                for column, width in zip(kept, widths, strict=True)
            ]
    return list(columns[:1])


def cut_cell(text: str, width: int) -> str:
    """A text in at most `width` characters, the end of a longer one left out."""
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _fill(column: Column) -> list[str]:
    return [f"{cell:<{column.width}}" for cell in (column.title, *column.cells)]


def _write_splits(task: Task) -> str:
    sizes = {split: task.declared_size(split) for split in task.splits}
    return ", ".join(f"{split} {'-' if size is None else f'{size:,}'}" for split, size in sizes.items())
