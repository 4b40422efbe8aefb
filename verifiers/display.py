"""Text of a model's, a data set's or an exception's making where a person looks at it: on a terminal, in the
`repr` of an object, in a notebook's HTML. Nothing in it acts: it is text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from re import Pattern, compile

QUOTED = 60  # characters of a text that a `repr` shows
SHOWN = 2_000  # characters of a text that a notebook shows, and
ROWS = 50  # rows of a table
# Controls but tab and newline, what reorders or hides text, lone surrogates, tags.
_ACTING = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


@cache
def _compile_acting() -> Pattern[str]:
    return compile(_ACTING)


def escape_controls(text: str) -> str:
    """The text with every character that acts on a terminal written as an escape:
    `\\x1b` for the one that begins colours."""
    return _compile_acting().sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def quote(value: object, most: int = QUOTED) -> str:
    """The `repr` of a value on one line, a text cut to `most` characters.

    >>> quote("a" * 100, 10)
    "'aaaaaaaaaa'... (100 characters)"
    """
    if isinstance(value, str):
        if len(value) <= most:
            return repr(value)
        return f"{value[:most]!r}... ({len(value):,} characters)"
    shown = repr(value)
    return shown if len(shown) <= most else f"{shown[:most]}..."


def write_html(text: object, most: int = SHOWN) -> str:
    """A text as HTML that keeps its lines and does nothing: every mark is escaped, every control written out.

    >>> write_html("<script>alert(1)</script>")
    '<span style="white-space: pre-wrap">&lt;script&gt;alert(1)&lt;/script&gt;</span>'
    """
    from html import escape  # with a table of entities that few processes need

    plain = str(text)
    left = f"\n... ({len(plain):,} characters)" if len(plain) > most else ""
    return f'<span style="white-space: pre-wrap">{escape(escape_controls(plain[:most]))}{left}</span>'


def write_html_fields(title: str, fields: Iterable[tuple[str, object]]) -> str:
    """A table of names and values under a title."""
    return write_html_table(title, (), fields)


def write_html_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as HTML, the first ROWS rows of it, every cell a text. columns: their titles; () for none."""
    listed = list(rows)
    head = "".join(f"<th>{write_html(column)}</th>" for column in columns)
    lines = [f"<tr>{head}</tr>"] if columns else []
    for row in listed[:ROWS]:
        cells = "".join(f'<td style="text-align: left">{write_html(cell)}</td>' for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    more = f"<p>{len(listed) - ROWS:,} more</p>" if len(listed) > ROWS else ""
    return f"<div><b>{write_html(title)}</b><table>{''.join(lines)}</table>{more}</div>"
