"""The rows of a text that gives values by conditions: of `cases` or of an array, and in a line of text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# A text without any of these gives no value by conditions.
CASES_MARKS = ("&", " if ", " when ", " for ", " otherwise", "cases}", "{array", "{aligned", "{matrix")
MAX_ROWS = 20
_BEGIN = re.compile(r"\\begin ?\{ ?([dr]?cases|array|aligned|matrix) ?\}(?: ?\{[^{}]{0,12}\})?")
_END = re.compile(r"\\end ?\{ ?([a-z]{1,12}) ?\}")
_NEW_ROW = re.compile(r"\\\\(?: ?\[[^\[\]]{0,8}\])?")
OTHERWISE = re.compile(
    r"[\s,(]*(?:or )?"
    r"(?:otherwise|else|elsewhere|(?:in|for) all other (?:cases|[a-z])|for other [a-z])[\s).,]*",
    re.I,
)
CUT = re.compile(r"[,;]| and |\\land\b|\\wedge\b|[()\[\]{}]")
_WORD = re.compile(r"(?<![A-Za-z\\])(?:[Ii]f|[Ww]hen|[Ff]or|otherwise|else)\b")
_RELATION = r"[<>=]|\\(?:[lgn]eq?|[lg]eqslant|[lgn]t|equiv|in|notin|n?mid)(?![a-z])"
_RIGHT_SIDE = re.compile(rf" ?(?:{_RELATION})")
_SAYS = re.compile(rf"{_RELATION}|\||\b(?:if|when|for|where|even|odd|is)\b")
_SEPARATOR = re.compile(r"[,;]|\. | and |[()\[\]{}]")


@dataclass(frozen=True, slots=True)
class Row:
    """The texts of one row."""

    value: str
    condition: str


@dataclass(frozen=True, slots=True)
class Table:
    """What a text gives by conditions.

    left: what has the value (`f(x)`), or nothing. domain: what is said behind the rows.
    inline: whether they stand in a line of text. aligned: whether an `&` parts value and condition.
    """

    left: str
    rows: tuple[Row, ...]
    domain: str
    inline: bool
    aligned: bool


def find_rows(text: str) -> Table | None:
    """The rows of a text that gives values by conditions; None for any other."""
    if "\\begin" in text:
        begin = _BEGIN.search(text)
        end = _END.search(text, begin.end()) if begin else None
        if (
            begin is None
            or end is None
            or end[1] != begin[1]
            or "\\begin" in (body := text[begin.end() : end.start()])
        ):
            return None
        left, domain = text[: begin.start()].strip(" {\\"), text[end.end() :].strip()
        rows = [_row(row) for row in _NEW_ROW.split(body) if row.strip()]
        inline = False
    else:
        left, equals, right = text.partition("=")
        if not equals or _WORD.search(left) or any(sign in left for sign in "<>|,"):
            left, right = "", text
        rows, domain, inline = _inline(right.strip()), "", True
        left = f"{left}=" if left else ""
    if not 2 <= len(rows) <= MAX_ROWS or (left and not left.rstrip().endswith("=")):
        return None
    kept = tuple(row for row in rows if row is not None and _says(row.condition))
    return Table(left.rstrip(" ="), kept, domain, inline, "&" in text) if len(kept) == len(rows) else None


def _says(condition: str) -> bool:
    """Whether a text may be a condition: no entry of a matrix, and not the
    other side of an aligned equation."""
    return bool(
        OTHERWISE.fullmatch(condition) or (_SAYS.search(condition) and not _RIGHT_SIDE.match(condition))
    )


def _row(row: str) -> Row | None:
    """A row's value and condition: beside an `&`, or behind the last comma or `if` that parts them."""
    value, sign, condition = row.partition("&")
    if sign:
        if not value.strip() or not condition.strip(" &"):
            return None
        return Row(value.strip(" ,;"), condition.replace("&", " ").strip())
    word = _WORD.search(row)
    if word is not None:
        return Row(row[: word.start()].strip(" ,;"), row[word.start() :].strip())
    pieces = list(split_outside(row, CUT))
    return Row(pieces[0], ", ".join(pieces[1:])) if len(pieces) > 1 else _split_bracketed(row.strip(" ,.;"))


def _split_bracketed(row: str) -> Row | None:
    """`2n (n \\ge 2)`: the condition in the last brackets."""
    depth = 0
    for index in range(len(row) - 1, -1, -1) if row.endswith(")") else ():
        depth += (row[index] in ")]}") - (row[index] in "([{")
        if not depth:
            inside = row[index + 1 : -1]
            return Row(row[:index].strip(), inside) if index and _says(inside) else None
    return None


def _inline(text: str) -> list[Row | None]:
    """`v if c, w if d`, `v if c, otherwise w`, `if c, v; if d, w`; empty where one is without the other."""
    pieces = list(split_outside(text, _SEPARATOR))
    if pieces and (first := _WORD.match(pieces[0])) and first[0].lower() not in ("otherwise", "else"):
        return _conditions_first(pieces)
    rows: list[Row | None] = []
    waiting = ""  # a value before its condition
    for piece in pieces:
        word = _WORD.search(piece)
        before, behind = (piece[: word.start()].strip(), piece[word.start() :]) if word else (piece, "")
        last = piece[word.end() :].strip(" ,:") if word and word[0] in ("otherwise", "else") else ""
        if bool(before) == bool(waiting):  # a value without a condition, or a condition without a value
            if waiting or not last:
                return []
            rows.append(Row(last, "otherwise"))
        elif not behind:
            waiting = before
        else:
            rows.append(Row(before or waiting, behind))
            waiting = ""
    return [] if waiting else rows


def _conditions_first(pieces: list[str]) -> list[Row | None]:
    rows: list[Row | None] = []
    index = 0
    while index < len(pieces):
        word = _WORD.match(pieces[index])
        if word is None:
            return []
        value = pieces[index][word.end() :].strip(" ,:")
        if word[0] in ("otherwise", "else") and value:
            rows.append(Row(value, "otherwise"))
            index += 1
            continue
        if index + 1 == len(pieces):
            return []
        rows.append(Row(pieces[index + 1].removeprefix("then "), pieces[index]))
        index += 2
    return rows


def split_outside(text: str, separator: re.Pattern[str]) -> Iterator[str]:
    """What separators outside of brackets part, without what is empty."""
    depth = begin = 0
    for match in separator.finditer(text):
        sign = match[0]
        depth += (sign in "([{") - (sign in ")]}")
        if not depth and sign not in "([{)]}":
            if piece := text[begin : match.start()].strip():
                yield piece
            begin = match.end()
    if piece := text[begin:].strip():
        yield piece


__all__ = ["CASES_MARKS", "CUT", "OTHERWISE", "Row", "Table", "find_rows", "split_outside"]
