"""One row of a table as a problem, and what is found out over many rows before the first is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import DataError, shorten
from ..core.problem import Problem
from ..core.rowfiles import Row
from .answers import (
    Answer,
    Base,
    Mark,
    Options,
    UnusableError,
    find_base,
    find_letter,
    find_mark,
    is_missing,
    read_answer,
    read_options,
    write_plain,
)
from .chats import WHOLE_CHATS, Asked, read_prompt
from .columns import Columns, find_columns, find_value, list_fields
from .judges import LISTED, Judge, make_judge
from .programs import read_tests
from .spec import DataSpec

MOST = 0.9  # of the rows, from which a guess is made
LETTER_REQUEST = "Answer with the letter of the right option."


@dataclass(frozen=True)
class Layout:
    """How the rows of a table are read. mark: what is around a final answer.  base: how numbers name
    options."""

    columns: Columns
    judge: Judge
    mark: Mark = ""
    base: Base = "none"


@dataclass(frozen=True)
class Guess:
    """A judge that nobody named, and why it."""

    judge: Judge
    why: str


def find_layout(spec: DataSpec, judge: Judge, rows: Sequence[Row], label: str) -> Layout:
    """How to read a table. rows: its first ones. Raises DataError for columns that are not there."""
    refuse_empty(rows, label)
    columns = find_columns(spec, [row.values for row in rows], label, tests=judge.reads == "tests")
    if judge.reads != "any" and not columns.answer and not _holds_turns(columns):
        names = ", ".join(map(str, rows[0].values))
        raise DataError(
            f"{label}: --verify {judge.name} compares with a reference, and no column is known to hold one; "
            f"it has {names}. Say which: --answer COLUMN."
        )
    marked = judge.reads == "answer" and judge.name != "choice"
    mark: Mark = find_mark(_list_answers(columns, rows)) if marked else ""
    return Layout(columns, judge, mark, _find_base(columns, rows) if judge.name == "choice" else "none")


def refuse_empty(rows: Sequence[Row], label: str) -> None:
    """Raise DataError for data without a row."""
    if not rows:
        raise DataError(
            f"{label} is empty: it has no row. Give one problem to a row, with columns such as question and "
            "answer."
        )


def make_problem(layout: Layout, row: Row) -> Problem:
    """A row as a problem, its id left open. The other columns are its metadata. Raises UnusableError."""
    columns, judge, values = layout.columns, layout.judge, row.values
    asked = read_prompt(_take_prompt(row, columns.prompt), columns.prompt)
    cell = _take(row, columns.answer) if columns.answer else asked.said or None
    # A function of one's own may ask for any column by its name.
    own = {columns.prompt, columns.answer, columns.solution} if judge.reads != "any" else {columns.prompt}
    metadata = {name: value for name, value in values.items() if name not in own}
    given = values.get(columns.solution) if columns.solution else None
    solution = given.strip() if isinstance(given, str) else ""
    if judge.reads == "tests":  # a program may begin with a space: the body of a function to complete
        coded = read_tests(values, asked.prompt, cell, given if isinstance(given, str) else "")
        return Problem(
            coded.prompt, coded.reference, {**metadata, "solution": coded.solution}, key=_key(asked)
        )
    prompt = asked.prompt
    options = _read_options(columns, row)
    if options is not None:
        prompt = _add_options(prompt, options)
        metadata = {name: value for name, value in metadata.items() if name not in columns.choices}
        metadata["choices"] = list(options.texts)  # where the criterion `choice` looks first
    if judge.name == "choice":
        answer = Answer(find_letter(cell, options, layout.base))
    elif judge.reads == "answer":
        answer = read_answer(cell, layout.mark)
    else:
        answer = Answer(None if is_missing(cell) else cell)
    if solution or answer.solution:
        metadata["solution"] = solution or answer.solution
    return Problem(prompt, answer.final, metadata, key=_key(Asked(prompt)))


def _key(asked: Asked) -> str:
    """What makes two prompts the same: their words."""
    text = asked.prompt if isinstance(asked.prompt, str) else "\n".join(m["content"] for m in asked.prompt)
    return " ".join(text.split())


def _take(row: Row, column: str) -> Any:
    try:
        return find_value(row.values, column)
    except KeyError:
        raise UnusableError(f"there is no column {column!r}") from None


def _take_prompt(row: Row, column: str) -> Any:
    """The cell of a column, or the cells of several put into a template; a missing one leaves nothing."""
    names = list_fields(column)
    if not names:
        return _take(row, column)
    cells = {name: "" if is_missing(cell := _take(row, name)) else write_plain(cell) for name in names}
    # At once: braces within a cell are text.
    return re.sub("|".join(re.escape(f"{{{name}}}") for name in names), lambda m: cells[m[0][1:-1]], column)


def _read_options(columns: Columns, row: Row) -> Options | None:
    if not columns.choices:
        return None
    cells = [_take(row, name) for name in columns.choices]
    return read_options(cells[0] if len(cells) == 1 else [cell for cell in cells if not is_missing(cell)])


def _add_options(prompt: Any, options: Options) -> Any:
    said = f"{options.render()}\n{LETTER_REQUEST}"
    if isinstance(prompt, str):
        return f"{prompt}\n{said}"
    *before, last = prompt
    return [*before, {**last, "content": f"{last['content']}\n{said}"}]


def _holds_turns(columns: Columns) -> bool:
    return columns.prompt.rpartition(".")[2].lower() in WHOLE_CHATS


def _list_answers(columns: Columns, rows: Sequence[Row]) -> list[Any]:
    answers = []
    for row in rows:
        try:
            cell = find_value(row.values, columns.answer) if columns.answer else None
            if not columns.answer and _holds_turns(columns):
                cell = read_prompt(find_value(row.values, columns.prompt), columns.prompt).said
        except (KeyError, UnusableError):
            continue
        if not is_missing(cell):
            answers.append(cell)
    return answers


def _find_base(columns: Columns, rows: Sequence[Row]) -> Base:
    values: list[Any] = []
    options: list[Options | None] = []
    for row in rows:
        try:
            read = _read_options(columns, row)
            values.append(find_value(row.values, columns.answer))
        except (KeyError, UnusableError):
            continue
        options.append(read)
    return find_base(values, options)


def guess_judge(spec: DataSpec, rows: Sequence[Row], label: str) -> Guess:
    """The judge that the first rows themselves call for. Raises DataError where they call for none."""
    refuse_empty(rows, label)
    values = [row.values for row in rows]
    coded = find_columns(spec, values, label, tests=True)
    tests = _list_answers(coded, rows)
    if tests and all(map(_is_test, tests)):
        return Guess(make_judge("code"), f"the column {coded.answer} holds tests")
    columns = find_columns(spec, values, label, tests=False)
    if columns.choices and columns.answer and _all_letters(columns, rows):
        return Guess(make_judge("choice"), "there are options, and each answer names one")
    answers = _list_answers(columns, rows)
    if not answers:
        found = f"no row has one in the column {columns.answer!r}" if columns.answer else "no column is known"
        raise DataError(
            f"{label}: where are the answers? {found}; it has {', '.join(map(str, values[0]))}. Say which "
            "column: --answer COLUMN. Or judge without: --verify ./reward.py:my_reward."
        )
    mark = find_mark(answers)
    finals = []
    for value in answers:
        try:
            finals.append(read_answer(value, mark).final)
        except UnusableError:
            continue
    number = make_judge("number")
    readable = [final for final in finals if not number.find_fault(Problem("", final))]
    if finals and len(readable) >= MOST * len(finals):
        return Guess(number, "the answers are numbers")
    shown = f", such as {shorten(repr((finals or answers)[0]), 60)}"
    flags = spec.write_flags()
    example = f" For example: {flags} --verify math" if flags else ""
    raise DataError(
        f"{label}: say how answers are judged{shown}: --verify math (values and expressions), exact (texts), "
        f"or another of {LISTED}.{example}"
    )


def _all_letters(columns: Columns, rows: Sequence[Row]) -> bool:
    base, found = _find_base(columns, rows), 0
    for row in rows:
        try:
            find_letter(_take(row, columns.answer), _read_options(columns, row), base)
            found += 1
        except UnusableError:
            continue
    return found >= MOST * len(rows)


def _is_test(value: Any) -> bool:
    texts = value if isinstance(value, list | tuple) else [value]
    return bool(texts) and all(
        isinstance(text, str) and ("assert " in text or "def check(" in text) for text in texts
    )
