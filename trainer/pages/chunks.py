"""The completions of a page, packed: columns to filter by, and chunks of texts, each gzip in base64.

Base64 holds nothing that HTML could read as anything else, whatever a completion says.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..storage.rows import RENDERED
from .gather import Page
from .rows import Table, Words
from .tokens import TokenPlaces
from .turns import describe_episode

CHUNK = 256  # rows of a chunk: what a browser unpacks to show one of them
LEVEL = 6  # of gzip
LEAST_ROWS = 16  # that a file holds, whatever its budget
SHARED = ("prompt", "reference")  # texts that neighbours have in common


@dataclass(frozen=True)
class Packed:
    """What goes into a page's file.

    rows: numbers of the table's rows that are in it, ascending.  columns, chunks: packed.
    with_tokens: how many of the chunks hold log-probabilities.
    """

    rows: Sequence[int]
    columns: str
    chunks: list[str]
    with_tokens: int

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.columns) + sum(map(len, self.chunks))


class Packer:
    """Makes chunks of a page's rows."""

    def __init__(self, page: Page) -> None:
        self._table = page.table
        self._places = [TokenPlaces(run.folder) for run in page.runs]

    def make_columns(self, rows: Sequence[int]) -> dict[str, Any]:
        """The columns of these rows, and the words of those that are codes."""
        table = self._table
        whole = len(rows) == len(table)
        columns = {
            name: column if whole else [column[row] for row in rows] for name, column in table.columns.items()
        }
        words = {name: words.texts for name, words in table.words.items()}
        return {"count": len(rows), "chunk": CHUNK, "columns": columns, "words": words}

    def make_chunk(self, rows: Sequence[int], *, tokens: bool) -> dict[str, Any]:
        """Texts and verdicts of these rows. tokens: log-probabilities and the places of the tokens, too."""
        shared = Words()
        made = []
        for row, record in zip(rows, self._table.read_records(rows), strict=True):
            run = self._table.files[self._table.file[row]].run
            made.append(self._make_row(record, shared, self._places[run] if tokens else None))
        return {"rows": made, "shared": shared.texts}

    def _make_row(
        self, record: Mapping[str, Any], shared: Words, places: TokenPlaces | None
    ) -> dict[str, Any]:
        if not record:
            return {"text": "", "gone": True}
        row: dict[str, Any] = {"text": record["completion"]}
        for name in SHARED:
            said = record.get(name, "")
            row[name] = shared.code(said if isinstance(said, str) else json.dumps(said, ensure_ascii=False))
        if record.get(RENDERED):  # of the first completion of a group: the prompt of all of them
            row["rendered"] = shared.code(str(record[RENDERED]))
        row["verdicts"] = {
            name: [
                None if verdict.get("answer") is None else shared.code(str(verdict["answer"])),
                shared.code(str(verdict.get("reason", ""))),
            ]
            for name, verdict in record["verdicts"].items()
        }
        if record.get("reasoning"):
            row["reasoning"] = record["reasoning"]
        row.update(describe_episode(record, places))
        logprobs = record.get("logprobs_x100")  # hundredths of a nat
        if places is not None and logprobs and "turns" not in row:
            lengths = places.find(record.get("token_ids", []), record["completion"])
            row["logprobs"] = logprobs
            if lengths is None or not is_by_character(lengths):
                row["lengths"] = lengths  # None: where they lie is not known
        return row


def pack(page: Page, budget: int) -> Packed:
    """What fits into a budget of bytes: all rows and their tokens, else all rows, else every so many steps.

    Tokens are kept of the last steps and the first ones before those between. Of an evaluation's rows every
    so many are kept where not all fit.
    """
    packer, table = Packer(page), page.table
    rows: Sequence[int] = range(len(table))
    bare = make_packed(packer, rows)
    while bare.size > budget and len(rows) > LEAST_ROWS:
        rows = thin_out(table, rows, 0.95 * budget / bare.size)
        bare = make_packed(packer, rows)
    left, chunks, kept = budget - bare.size, list(bare.chunks), 0
    order = sorted(range(len(chunks)), key=lambda place: min(place, 2 * (len(chunks) - 1 - place)))
    for place in order:
        full = compress(packer.make_chunk(rows[place * CHUNK : (place + 1) * CHUNK], tokens=True))
        left -= len(full) - len(chunks[place])
        if left < 0:
            break
        chunks[place] = full
        kept += 1
    return Packed(rows, bare.columns, chunks, kept)


def make_packed(packer: Packer, rows: Sequence[int]) -> Packed:
    """All of these rows, without their tokens."""
    starts = range(0, len(rows), CHUNK)
    chunks = [compress(packer.make_chunk(rows[start : start + CHUNK], tokens=False)) for start in starts]
    return Packed(rows, compress(packer.make_columns(rows)), chunks, 0)


def thin_out(table: Table, rows: Sequence[int], share: float) -> list[int]:
    """About this share of the rows: whole steps, evenly spread, the first and the last among them; where
    there is one step, whole problems."""
    name = "step" if len({table.columns["step"][row] for row in rows}) > 1 else "problem"
    column = table.columns[name]
    values = sorted({column[row] for row in rows})
    count = min(len(values) - 1, max(2, int(len(values) * share)))
    chosen = {values[round(place * (len(values) - 1) / max(1, count - 1))] for place in range(count)}
    return [row for row in rows if column[row] in chosen]


def is_by_character(lengths: Sequence[int]) -> bool:
    """Whether every token is one character, but for those at the end that have none."""
    written = sum(lengths)
    return list(lengths) == [1] * written + [0] * (len(lengths) - written)


def compress(values: Any) -> str:
    """As gzip of JSON in base64; the same bytes for the same values."""
    text = json.dumps(values, separators=(",", ":")).encode("ascii")
    return base64.b64encode(gzip.compress(text, LEVEL, mtime=0)).decode("ascii")
