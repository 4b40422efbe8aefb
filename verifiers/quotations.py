"""What a text quotes: fenced blocks, quoted lines, inline code. One pass of a scanner each,
linear in the text's length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .regexes import compile_once

# Each alternative is taken by its first characters, and what follows it always matches: nothing is tried
# twice. an item, a fence
_LINE = r"(?m)^([ \t]*)(?:((?:[-*+]|[0-9]{1,9}[.)])[ \t]+)(?:(`{3,}|~{3,})([^\n]*))?|(`{3,}|~{3,})([^\n]*))"
_QUOTED_LINES = r"(?m)^ *> [^\n]*(?:\n *>[^\n]*)*"
_INLINE_CODE = r"`[^`\n]+`"
_PAIRS = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`"}
_FENCES = ("```", "~~~")
MAX_LAYERS = 3
MAX_INFO = 20  # characters beside the opening fence
MAX_BLOCKS = 1_000  # a text with more repeats itself without end; what follows them is not read for blocks
MAX_COLUMNS = 40  # before a fence, with the list items that it stands in
# spaces before a fence, counted from the list item it stands in; more make it an indented block
MAX_INDENT = 3


class Span(NamedTuple):
    """text[start:end]."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. info: what stands beside the opening fence, in small
    letters. content: without the fence's indent."""

    info: str
    content: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Fences:
    """closed: the blocks in order, MAX_BLOCKS at most. open: one that begins after them and never ends, which
    Markdown takes to end with the text; None where there is none."""

    closed: list[Block]
    open: Block | None = None


@dataclass(frozen=True, slots=True)
class _Opening:
    fence: str
    info: str
    start: int
    inside: int
    indent: int


def fenced_blocks(text: str) -> Fences:
    """Markdown's fenced blocks. A fence may stand in a list item; one that
    is indented further is quoted text."""
    if "```" not in text and "~~~" not in text:
        return Fences([])
    closed: list[Block] = []
    opening: _Opening | None = None
    # column at which the content of the list item that we are in begins; how far that is known
    item = read = 0
    for match in compile_once(_LINE).finditer(text):
        space, marker = match[1], match[2]
        fence, info = match[3] or match[5], (match[4] or match[6] or "").strip()
        column = len(space.expandtabs(4)) if "\t" in space else len(space)
        if opening is None:
            if (
                item
                and not marker
                and compile_once(rf"(?m)^ {{0,{item - 1}}}[^\s]").search(text, read, match.start())
            ):
                item = 0  # a line that stands further to the left has ended the list
            read = match.end()
            column += len(marker or "")
            if column > MAX_COLUMNS:
                continue
            if marker:
                item = column
            deep = column > MAX_INDENT and not item <= column <= item + MAX_INDENT
            if not fence or deep or (fence[0] == "`" and "`" in info):
                continue
            opening = _Opening(fence, info.lower(), match.start(), match.end() + 1, column)
        elif fence and not marker and not info and _closes(fence, column, opening):
            closed.append(_end(opening, text, match.start(), match.end()))
            opening, read = None, match.end()
            if len(closed) == MAX_BLOCKS:
                break
    return Fences(closed, _end(opening, text, len(text), len(text)) if opening else None)


def _end(opening: _Opening, text: str, inside: int, end: int) -> Block:
    """The block whose content ends at `inside`."""
    return Block(
        opening.info, _without_indent(text[opening.inside : inside], opening.indent), opening.start, end
    )


def _closes(fence: str, column: int, opening: _Opening) -> bool:
    same = fence[0] == opening.fence[0] and len(fence) >= len(opening.fence)
    return same and column <= opening.indent + MAX_INDENT


def _without_indent(content: str, columns: int) -> str:
    """The lines without the indent that they share with their fence; as they are where one has less."""
    if not columns or compile_once(rf"(?m)^(?![ \t]{{{columns}}})[ \t]*[^\s]").search(content):
        return content
    return compile_once(rf"(?m)^[ \t]{{1,{columns}}}").sub("", content)


def find_quotations(text: str, places: Sequence[int]) -> list[Span | None]:
    """For each of the ascending places in a text the quotation that holds it: a closed fenced block, lines
    that begin with `> `, inline code; None where none does."""
    spans: list[Span | None] = [None] * len(places)
    if places:
        _hold(((block.start, block.end) for block in fenced_blocks(text).closed), places, spans)
        if "> " in text:
            _hold((match.span() for match in compile_once(_QUOTED_LINES).finditer(text)), places, spans)
        if "`" in text:
            _hold((match.span() for match in compile_once(_INLINE_CODE).finditer(text)), places, spans)
    return spans


def _hold(spans: Iterable[tuple[int, int]], places: Sequence[int], held: list[Span | None]) -> None:
    """Put those of the ascending spans that hold a place, and no earlier one does, into `found`."""
    index = 0
    for start, end in spans:
        while places[index] < end:
            if places[index] >= start and held[index] is None:
                held[index] = Span(start, end)
            index += 1
            if index == len(places):
                return


def in_quotes(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] stands between a pair of quotation marks."""
    return start > 0 and end < len(text) and _PAIRS.get(text[start - 1]) == text[end]


def within_quotes(text: str, start: int, content: str) -> str | None:
    """The part of a line's content that stands in a quotation which opens right
    before `start`; None where none does."""
    closing = _PAIRS.get(text[start - 1]) if start else None
    inside, closed, _ = content.partition(closing) if closing else ("", "", "")
    return inside.strip() if closed else None


def undress(answer: str) -> str:
    """An answer without what encloses the whole of it; criteria of exact text never ask for it."""
    answer = answer.strip()
    for _ in range(MAX_LAYERS):
        inner = _inside_fence(answer) if answer.startswith(_FENCES) else _inside_quotes(answer)
        if inner is None:
            break
        answer = inner
    return answer


def _inside_fence(answer: str) -> str | None:
    fence = answer[: len(answer) - len(answer.lstrip(answer[0]))]
    first, _, rest = answer.partition("\n")
    content, _, last = rest.rpartition("\n")
    info = first[len(fence) :].strip()
    closes = last.strip() == fence and content.strip() and fence not in content
    return content.strip() if closes and len(info) <= MAX_INFO and "`" not in info else None


def _inside_quotes(answer: str) -> str | None:
    inner = answer[1:-1]
    if len(answer) < 3 or _PAIRS.get(answer[0]) != answer[-1] or answer[0] in inner or answer[-1] in inner:
        return None
    return inner.strip() or None
