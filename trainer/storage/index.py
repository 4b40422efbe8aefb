"""What a run or an evaluation wrote, as tables of SQLite: made of its files when somebody asks, and kept
beside them.

The lines of JSON stay what is true. A run only appends to them, so an index costs training nothing; it
takes in what is new since the last time in one transaction, so that it is whole after `kill -9`; deleted, it
is made anew. Write-ahead logging lets many read while one takes in. Imports no torch.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError
from ..reports.curves import read_metrics
from .names import COMPLETIONS, HELD_OUT, INDEX, METRICS, ROLLOUTS
from .records import hash_tail, parse_object
from .rows import Once, find_fault, is_number

VERSION = 4  # of the tables below; an index of another one is made anew
BATCH = 5_000  # rows of an insertion
WAIT_S = 60.0  # for another process that reads the index as it is made anew
PARTS = {"rollouts": ROLLOUTS, "held_out": f"{HELD_OUT}/step-*/{COMPLETIONS}", "completions": COMPLETIONS}
"""By the table that holds them: completions that a run learned from, those of its held-out evaluations, and
those of an evaluation."""
COLUMNS = (
    "step, sample, id, prompt, reference, completion, reasoning, reward, passed, abstained, advantage, "
    "shadow_reward, tokens, prompt_tokens, finish_reason, state, fault, line, row"
)
SCHEMA = f"""
create table _files (number integer primary key, path text unique, bytes integer, lines integer, tail text);
create table _problems (number integer primary key, id text, prompt text, reference text,
    unique (id, prompt, reference));
create table _rows (row integer primary key, part text, file integer, line integer, step integer,
    sample integer, problem integer, completion text, reasoning text, reward real, passed integer,
    abstained integer, advantage real, shadow_reward real, tokens integer, prompt_tokens integer,
    finish_reason text, state text, fault text);
create index _rows_by_step on _rows (part, step, problem);
create index _rows_by_problem on _rows (part, problem, step);
create table _verdicts (row integer, criterion text, status text, value real, answer text, reason text,
    primary key (row, criterion)) without rowid;
create table _turns (row integer, place integer, turn integer, role text, voice text, text text,
    reward real, primary key (row, place)) without rowid;
create table _damaged (file integer, line integer, wrong text);
create table _metrics (step integer, kind text, name text, value real);
create view verdicts as select * from _verdicts;
create view turns as select row, place, turn, role, voice, text, reward from _turns;
create view metrics as select * from _metrics;
create view problems as select id, prompt, reference from _problems;
create view damaged as select path as file, line, wrong from _damaged join _files on number = file;
{
    "".join(
        f'''create view {part} as select {COLUMNS} from _rows join _problems on number = problem
    where part = '{part}';
'''
        for part in PARTS
    )
}pragma user_version = {VERSION};
"""


@dataclass
class Taken:
    """Rows on their way into the tables."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    verdicts: list[tuple[Any, ...]] = field(default_factory=list)
    turns: list[tuple[Any, ...]] = field(default_factory=list)
    damaged: list[tuple[Any, ...]] = field(default_factory=list)


