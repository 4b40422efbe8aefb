"""Finding a text among the completions of a page that a server keeps."""

from __future__ import annotations

from array import array
from bisect import bisect_right

from .rows import Table
from .turns import list_texts

END = "\x00"  # between two texts; one in a completion is left out


class TextIndex:
    """The completions' texts in lower case, one after the other: a search is one pass over them."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._text = bytearray()
        self._starts = array("q")
        self._generation = table.generation

    def take_in(self) -> None:
        """The table's rows that are not in it yet."""
        if self._table.generation != self._generation:  # it was read anew
            self._generation = self._table.generation
            self._text.clear()
            del self._starts[:]
        rows = range(len(self._starts), len(self._table))
        for record in self._table.read_records(rows):
            self._starts.append(len(self._text))
            text = "\n".join(list_texts(record)).lower().replace(END, "") + END
            self._text += text.encode("utf-8", "surrogatepass")

    def find(self, text: str) -> list[int]:
        """Rows whose completion holds the text, whatever the case, ascending."""
        wanted = text.lower().replace(END, "").encode("utf-8", "surrogatepass")
        if not wanted:
            return list(range(len(self._starts)))
        rows, place = [], self._text.find(wanted)
        while place >= 0:
            row = bisect_right(self._starts, place) - 1
            rows.append(row)
            if row + 1 == len(self._starts):
                break
            place = self._text.find(wanted, self._starts[row + 1])
        return rows
