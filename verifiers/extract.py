"""Find the one final answer in a completion, by an explicit policy, in time linear in its length.

A policy is a tuple of sources, tried in order; the first that occurs in the completion decides:

- `tag`: `<answer>...</answer>`
- `boxed`: `\\boxed{...}` (or `\\fbox`), by brace matching
- `hash`: what follows `####` on its line (GSM8K's mark)
- `last_number`: the last number in the text; nobody promised an answer there, so no policy has it unless a task asks

What counts:

- Only what follows the last `</think>`; a think block that never ends hides everything.
- Invisible characters (zero-width, soft hyphens, bidirectional marks) are no part of any mark or answer, and full-width
  `＜answer＞` is `<answer>`.
- A mark that is withdrawn right after it ("no wait", "scratch that", "I made a mistake") does not count. When every mark
  is withdrawn there is no answer.
- Marks in quoted lines (`> ...`) and in fenced blocks (``` ... ```) are quotations: they count only where there is no
  mark outside of them.
- The format's placeholder, `<answer>...</answer>` or `\\boxed{}` with nothing but dots inside, is an echo of the prompt.
- Several tags or hash lines with different contents are candidates, and two candidates are wrong. Boxes are also used
  for intermediate results: there the last one counts, unless it stands beside another as an alternative (only words like
  "or", "and", "maybe" between them), which is a hedge and wrong.
- Tags that are nested or never closed, and a last box that is never closed, are malformed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .regexes import compiled
from .types import Verdict, malformed, no_answer, wrong

Source = Literal["tag", "boxed", "hash", "last_number"]
MARKED: tuple[Source, ...] = ("tag", "boxed", "hash")
MAX_CHARS = 1_000_000
WITHDRAWN_WITHIN = 160  # characters after a mark in which a withdrawal is about it

_TAG = r"(?i)<(/?)answer>"
_HASH = r"####[ \t]*([^\n]*)"
_NUMBER = r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?"
_BOX = r"\\(?:boxed|fbox)(?![A-Za-z])"
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u202a\u202b\u202c\u202d\u202e"))
_FOLDED = {**_INVISIBLE, ord("＜"): "<", ord("＞"): ">", ord("＼"): "\\", ord("｛"): "{", ord("｝"): "}", ord("＃"): "#"}
_WITHDRAWAL = (
    r"(?i)\b(?:scratch that|strike that|ignore (?:that|this)|disregard (?:that|this)|never ?mind|i take (?:that|it) back"
    r"|that(?:'s| is| was) (?:wrong|incorrect|not right|a mistake|an error)|this is (?:wrong|incorrect|not right)"
    r"|i (?:made|have made|see) (?:a|an|my) (?:mistake|error)|my mistake|let me (?:recheck|redo|recompute|reconsider|correct)"
    r"|(?:no|oh|hmm|but),? wait|wait,? (?:no|that|i|actually|let)|correction\b|oops|not correct|actually,? no|no,? actually)"
)
_BETWEEN_ALTERNATIVES = (
    r"(?i)[\s$,;:.()\\\[\]*/|&-]*(?:(?:or|and|maybe|perhaps|possibly|alternatively|else|either|also|it|is|could|be|may|might|the"
    r"|answer|quad|qquad|text|if|not|then|another|second|option|possibility)\b[\s$,;:.()\\\[\]*/|&{}-]*){0,12}"
)
_PLACEHOLDER = r"(?i)(?:[.…\s]|\\[lc]?dots)*(?:(?:your |final |the )*answer(?: here)?)?[.…\s]*"


@dataclass(frozen=True, slots=True)
class Extraction:
    """Either `answer` is text and `failure` None, or the other way round. count: marks of the deciding source."""

    answer: str | None
    failure: Verdict | None = None
    count: int = 1


class Mark(NamedTuple):
    """One marked answer: its content, and where the whole mark begins and ends."""

    content: str
    start: int
    end: int


def after_thinking(text: str) -> str | None:
    """The part of `text` that answers: what follows the last `</think>`; None while a think block is still open."""
    _, closed, tail = text.rpartition("</think>")
    if "<think>" in tail:
        return None
    return tail if closed else text


def extract(text: str, policy: tuple[Source, ...] = MARKED) -> Extraction:
    """The final answer of a completion. Never raises; linear in the length of `text`."""
    if len(text) > MAX_CHARS:
        return Extraction(None, malformed(reason=f"The completion is longer than {MAX_CHARS:,} characters."))
    tail = after_thinking(text if text.isascii() else text.translate(_FOLDED))
    if tail is None:
        return Extraction(None, no_answer("The think block never ends."))
    quoted = _quotations(tail) if "```" in tail or ">" in tail else []
    for source in policy:
        found = _FINDERS[source](tail)
        if isinstance(found, Verdict):
            return Extraction(None, found)
        if found:
            return _single(found, source, tail, quoted)
    return Extraction(None, no_answer(f"No answer found; looked for {', '.join(policy)}."))


def _single(found: list[Mark], source: Source, text: str, quoted: list[tuple[int, int]]) -> Extraction:
    count = len(found)
    if source == "last_number":
        return Extraction(found[-1].content, count=count)
    marks = _unquoted(found, quoted)
    if len(marks) > 1:
        marks = [mark for mark in marks if not compiled(_PLACEHOLDER).fullmatch(mark.content)] or marks[-1:]
    standing = [
        mark
        for position, mark in enumerate(marks)
        if not _withdrawn(text, mark, marks[position + 1].start if position + 1 < len(marks) else len(text))
    ]
    if not standing:
        return Extraction(None, no_answer("Every marked answer is withdrawn."))
    contents = list(dict.fromkeys(mark.content.strip() for mark in standing))
    if len(contents) > 1 and (source != "boxed" or _hedged(text, standing)):
        return Extraction(None, wrong(reason=f"{len(contents)} different answers are marked as final."))
    answer = standing[-1].content.strip()
    if not answer or compiled(_PLACEHOLDER).fullmatch(answer):
        return Extraction(None, no_answer("The marked answer is empty."))
    return Extraction(answer, count=count)


def _unquoted(found: list[Mark], quoted: list[tuple[int, int]]) -> list[Mark]:
    """The marks outside of quotations, or all of them where every one is inside."""
    if not quoted:
        return found
    outside, index = [], 0
    for mark in found:
        while index < len(quoted) and quoted[index][1] <= mark.start:
            index += 1
        if index == len(quoted) or mark.start < quoted[index][0]:
            outside.append(mark)
    return outside or found


def _quotations(text: str) -> list[tuple[int, int]]:
    """Spans of fenced blocks and of lines that begin with `>`, in order. A fence that never closes quotes nothing."""
    spans: list[tuple[int, int]] = []
    position, fence = 0, None
    pending: list[tuple[int, int]] = []
    for line in text.splitlines(keepends=True):
        end = position + len(line)
        bare = line.lstrip(" ")
        if bare.startswith("```"):
            if fence is None:
                fence, pending = position, []
            else:
                spans.append((fence, end))
                fence = None
        elif bare.startswith("> "):
            (spans if fence is None else pending).append((position, end))
        position = end
    return spans if fence is None else spans + pending


def _withdrawn(text: str, mark: Mark, until: int) -> bool:
    """Whether the words right after a mark, up to the next one, take it back."""
    return compiled(_WITHDRAWAL).search(text, mark.end, min(until, mark.end + WITHDRAWN_WITHIN)) is not None


def _hedged(text: str, marks: list[Mark]) -> bool:
    """Whether the last mark stands beside a different one as an alternative."""
    last, before = marks[-1], marks[-2]
    if last.content.strip() == before.content.strip() or last.start - before.end > 200:
        return False
    return compiled(_BETWEEN_ALTERNATIVES).fullmatch(text, before.end, last.start) is not None


def _tags(text: str) -> list[Mark] | Verdict:
    """Every answer tag; nesting and unclosed tags are malformed."""
    answers: list[Mark] = []
    opened: re.Match[str] | None = None
    for match in compiled(_TAG).finditer(text):
        closing = bool(match[1])
        if closing != (opened is not None):
            return malformed(reason="Answer tags are nested or don't pair up.")
        if opened is not None:
            answers.append(Mark(text[opened.end() : match.start()], opened.start(), match.end()))
        opened = None if closing else match
    if opened is not None:
        return malformed(reason="An answer tag is never closed.")
    return answers


def _boxes(text: str) -> list[Mark] | Verdict:
    """Every `\\boxed{...}` that is not inside another one. `\\boxed 5` holds the one character, as in LaTeX."""
    answers: list[Mark] = []
    position = 0
    box = compiled(_BOX)
    while (opening := box.search(text, position)) is not None:
        start = opening.end()
        while start < len(text) and text[start] == " ":
            start += 1
        if start < len(text) and text[start].isalnum() and start > opening.end():
            answers.append(Mark(text[start], opening.start(), start + 1))
        if start >= len(text) or text[start] != "{":
            position = start
            continue
        end = matching_brace(text, start)
        if end is None:
            return malformed(reason="A \\boxed{ is never closed.")
        answers.append(Mark(text[start + 1 : end], opening.start(), end + 1))
        position = end + 1
    return answers


def last_boxed(text: str) -> str | None:
    """The content of the last `\\boxed{...}` in a worked solution, or None."""
    found = _boxes(text)
    return found[-1].content.strip() if isinstance(found, list) and found else None


def matching_brace(text: str, start: int) -> int | None:
    """Index of the `}` that closes the `{` at `start`, or None. A backslash escapes the character after it."""
    depth = 0
    position = start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return None


_FINDERS = {
    "tag": _tags,
    "boxed": _boxes,
    "hash": lambda text: [Mark(match[1], match.start(), match.end()) for match in compiled(_HASH).finditer(text)],
    "last_number": lambda text: [Mark(match[0], match.start(), match.end()) for match in compiled(_NUMBER).finditer(text)],
}
