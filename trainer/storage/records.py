"""Reading what a run wrote down; a damaged file is a sentence with its name and the fix."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ...tasks.core.errors import UserError, shorten

TAIL = 1 << 16  # bytes before the end of what was read, by which it is known again


def write_text(path: Path, text: str) -> None:
    """Write a file that is complete or as it was before: a full disk or a kill takes nothing from it."""
    new = path.with_name(f".{path.name}.partial")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """The same of many lines, given without their ends, of which one at a time is in memory."""
    new = path.with_name(f".{path.name}.partial")
    with new.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(f"{line}\n")
    new.replace(path)


def write_json(path: Path, values: Any) -> None:
    """The same of plain data; what JSON has no word for is written as its `str`."""
    write_text(path, json.dumps(values, indent=1, default=str))


@dataclass(frozen=True)
class Line:
    """A line of a JSONL file, as text with its end and as what it says."""

    text: str
    values: dict[str, Any]


def read_json(path: Path, needed: Sequence[str] = ()) -> dict[str, Any]:
    """The table in a JSON file. Raises UserError where it is none, or lacks a key that is needed."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as failure:
        raise UserError(f"{path} is damaged: it is no JSON ({failure}). {_ADVICE}") from failure
    missing = [key for key in needed if not isinstance(values, dict) or key not in values]
    if missing or not isinstance(values, dict):
        lacks = f"it has no {missing[0]!r}" if missing else "it holds no keys with values"
        raise UserError(f"{path} is damaged: {lacks}. {_ADVICE}")
    return values


def read_json_if_there(path: Path) -> dict[str, Any]:
    """The same; an empty one where there is no such file."""
    return read_json(path) if path.is_file() else {}


def drop_nan(values: Any) -> Any:
    """Plain data with None in the place of numbers that JSON does not have: nan and the infinite ones."""
    if isinstance(values, float):
        return values if math.isfinite(values) else None
    if isinstance(values, Mapping):
        return {name: drop_nan(value) for name, value in values.items()}
    return [drop_nan(value) for value in values] if isinstance(values, (list, tuple)) else values


def read_objects(path: Path) -> Iterator[Line]:
    """The JSON objects of a file's lines; a last line that a crash cut is left out.

    Raises UserError, with the line's number, for another line that is none.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if not raw.endswith(b"\n"):
                return
            try:
                values = parse_object(raw)
            except ValueError as failure:
                raise complain_of_line(path, number, str(failure)) from failure
            yield Line(raw.decode(), values)


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object of a line. Raises ValueError, with what is wrong in a few words, for another line."""
    try:
        values = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as failure:
        raise ValueError(f"it is no UTF-8 (byte {failure.start + 1})") from failure
    except RecursionError as failure:
        raise ValueError("it is nested too deep") from failure
    except ValueError as failure:
        raise ValueError(f"it is no JSON ({shorten(str(failure), 60)})") from failure
    if not isinstance(values, dict):
        raise ValueError("it is no JSON object")
    return values


def hash_tail(stream: BinaryIO, end: int) -> str:
    """Of the last bytes of a file before a place, by which what was read up to there is known again."""
    start = max(0, end - TAIL)
    stream.seek(start)
    return hashlib.sha256(stream.read(end - start)).hexdigest()


def complain_of_line(path: Path, number: int, wrong: str) -> UserError:
    """The sentence about a damaged line. number: from 1.  wrong: what is, in a few words."""
    return UserError(
        f"{path}, line {number} is damaged: {wrong}. Remove that line, or put the file back from a copy."
    )


def read_lines(path: Path) -> Iterator[Line]:
    """The records of metrics.jsonl or rollouts.jsonl, as `read_objects` reads them.

    Raises UserError, with the line's number, for a line that is no record of a step.
    """
    for number, line in enumerate(read_objects(path), 1):
        if not isinstance(line.values.get("step"), int | float):
            raise UserError(
                f"{path}, line {number} is damaged: it is no record of a step. Remove that line, then try "
                "again."
            )
        yield line


_ADVICE = "Put the file back from a copy, or start the run again with another --out."