def open_index(folder: Path) -> sqlite3.Connection:
    """The tables of a run's or an evaluation's folder, with all that it has written down so far.

    In a folder that nothing can be written to they are made in memory. Raises UserError for a folder without
    completions and metrics.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}. Give that of a run or of an evaluation.")
    if not any(_list_files(folder)) and not (folder / METRICS).is_file():
        raise UserError(
            f"{folder} holds no completions and no steps yet. Give the folder that `palaestra train` or "
            "`palaestra eval` wrote."
        )
    if not os.access(folder, os.W_OK):
        return _bring_up_to_date(folder, ":memory:")
    with (folder / f".{INDEX}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # SQLite's own does not hold while a file becomes a database
        return _open_in_folder(folder, str(folder / INDEX))


def _open_in_folder(folder: Path, path: str) -> sqlite3.Connection:
    try:
        return _bring_up_to_date(folder, path)
    except sqlite3.OperationalError as failure:  # a full disk, a lock that is held too long
        raise UserError(f"{path} can't be written ({failure}).") from failure
    except sqlite3.DatabaseError:  # damaged: all that is in it is in the files, too
        for ending in ("", "-wal", "-shm"):
            Path(path + ending).unlink(missing_ok=True)
        return _bring_up_to_date(folder, path)


def _bring_up_to_date(folder: Path, path: str) -> sqlite3.Connection:
    with ExitStack() as failed:
        made = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
        connection = failed.enter_context(closing(made))
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = off")  # what a power cut takes is made anew
        connection.execute("begin immediate")
        if connection.execute("pragma user_version").fetchone()[0] != VERSION:
            _clear(connection)
        _take_in(connection, folder)
        connection.execute("commit")
        failed.pop_all()
    return connection


def _clear(connection: sqlite3.Connection) -> None:
    """Tables of this version, empty."""
    kinds = connection.execute(
        "select type, name from sqlite_master where type in ('view', 'table') and name not like 'sqlite_%' "
        "order by type = 'table'"
    ).fetchall()
    for kind, name in kinds:
        connection.execute(f'drop {kind} "{name}"')
    for statement in SCHEMA.split(";\n"):
        if statement.strip():
            connection.execute(statement)


def _list_files(folder: Path) -> Iterator[tuple[str, Path]]:
    for part, pattern in PARTS.items():
        for path in sorted(folder.glob(pattern)):
            yield part, path


def _take_in(connection: sqlite3.Connection, folder: Path) -> None:
    """All that the files have beyond what was read; a file that was cut or written anew is read anew."""
    known = {
        name: rest
        for name, *rest in connection.execute("select path, number, bytes, lines, tail from _files")
    }
    there = {str(path.relative_to(folder)): (part, path) for part, path in _list_files(folder)}
    for name, (number, read, _, tail) in list(known.items()):
        gone = name != METRICS and name not in there
        if gone or _hash_file(folder / name, read) != tail:
            _forget(connection, number)
            del known[name]
    for name, (part, path) in there.items():
        number, read, lines, _ = known.get(name) or _begin(connection, name)
        _take_in_rows(connection, part, path, number, read, lines)
    _take_in_metrics(connection, folder, known.get(METRICS))


def _begin(connection: sqlite3.Connection, name: str) -> list[Any]:
    inserted = connection.execute(
        "insert into _files (path, bytes, lines, tail) values (?, 0, 0, '')", (name,)
    )
    return [inserted.lastrowid, 0, 0, ""]


def _forget(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("delete from _verdicts where row in (select row from _rows where file = ?)", (number,))
    connection.execute("delete from _turns where row in (select row from _rows where file = ?)", (number,))
    connection.execute("delete from _rows where file = ?", (number,))
    connection.execute("delete from _damaged where file = ?", (number,))
    connection.execute("delete from _files where number = ?", (number,))


def _hash_file(path: Path, read: int) -> str:
    """As `hash_tail`; "" where there is no file."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        return hash_tail(stream, read)


def _take_in_rows(
    connection: sqlite3.Connection, part: str, path: Path, number: int, read: int, lines: int
) -> None:
    row = (connection.execute("select max(row) from _rows").fetchone()[0] or 0) + 1
    problems: dict[tuple[str, str, str], int] = {}
    taken, once = Taken(), _list_samples(connection, part, path, number, read)
    with path.open("rb") as stream:
        stream.seek(read)
        for raw in stream:
            if not raw.endswith(b"\n"):  # on its way, or cut by a crash
                break
            lines, read = lines + 1, read + len(raw)
            try:
                record = parse_object(raw)
                wrong = find_fault(record)
            except ValueError as failure:
                record, wrong = {}, str(failure)
            if wrong := wrong or once.find_repeat(_write(record["id"]), record, lines):
                taken.damaged.append((number, lines, wrong))
                continue
            problem = _find_problem(connection, record, problems)
            _add(taken, row, part, number, lines, problem, record)
            row += 1
            if len(taken.rows) >= BATCH:
                _insert(connection, taken)
                taken = Taken()
    _insert(connection, taken)
    connection.execute(
        "update _files set bytes = ?, lines = ?, tail = ? where number = ?",
        (read, lines, _hash_file(path, read), number),
    )


