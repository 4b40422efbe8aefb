"""Where a text marks an answer: tags, boxes, `####` lines, numbers.
Each finder reads the text once, from left to right."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from .quotations import Span, find_quotations, in_quotes, within_quotes
from .regexes import compile_once
from .types import Verdict, malformed

_TAG = r"(?i)<(/?)answer>"
# "the <answer> tag" speaks of the tag
_TAG_WORD = r"(?i)[ \t]*(?:tag|block|element|marker|section|field)s?\b"
_HASH = r"(?<!#)####(?!#)[ \t]*([^\n]*)"
_NUMBER = r"[-\u2212]?\d[\d,]*(?:\.\d+)?(?:/\d+)?"
_BOX = r"\\(?:boxed|fbox)(?![A-Za-z])"
_UNBRACED = r" +([^\W_])"
# A box, a run of plain groups or of braces, an escaped character (never the backslash of a box).
_BRACES = rf"({_BOX} *\{{?)|(?:\{{[^{{}}\\]*\}})+|\{{+|\}}+|\\(?!boxed|fbox)(?:(?!\\(?:boxed|fbox))[\s\S])?"
_CONNECTIVES = frozenset(("and", "or", "to", "here"))  # "<answer> and </answer>"
_PLACEHOLDERS = frozenset(
    f"{which}answer{where}"
    for which in ("", "your ", "final ", "the ", "your final ", "the final ")
    for where in ("", " here")
)
_DOTS = " \t\r\n\f\v.…"
MAX_MARKS = 400  # of one kind; a text with more repeats itself without end
CACHED_CHARS = 20_000  # of a text whose tags are kept for the next criterion that asks
MAX_MENTION = 60  # characters; a longer content is an answer


class Mark(NamedTuple):
    """One marked answer: its content, where the whole mark begins and
    ends, whether it stands in a quotation."""

    content: str
    start: int
    end: int
    quoted: bool = False


class _Token(NamedTuple):
    start: int
    end: int
    closes: bool


def is_placeholder(content: str) -> bool:
    """Whether a mark holds what a prompt shows in the answer's place: nothing, dots, "your answer here"."""
    bare = _bare(content)
    return bare is not None and (not bare or bare in _PLACEHOLDERS)


def is_mention(content: str) -> bool:
    """Whether a mark speaks of the form: a placeholder, `<answer> and </answer>`,
    `<answer> tag ... </answer>`."""
    bare = _bare(content)
    if bare is not None and (not bare or bare in _PLACEHOLDERS or bare in _CONNECTIVES):
        return True
    return compile_once(_TAG_WORD).match(content) is not None


def _bare(content: str) -> str | None:
    """A short content without dots and spaces around it, in small letters; None for a longer one."""
    bare = content.strip(_DOTS)
    if len(bare) > MAX_MENTION:
        return None
    if "dots" in bare:
        for dots in ("\\ldots", "\\cdots", "\\dots"):
            bare = bare.replace(dots, "")
        bare = bare.strip(_DOTS)
    return bare.lower()


def find_tags(text: str) -> list[Mark] | Verdict:
    """Every pair of answer tags. Nested tags are malformed, and so is a text whose only tag never closes.

    A tag in quotation marks, a lone one in inline code and one that is
    followed by the word "tag" is a mention.
    """
    # Each criterion of a rubric looks for them, in one text after the other.
    found = _find_tags_cached(text) if len(text) <= CACHED_CHARS else _find_tags(text)
    return found if isinstance(found, Verdict) else list(found)


