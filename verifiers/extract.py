"""Find the one final answer in a completion, by the sources that are named, in time linear in its length.

Sources are tried in the order in which they are named; the first that occurs in the completion decides:

- `tag`: `<answer>...</answer>`
- `boxed`: `\\boxed{...}` (or `\\fbox`), by brace matching
- `hash`: what follows `####` on its line (GSM8K's mark)
- `last_number`: the last number in the text; nobody promised an answer there,
  so it is named only by a task that asks
- `prose`: "The answer is 42", `**42**`, "Therefore, x = 42"; for evaluating models that were told no form,
  and only where an evaluation asks for it (`prose.py`)

What counts:

- Only what follows the last `</think>`; a think block that never ends hides everything.
- Invisible characters (zero-width, soft hyphens, bidirectional marks) are no part of any mark or answer, and
  full-width `＜answer＞` is `<answer>`.
- Speaking of the form marks nothing: a tag in quotation marks or inline code, "the <answer> tag",
  `<answer>...</answer>` or `\\boxed{}` with nothing but dots inside.
- Marks in quoted lines (`> ...`), fenced blocks (``` ... ```), inline code and quotation marks are
  quotations: they count only where there is no mark outside of them.
- A mark that is taken back right after it ("scratch that", "that is wrong", "I made a mistake") does not
  count, unless it is confirmed after that; checking it takes nothing back (`retraction.py`). When every mark
  is taken back there is no answer.
- Several tags or hash lines with different contents are candidates, and two candidates are wrong. Boxes are
  also used for intermediate results: there the last one counts, unless it stands beside another as an
  alternative (only words like "or", "and", "maybe" between them), which is a hedge and wrong.
- A tag or box that never closes, as in a completion that was cut, hides no closed one before it. Where no
  other is, and where tags are nested, the completion is malformed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .marks import Mark, find_boxes, find_hashes, find_last_number, find_tags, is_mention, is_placeholder
from .regexes import compile_once
from .retraction import is_retracted
from .types import Verdict, malformed, no_answer, wrong

Source = Literal["tag", "boxed", "hash", "last_number", "prose"]
MARKED: tuple[Source, ...] = ("tag", "boxed", "hash")
MAX_CHARS = 1_000_000
ALTERNATIVES_WITHIN = 200  # characters that may stand between two boxes offered side by side

_INVISIBLE = (
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u061c"
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_FOLDED = {
    **dict.fromkeys(_INVISIBLE, ""),
    "＜": "<",
    "＞": ">",
    "＼": "\\",
    "｛": "{",
    "｝": "}",
    "＃": "#",
    "／": "/",
}
_BETWEEN = r"[A-Za-z]+|[^\s$,;:.()\\\[\]*/|&{}-]"
_ALTERNATIVE = (
    r"(?i)or|and|maybe|perhaps|possibly|alternatively|else|either|also|it|is|could|be|may|might|the|answer|quad|qquad|text|if|not"
    r"|then|another|second|option|possibility"
)


@dataclass(frozen=True, slots=True)
class Extraction:
    """Either `answer` is text and `failure` None, or the other way round.

    count: marks of the deciding source, those that only speak of the form left out.
    """

    answer: str | None
    failure: Verdict | None = None
    count: int = 1


def after_thinking(text: str) -> str | None:
    """The part of `text` that answers: what follows the last `</think>`;
    None while a think block is still open."""
    _, closed, tail = text.rpartition("</think>")
    if "<think>" in tail:
        return None
    return tail if closed else text


def add_lenient(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """The sources, then every other mark, then prose."""
    return tuple(dict.fromkeys((*sources, *MARKED, "prose")))


def extract(text: str, sources: tuple[Source, ...] = MARKED) -> Extraction:
    """The final answer of a completion. Never raises; linear in the length of `text`."""
    if len(text) > MAX_CHARS:
        return Extraction(None, malformed(reason=f"The completion is longer than {MAX_CHARS:,} characters."))
    tail = after_thinking(_fold(text))
    if tail is None:
        return Extraction(None, no_answer("The think block never ends."))
    for source in sources:
        marks = _find(source, tail)
        if isinstance(marks, Verdict):
            return Extraction(None, marks)
        if marks:
            return _single(marks, source, tail)
    return Extraction(None, no_answer(f"No answer found; looked for {', '.join(sources)}."))


def _fold(text: str) -> str:
    """The text without invisible characters, and with full-width marks in their usual form."""
    if not text.isascii():
        for character, usual in _FOLDED.items():
            text = text.replace(character, usual)
    return text


def _find(source: Source, text: str) -> list[Mark] | Verdict:
    match source:
        case "tag":
            return find_tags(text)
        case "boxed":
            return find_boxes(text) if "\\boxed" in text or "\\fbox" in text else []
        case "hash":
            return find_hashes(text) if "####" in text else []
        case "last_number":
            return find_last_number(text)
    from .prose import find_prose  # only evaluations that ask for it need it

    return find_prose(text)


def _single(marks: list[Mark], source: Source, text: str) -> Extraction:
    if source == "last_number":
        return Extraction(marks[-1].content)
    if len(marks) > 1:
        marks = [mark for mark in marks if not is_mention(mark.content)] or marks[-1:]
    count = len(marks)
    marks = [mark for mark in marks if not mark.quoted] or marks
    ends = [mark.start for mark in marks[1:]] + [len(text)]
    standing = [
        mark
        for mark, until in zip(marks, ends, strict=True)
        if not is_retracted(text, mark.end, until, mark.content)
    ]
    if not standing:
        return Extraction(None, no_answer("Every marked answer is withdrawn."))
    contents = {mark.content.strip() for mark in standing}
    if len(contents) > 1 and (source != "boxed" or _hedged(text, standing)):
        return Extraction(None, wrong(reason=f"{len(contents)} different answers are marked as final."))
    answer = standing[-1].content.strip()
    if is_placeholder(answer):
        return Extraction(None, no_answer("The marked answer is empty."))
    return Extraction(answer, count=count)


def _hedged(text: str, marks: list[Mark]) -> bool:
    """Whether the last mark stands beside a different one as an alternative."""
    last, before = marks[-1], marks[-2]
    if last.content.strip() == before.content.strip() or last.start - before.end > ALTERNATIVES_WITHIN:
        return False
    between = compile_once(_BETWEEN).findall(text, before.end, last.start)
    return all(compile_once(_ALTERNATIVE).fullmatch(word) for word in between)


def last_boxed(text: str) -> str | None:
    """The content of the last `\\boxed{...}` in a worked solution, or None."""
    boxes = find_boxes(text)
    return boxes[-1].content.strip() if isinstance(boxes, list) and boxes else None
