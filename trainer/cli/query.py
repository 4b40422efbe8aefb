"""`palaestra query RUN "select ..."`"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...tasks.core.errors import UserError, shorten
from ..config.arguments import SentenceParser
from ..terminal import say

if TYPE_CHECKING:
    from ..storage.query import Found

WIDEST = 60  # characters of a cell of the table
FORMATS = ("table", "jsonl", "csv")


def main(argv: list[str]) -> int:
    """Print or write what a query gives; without one, which tables there are."""
    options = _make_parser().parse_args(argv)
    if options.limit < 0:
        raise UserError(f"--limit {options.limit}: give a whole number, 0 or more.")
    if options.out is not None and options.out.exists():
        raise UserError(f"--out {options.out} is there already. Give another name, or remove it.")
    from ..storage.query import list_tables, open_query

    if not options.sql:
        for shape in list_tables(options.folder):
            say(f"{shape.name:<12} {shape.rows:>12,} rows   {', '.join(shape.columns)}")
        return 0
    with open_query(options.folder, options.sql) as found:
        kind = options.format or ("jsonl" if options.out is not None else "table")
        if options.out is not None:
            say(f"{_write_file(found, kind, options.out, options.limit):,} rows: {options.out}")
        elif kind == "table":
            _print_table(found, options.limit)
        else:
            for line in _write_lines(found, kind, options.limit):
                sys.stdout.write(line)
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = SentenceParser(
        prog="palaestra query",
        usage='palaestra query RUN ["select ..."] [options]',
        description="Ask a run or an evaluation by SQL (SQLite's): its completions, verdicts and curves. "
        "Only reads. Without a query it lists the tables.",
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of a run, or of an evaluation")
    parser.add_argument("sql", nargs="?", default="", metavar="SQL", help="one SELECT (default: none)")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="table cuts long cells; jsonl and csv are whole (default: table, with --out jsonl)",
    )
    parser.add_argument(
        "--limit", type=int, default=0, help="rows at most; 0: 50 of a table, all otherwise (default: 0)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="a new file for the rows (default: none)")
    return parser


def _write_lines(found: Found, kind: str, limit: int) -> Iterator[str]:
    """The rows as lines of JSON or CSV. limit: 0 for all."""
    rows = islice(found.rows, limit or None)
    if kind == "csv":
        yield _write_csv(found.columns)
        yield from map(_write_csv, rows)
        return
    for row in rows:
        values = dict(zip(found.columns, map(_make_plain, row), strict=True))
        yield json.dumps(values, ensure_ascii=False) + "\n"


def _write_csv(values: Any) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()


def _make_plain(value: Any) -> Any:
    """What JSON has: bytes as hexadecimal digits, None for an infinite number."""
    if isinstance(value, bytes):
        return value.hex()
    return None if isinstance(value, float) and value in (float("inf"), float("-inf")) else value


def _write_file(found: Found, kind: str, path: Path, limit: int) -> int:
    """The file is there whole or not at all; how many rows it has."""
    if kind == "table":
        raise UserError("--format table is for the terminal. Give jsonl or csv with --out.")
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    count = -1 if kind == "csv" else 0  # its first line names the columns
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            for line in _write_lines(found, kind, limit):
                file.write(line)
                count += 1
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _print_table(found: Found, limit: int) -> None:
    most = limit or 50
    rows = [[_write_cell(value) for value in row] for row in islice(found.rows, most)]
    more = next(found.rows, None) is not None
    cells = [list(found.columns), *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    said = f"the first {len(rows):,} rows; --limit shows more" if more else f"{len(rows):,} rows"
    say(f"({said})")


def _write_cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return shorten(" ".join(str(value).split()), WIDEST) if value is not None else ""
