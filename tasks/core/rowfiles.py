"""Rows of local data files: JSON Lines, JSON arrays, their gzipped forms, and Parquet.

Errors name file and line.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DataError

SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".parquet")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a data set. where: file and line, or file and row, for messages."""

    values: Mapping[str, Any]
    where: str


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of one file in their order. Raises DataError, which names the file and the line."""
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise DataError(
            f"{path} has an ending that is not read; give a file that ends in {', '.join(SUFFIXES)}."
        )
    try:
        if name.endswith(".parquet"):
            yield from _read_parquet(path)
            return
        content = path.read_bytes()
        if name.endswith(".gz"):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as failure:
        raise DataError(
            f"{path} could not be read: {getattr(failure, 'strerror', None) or failure}."
        ) from failure
    content = content.removeprefix(b"\xef\xbb\xbf")
    is_array = name.removesuffix(".gz").endswith(".json") and content.lstrip()[:1] == b"["
    yield from _read_array(path, content) if is_array else _read_lines(path, content)


def _read_lines(path: Path, content: bytes) -> Iterator[Row]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield Row(_check_object(_parse(line, where), where), where)


def _read_array(path: Path, content: bytes) -> Iterator[Row]:
    for index, value in enumerate(_parse(content, str(path))):
        where = f"{path}, row {index}"
        yield Row(_check_object(value, where), where)


def _parse(text: bytes, where: str) -> Any:
    try:
        return json.loads(text.decode("utf-8"))
    except json.JSONDecodeError as failure:
        inner = f", line {failure.lineno}" if failure.lineno > 1 else ""
        raise DataError(
            f"{where}{inner}: not valid JSON ({failure.msg} at column {failure.colno}). Fix the line or "
            "take it out."
        ) from failure
    except UnicodeDecodeError as failure:
        raise DataError(
            f"{where}: not UTF-8 ({failure.reason} at byte {failure.start}). Save it as UTF-8."
        ) from failure
    except (RecursionError, ValueError) as failure:  # nested too deep, or an integer of too many digits
        raise DataError(f"{where}: JSON that can't be read ({failure}). Fix it or take it out.") from failure


def _check_object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: a row is a JSON object with named columns, not a {type(value).__name__}.")
    return value


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except pyarrow.ArrowException as failure:
        raise DataError(f"{path} is not a Parquet file that can be read: {failure}") from failure
    for index, values in enumerate(table.to_pylist()):
        yield Row(values, f"{path}, row {index}")