def _list_samples(connection: sqlite3.Connection, part: str, path: Path, number: int, read: int) -> Once:
    """The completions that were taken in of a file that has grown; a run's, which may repeat, are none."""
    if part != "completions" or not 0 < read < path.stat().st_size:
        return Once()
    found = connection.execute(
        "select id, sample, line from _rows join _problems on number = problem "
        "where file = ? and step is null and sample is not null",
        (number,),
    )
    return Once({(problem, sample): line for problem, sample, line in found})


def _find_problem(
    connection: sqlite3.Connection, record: Mapping[str, Any], known: dict[tuple[str, str, str], int]
) -> int:
    """The number of a row's problem; its text is written down once."""
    key = _write(record["id"]), _write(record.get("prompt", "")), _write(record.get("reference"))
    if key not in known:
        connection.execute("insert or ignore into _problems (id, prompt, reference) values (?, ?, ?)", key)
        found = connection.execute(
            "select number from _problems where id = ? and prompt = ? and reference = ?", key
        )
        known[key] = found.fetchone()[0]
    return known[key]


def _add(
    taken: Taken, row: int, part: str, file: int, line: int, problem: int, record: Mapping[str, Any]
) -> None:
    taken.rows.append((
        row, part, file, line, record.get("step"), record.get("sample"), problem,
        _write(record["completion"]), _write(record.get("reasoning", "")), record["reward"],
        record["passed"], record["abstained"], record.get("advantage"), record.get("shadow_reward"),
        record["tokens"], record.get("prompt_tokens"), _write(record["finish_reason"]),
        None if record.get("state") is None else json.dumps(record["state"]), _write(record.get("fault", "")),
    ))  # fmt: skip
    for criterion, verdict in record["verdicts"].items():
        answer = verdict.get("answer")
        taken.verdicts.append((
            row, _write(criterion), verdict["status"], verdict["value"],
            None if answer is None else _write(answer), _write(verdict.get("reason", "")),
        ))  # fmt: skip

    number = 0
    for place, turn in enumerate(record.get("turns", ())):
        number += turn["role"] == "policy"
        voice = _write(turn.get("voice", "user")) if turn["role"] == "world" else ""
        told = turn["role"], voice, _write(turn["text"]), turn.get("reward")
        taken.turns.append((row, place, number, *told))


def _insert(connection: sqlite3.Connection, taken: Taken) -> None:
    for table, rows, width in (
        ("_rows", taken.rows, 19), ("_verdicts", taken.verdicts, 6), ("_turns", taken.turns, 7),
        ("_damaged", taken.damaged, 3),
    ):  # fmt: skip
        connection.executemany(f"insert into {table} values ({', '.join('?' * width)})", rows)


def _write(value: Any) -> str:
    """A value as text that SQLite holds: what is none as JSON, half a surrogate pair by its number."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def _take_in_metrics(connection: sqlite3.Connection, folder: Path, known: list[Any] | None) -> None:
    """Every number of metrics.jsonl, by its path in the line (`criteria/number/mean`)."""
    path = folder / METRICS
    size = path.stat().st_size if path.is_file() else 0
    if size and size == (known[1] if known else 0):
        return
    number = (known or _begin(connection, METRICS))[0]
    connection.execute("delete from _metrics")
    for line in read_metrics(folder):
        connection.executemany(
            "insert into _metrics values (?, ?, ?, ?)",
            [(line["step"], line["kind"], name, value) for name, value in flatten(line) if name != "step"],
        )
    connection.execute(
        "update _files set bytes = ?, tail = ? where number = ?", (size, _hash_file(path, size), number)
    )


def flatten(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in nested tables, each by its path."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{above}{name}/")
        elif is_number(value):
            yield _write(above + name), float(value)
