"""SQL over a run's or an evaluation's completions: one statement that reads, and nothing else."""

from __future__ import annotations

import difflib
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError, shorten
from .index import PARTS, open_index
from .names import INDEX

TABLES = (*PARTS, "verdicts", "metrics", "problems", "damaged")
READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
NO_FUNCTIONS = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}
STEPS = 100_000  # of SQLite's machine between two looks at whether somebody has pressed Ctrl-C


@dataclass(frozen=True)
class Found:
    """What a query gave. columns: their names, no two alike.  rows: in the order that they come, one at a
    time."""

    columns: Sequence[str]
    rows: Iterator[tuple[Any, ...]]

    def to_dicts(self) -> Iterator[dict[str, Any]]:
        """Each row by its columns' names."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)


@dataclass(frozen=True)
class TableShape:
    """A table that can be asked. rows: how many it has."""

    name: str
    columns: Sequence[str]
    rows: int


@contextmanager
def open_query(folder: Path, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Iterator[Found]:
    """What a SELECT over the folder's tables gives. parameters: for `?` and `:name` in it.

    Raises UserError for what is no SELECT, names what is not there, or writes.
    """
    connection = open_index(folder)
    try:
        _let_read_only(connection)
        with _as_sentences(connection):
            cursor = connection.execute(sql, parameters)
            if cursor.description is None:
                raise UserError("The query gives nothing. Ask with a SELECT.")
            yield Found(name_apart([entry[0] for entry in cursor.description]), iter(cursor))
    finally:
        connection.close()


def list_tables(folder: Path) -> list[TableShape]:
    """The tables of a folder that hold something."""
    connection = open_index(folder)
    try:
        shapes = []
        for name in TABLES:
            count = connection.execute(f"select count(*) from {name}").fetchone()[0]
            columns = [entry[0] for entry in connection.execute(f"select * from {name} limit 0").description]
            shapes.append(TableShape(name, columns, count))
        return [shape for shape in shapes if shape.rows]
    finally:
        connection.close()


def name_apart(names: Sequence[str]) -> list[str]:
    """Names of columns of which no two are alike.

    >>> name_apart(["id", "reward", "id"])
    ['id', 'reward', 'id_2']
    """
    apart: list[str] = []
    for name in names:
        number, made = 1, name
        while made in apart:
            number += 1
            made = f"{name}_{number}"
        apart.append(made)
    return apart


def _let_read_only(connection: sqlite3.Connection) -> None:
    """From here on this connection reads its tables and does nothing else: no other file, no pragma."""

    def allow(action: int, first: str | None, second: str | None, *_: Any) -> int:
        if action in READING or (action == sqlite3.SQLITE_FUNCTION and second not in NO_FUNCTIONS):
            return sqlite3.SQLITE_OK
        del first
        return sqlite3.SQLITE_DENY

    connection.execute("pragma query_only = on")
    connection.set_authorizer(allow)
    # Between two calls Python runs what a signal has asked for: Ctrl-C ends a query that does not end itself.
    connection.set_progress_handler(lambda: 0, STEPS)


@contextmanager
def _as_sentences(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as failure:
        said = str(failure)
        if said == "interrupted":
            raise KeyboardInterrupt from failure
        raise UserError(_explain(connection, said)) from failure


def _explain(connection: sqlite3.Connection, said: str) -> str:
    if any(word in said for word in ("not authorized", "denied", "prohibited", "readonly", "modify")):
        return "palaestra query only reads: one SELECT over the tables of the run. This statement does more."
    if "one statement" in said:
        return "palaestra query takes one statement at a time. Leave the others out."
    if "malformed" in said:
        return f"The index is damaged ({said}). Remove {INDEX} in the folder; it is made anew of the files."
    missing = re.fullmatch(r"no such (table|column): (.+)", said)
    if missing is None:
        return f"The query can't be run: {shorten(said, 200)}."
    names = list(TABLES)
    if missing[1] == "column":
        connection.set_authorizer(None)
        found = connection.execute("select distinct name from pragma_table_info(?)", ("rollouts",)).fetchall()
        found += connection.execute(
            "select distinct name from pragma_table_info(?)", ("verdicts",)
        ).fetchall()
        names = sorted({name for (name,) in found})
    near = difflib.get_close_matches(missing[2].rpartition(".")[2].lower(), names, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(names)}."
    return f"The query names no {missing[1]} that is here: {missing[2]}. {hint}"
