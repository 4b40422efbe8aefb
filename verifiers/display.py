"""Text of a model's, a data set's or an exception's making where a person looks at it: on a terminal, in the
`repr` of an object, in a notebook's HTML. Nothing in it acts: it is text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from re import Match, Pattern, compile
from typing import Any
from unicodedata import category

QUOTED = 60  # characters of a text that a `repr` shows
SHOWN = 2_000  # characters of a text that a notebook shows, and
ROWS = 50  # rows of a table
# Controls but tab and newline, what reorders or hides text or can't be seen (invisible letters, selectors of
# variants, tags, private characters), lone surrogates. The page's text.js has the same.
_ACTING = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb"
    "\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U0010ffff]"
)
# How a completion ends, by `finish_reason`: one of a single turn, an episode.
ENDINGS = {
    "stop": ("the model ended it", "the episode came to its end"),
    "length": ("it was cut at its limit of tokens", "a turn was cut at its limit of tokens"),
    "tokens": ("", "the tokens of the whole episode ran out"),
    "turns": ("", "it had as many turns as it may have"),
    "timeout": ("", "the world took too long to reply, which counts against what was said"),
    "raised": ("", "what was said made the world raise, which counts against it"),
    "unavailable": ("", "the world was unavailable whatever was said, so that the score abstains"),
}
MOST_MARKS = 5  # on one letter: more of them, one over the other, cover the lines above and below


@cache
def _compile_acting() -> Pattern[str]:
    return compile(_ACTING)


def escape_controls(text: str) -> str:
    """The text with every character that acts on a terminal, or can't be seen there, written as an escape:
    `\\x1b` for the one that begins colours."""
    if text.isascii() and text.isprintable():
        return text
    shown = _compile_acting().sub(_escape, text)
    return shown if shown.isascii() else _escape_piles(shown)


def _escape(match: Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def _escape_piles(text: str) -> str:
    """The text with combining marks beyond so many in a row as escapes."""
    marks = "".join(sorted(each for each in set(text) if category(each).startswith("M")))
    return compile(f"(?<=[{marks}]{{{MOST_MARKS}}})[{marks}]").sub(_escape, text) if marks else text


def tell_ending(finish_reason: str, *, episode: bool) -> str:
    """How a completion ended, in a sentence. episode: whether it has turns.

    >>> tell_ending("turns", episode=True)
    'It ended (turns): it had as many turns as it may have.'
    """
    known = ENDINGS.get(finish_reason, ("", ""))[episode]
    reason = escape_controls(" ".join(finish_reason.split())[:QUOTED])
    return f"It ended ({reason}): {known}." if known else f"It ended ({reason})."


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


def write_html_turns(turns: Sequence[Any]) -> str:
    """The turns of an episode (`types.Turn`) as a table: the policy's and the world's in columns of their
    own, those in the middle of a long episode left out."""
    rows, number = [], 0
    for turn in turns:
        if turn.role == "policy":
            number += 1
            earned = "" if turn.reward is None else f", earned {turn.reward:g}"
            rows.append((f"{number}{earned}", turn.text, ""))
        else:
            voice = "" if turn.voice == "user" else f"({turn.voice}) "
            rows.append((number, "", f"{voice}{turn.text}"))
    if len(rows) > ROWS:
        left = [("...", f"{len(rows) - ROWS + 1:,} turns left out", "")]
        rows = [*rows[: ROWS // 2], *left, *rows[1 - ROWS // 2 :]]
    return write_html_table("Turns", ("turn", "policy", "world"), rows)


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