def _find_tags(text: str) -> tuple[Mark, ...] | Verdict:
    matches = list(islice(compile_once(_TAG).finditer(text), 2 * MAX_MARKS + 1))
    if len(matches) > 2 * MAX_MARKS:
        return _too_many("answer tags")
    matches = [match for match in matches if not in_quotes(text, *match.span())]
    quotations = find_quotations(text, [match.start() for match in matches])
    marks: list[Mark] = []
    opened: dict[Span | None, _Token] = {}  # by the quotation that holds them: a pair lies in one
    for match, quotation in zip(matches, quotations, strict=True):
        token = _Token(*match.span(), bool(match[1]))
        before = opened.get(quotation)
        if token.closes and before is not None:
            start, end = before.start, token.end
            is_quoted = quotation is not None or in_quotes(text, start, end)
            marks.append(Mark(text[before.end : token.start], start, end, is_quoted))
            del opened[quotation]
        elif token.closes:
            if quotation is None and not _spoken_of(text, token):
                return malformed(reason="Answer tags are nested or don't pair up.")
        else:
            if before is not None and quotation is None and not _spoken_of(text, before):
                return malformed(reason="Answer tags are nested or don't pair up.")
            opened[quotation] = token
    unclosed = opened.get(None)
    if not marks and unclosed is not None and not _spoken_of(text, unclosed):
        return malformed(reason="An answer tag is never closed.")
    return tuple(marks)


_find_tags_cached = lru_cache(maxsize=16)(_find_tags)


def _spoken_of(text: str, token: _Token) -> bool:
    return compile_once(_TAG_WORD).match(text, token.end) is not None


class _OpenBox(NamedTuple):
    start: int
    inside: int
    depth: int


def find_boxes(text: str) -> list[Mark] | Verdict:
    """Every closed `\\boxed{...}` that is in no other one; `\\boxed 5` holds the one character, as in LaTeX.

    A box that never closes hides nothing: those after it count.
    A text whose only boxes never close is malformed.
    """
    marks: list[Mark] = []
    opened: list[_OpenBox] = []
    depth = 0
    for match in compile_once(_BRACES).finditer(text, max(0, text.find("\\"))):
        start, end = match.span()
        if match[1] is not None:
            if text[end - 1] == "{":
                opened.append(_OpenBox(start, end, depth))
                depth += 1
            elif unbraced := compile_once(_UNBRACED).match(text, end - (text[end - 1] == " ")):
                marks.append(Mark(unbraced[1], start, unbraced.end()))
            if len(marks) + len(opened) > MAX_MARKS:
                return _too_many("boxes")
        elif text[start] == "{":
            depth += (end - start) * (text[end - 1] == "{")  # a run of groups, `{a}{b}`, changes nothing
        elif text[start] == "}":
            before, depth = depth, max(0, depth - (end - start))
            # One run may close several boxes; the outermost is the mark, and what it holds is none.
            while opened and opened[-1].depth >= depth:
                box = opened.pop()
                close = start + before - box.depth - 1
                while marks and marks[-1].start > box.start:
                    marks.pop()
                marks.append(Mark(text[box.inside : close], box.start, close + 1))
    if opened and not marks:
        return malformed(reason="A \\boxed{ is never closed.")
    return _with_quotes(text, marks)


def _too_many(what: str) -> Verdict:
    return malformed(reason=f"There are more than {MAX_MARKS:,} {what}.")


def _with_quotes(text: str, marks: list[Mark]) -> list[Mark]:
    quotations = find_quotations(text, [mark.start for mark in marks])
    return [
        mark._replace(quoted=quotation is not None or in_quotes(text, mark.start, mark.end))
        for mark, quotation in zip(marks, quotations, strict=True)
    ]


def find_hashes(text: str) -> list[Mark] | Verdict:
    """What follows `####` on its line, GSM8K's mark."""
    matches = islice(compile_once(_HASH).finditer(text), MAX_MARKS + 1)
    marks, spoken_of = [], []
    for match in matches:
        content = within_quotes(text, match.start(), match[1])
        if content is None:
            marks.append(Mark(match[1], match.start(), match.end()))
        elif content:  # '####' in quotation marks speaks of the mark
            spoken_of.append(Mark(content, match.start(), match.end(), quoted=True))
    if len(marks) + len(spoken_of) > MAX_MARKS:
        return _too_many("lines with ####")
    with_digits = [mark for mark in marks if any(map(str.isdigit, mark.content))]
    if with_digits and with_digits[-1] is marks[-1]:
        marks = with_digits  # the others are headings of the worked solution
    return sorted((*_with_quotes(text, marks), *spoken_of), key=lambda mark: mark.start)


def find_last_number(text: str) -> list[Mark]:
    """The last number of the text alone."""
    return [Mark(match[0], *match.span()) for match in deque(compile_once(_NUMBER).finditer(text), maxlen=1)]
