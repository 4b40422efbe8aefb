"""Rows of local data files: JSON Lines, JSON arrays, CSV, TSV, their gzipped forms, and Parquet.

Errors name file and line. Cells of a CSV stay texts, an empty one is None.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DataError

_TEXTS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
SUFFIXES = (*_TEXTS, *(f"{suffix}.gz" for suffix in _TEXTS), ".parquet")
_GZIP = b"\x1f\x8b"  # how such a file begins
MAX_CELL = 1 << 27  # characters of one cell of a CSV; the csv module's own limit is 131,072


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
            if not content.startswith(_GZIP):
                raise DataError(
                    f"{path} is not gzipped, as its name says. Rename it to {path.name[: -len('.gz')]}, or "
                    "compress it with gzip."
                )
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as failure:
        reason = getattr(failure, "strerror", None) or failure
        cut = " It may be cut short: fetch or compress it again." if name.endswith(".gz") else ""
        raise DataError(f"{path} could not be read: {reason}.{cut}") from failure
    content = content.removeprefix(b"\xef\xbb\xbf")
    ending = Path(name.removesuffix(".gz")).suffix
    if ending in (".csv", ".tsv"):
        yield from _read_cells(path, content, "\t" if ending == ".tsv" else "")
    elif ending == ".json" and content.lstrip()[:1] == b"[":
        yield from _read_array(_parse(content, str(path)), str(path))
    elif ending == ".json" and _is_one_object(content):
        yield from _read_object(path, _parse(content, str(path)))
    else:
        yield from _read_lines(path, content)


def _read_lines(path: Path, content: bytes) -> Iterator[Row]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield Row(_check_object(_parse(line, where), where), where)


def _read_array(values: list[Any], label: str) -> Iterator[Row]:
    for index, value in enumerate(values):
        where = f"{label}, row {index}"
        yield Row(_check_object(value, where), where)


def _is_one_object(content: bytes) -> bool:
    """Whether a .json file that begins with an object is that object alone, not one to a line: its first line
    is no whole object, or there is no second one."""
    first, _, rest = content.strip().partition(b"\n")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return not first.rstrip().endswith(b"}")
    return not rest.strip() and b"[" in first


def _read_object(path: Path, value: dict[str, Any]) -> Iterator[Row]:
    """The rows of a table in an object: those under its only key with a list of objects, or itself."""
    lists = {
        key: rows
        for key, rows in value.items()
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)
    }
    if len(lists) == 1 and not lists.keys() & {"messages", "conversations", "prompt"}:
        ((key, rows),) = lists.items()
        return _read_array(rows, f"{path}, {key}")
    return iter([Row(value, f"{path}, row 0")])


def _read_cells(path: Path, content: bytes, delimiter: str) -> Iterator[Row]:
    """The rows below the header of a CSV. delimiter: "" finds out whether it is a comma, a semicolon or a
    tabulator by the header."""
    text = _decode(content, str(path))
    header = text.lstrip().partition("\n")[0]
    delimiter = delimiter or max(",;\t", key=header.count)
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    start = 1
    try:
        for cells in reader:
            where, start = f"{path}, line {start}", reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = _check_header([cell.strip() for cell in cells], where)
                continue
            if len(cells) > len(names):
                raise DataError(
                    f"{where}: {len(cells)} cells under {len(names)} columns. Put a cell that holds a "
                    f"{'tabulator' if delimiter == chr(9) else repr(delimiter)} between quotation marks."
                )
            padded = [*cells, *[""] * (len(names) - len(cells))]
            yield Row({name: cell or None for name, cell in zip(names, padded, strict=True)}, where)
    except csv.Error as failure:
        raise DataError(
            f"{path}, line {start}: not valid CSV ({failure}). A quotation mark inside a quoted cell is "
            "written twice."
        ) from failure


def _check_header(names: list[str], where: str) -> list[str]:
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{where}: two columns are called {twice!r}. Give each a name of its own.")
    return names


def _decode(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as failure:
        raise DataError(
            f"{where}: not UTF-8 ({failure.reason} at byte {failure.start}). Save it as UTF-8."
        ) from failure


def _parse(text: bytes, where: str) -> Any:
    decoded = _decode(text, where)
    try:
        return json.loads(decoded)
    except json.JSONDecodeError as failure:
        inner = f", line {failure.lineno}" if failure.lineno > 1 else ""
        raise DataError(
            f"{where}{inner}: not valid JSON ({failure.msg} at column {failure.colno}). Fix the line or "
            "take it out."
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
