"""Multiple choice: the answer is one of the options, by its letter or by its text."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from ..criterion import Check, Criterion
from ..extract import MARKED, Source, add_lenient, after_thinking, extract
from ..regexes import compile_once
from ..rewrites import rewrite_choice
from ..types import Completion, ProblemLike, Verdict, correct, no_answer, wrong
from .answer import HINTS

MAX_CHARS = 2_000  # of an answer; a longer one names no option
COLUMNS = ("choices", "options", "endings", "alternatives")  # of a row's metadata, the first that is there
LAST_LINE = 300  # characters that the last line of a lenient reading may have

_LEAD = (
    r"(?i)(?:(?:the|my|so|thus|therefore|correct|right|best|final)[ ,]+){0,4}"
    r"(?:answer|option|choice)\b[ \t]*(?:is\b|:|=)?\s*"
)
_MARKED = r"(?s)(?:[(\[{]\s*(\w{1,3})\s*[)\]}]\s*[.:,]?|(\w{1,3})\s*[.):\]]|(\w{1,3})\s+[-–—])\s*(.*)"
_LETTER = r"[*_(\[$\"'`]{0,4}([A-Z])(?![\w'’])"
_PROSE = (
    r"\b(?i:answer|option|choice)[ \t]{0,3}(?i:is|would be|must be|should be|:)?"
    rf"[ \t:]{{0,3}}(?i:option[ \t])?{_LETTER}"
    r"|(?<![\w'’])([A-Z])[*_)\]]{0,3} (?i:is|seems|must be) (?i:the )?(?i:correct|right|best)\b"
    rf"|\b(?i:choose|chose|pick|select)[ \t]{{1,3}}(?i:option[ \t])?{_LETTER}"
)
_WRAPS = (
    ("$", "$"), ("**", "**"), ("__", "__"), ("`", "`"), ('"', '"'), ("'", "'"), ("“", "”"), ("*", "*"),
    ("\\text{", "}"), ("\\textbf{", "}"), ("\\mathrm{", "}"), ("\\mathbf{", "}"), ("\\(", "\\)"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Options:
    """labels: what the options are called, as the prompt shows them.  texts: what they say, as many as
    labels; empty where that is not known."""

    labels: tuple[str, ...]
    texts: tuple[str, ...] = ()


def choice(
    name: str = "choice",
    weight: float = 1.0,
    sources: tuple[Source, ...] = MARKED,
    *,
    options: int | Sequence[str] | str | None = None,
) -> Criterion:
    """The answer is the right option: `B`, `(B)`, `B.`, `Answer: B`, `B. Paris`, or the option's own text.

    The reference is a letter, the option's text, or its place as an integer, counted from 0.
    options: their texts, their number (2 to 26), or the column of the row that holds them. None looks for
        the columns choices, options, endings, alternatives; without one, the letters are A to Z. A column
        holds a list of texts, `{"text": [...], "label": [...]}`, or a mapping of labels to texts.
    An answer that names two options, or one option with another's text, is none.
    Raises ValueError for a number of options that can't be.
    """
    if isinstance(options, int) and not 2 <= options <= 26:
        raise ValueError(f"options={options!r}: a choice has 2 to 26 options.")
    strict, lenient = _make_check(sources, options, False), _make_check(add_lenient(sources), options, True)
    return Criterion(
        name,
        strict,
        weight,
        render=_render,
        instruction=HINTS.get(sources[0], ""),
        lenient=lenient,
        rewrite=rewrite_choice,
    )


def _make_check(sources: tuple[Source, ...], given: int | Sequence[str] | str | None, prose: bool) -> Check:
    def check(completion: Completion, problem: ProblemLike) -> Verdict:
        options = find_options(problem.metadata, given)
        expected = read_reference(problem.reference, options)
        extraction = extract(completion.text, sources)
        found = read_choice(extraction.answer, options) if extraction.answer is not None else None
        if prose and found is None:
            found = _find_in_prose(completion.text, options)
        if found is None and extraction.failure is not None:
            return extraction.failure
        if found is None:
            return no_answer(f"{(extraction.answer or '')[:80]!r} is not one of the options.")
        label = options.labels[found]
        return correct(label) if found == expected else wrong(label, f"Not {options.labels[expected]}.")

    return check


def find_options(metadata: Mapping[str, Any], given: int | Sequence[str] | str | None = None) -> Options:
    """The options of a problem. Raises ValueError where its row has none under the name that was given, or
    has what can't be read as options."""
    if isinstance(given, int):
        return Options(tuple(ascii_uppercase[:given]))
    if given is not None and not isinstance(given, str):
        return _read_options(given)
    names = COLUMNS if given is None else (given,)
    for name in names:
        if metadata.get(name) is not None:
            return _read_options(metadata[name])
    if given is not None:
        raise ValueError(f"The row has no column {given!r} with the options.")
    return Options(tuple(ascii_uppercase))


def _read_options(value: Any) -> Options:
    if isinstance(value, Mapping) and {"text", "label"} <= value.keys():
        labels, texts = value["label"], value["text"]
    elif isinstance(value, Mapping):
        labels, texts = list(value), list(value.values())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        labels, texts = list(ascii_uppercase[: len(value)]), list(value)
        if texts and all(isinstance(each, Mapping) for each in texts):
            labels = [each.get("label", label) for each, label in zip(texts, labels, strict=False)]
            texts = [each.get("text") for each in texts]
    else:
        raise ValueError(f"Options are a list of texts, not {str(value)[:80]!r}.")
    if not 2 <= len(texts) <= 26 or len(labels) != len(texts):
        raise ValueError(f"{len(texts)} options with {len(labels)} labels: a choice has 2 to 26 options.")
    labels = tuple(str(label).strip() for label in labels)
    return Options(labels, _without_labels(labels, [str(text).strip() for text in texts]))


def _without_labels(labels: Sequence[str], texts: Sequence[str]) -> tuple[str, ...]:
    """The texts without the labels that all of them begin with (`A) 21`)."""
    split = [re.match(r"\(?(\w{1,3})[).:]\s*", text) for text in texts]
    if all(match and match[1] == label for match, label in zip(split, labels, strict=True)):
        return tuple(text[match.end() :] for text, match in zip(texts, split, strict=True) if match)
    return tuple(texts)


def read_reference(reference: Any, options: Options) -> int:
    """The place of the right option, from 0. Raises ValueError for what names none."""
    if isinstance(reference, int) and not isinstance(reference, bool):
        if 0 <= reference < len(options.labels):
            return reference
    elif isinstance(reference, str):
        found = read_choice(reference, options)
        if found is not None:
            return found
    raise ValueError(
        f"The reference {reference!r} names none of the options {', '.join(options.labels)}; give a letter, "
        "the option's text, or its place as an integer, counted from 0."
    )


def read_choice(answer: str, options: Options) -> int | None:
    """The place of the option that an answer names, from 0; None where it names none, or more than one."""
    if len(answer) > MAX_CHARS:
        return None
    text = _undress(answer)
    for _ in range(2):
        by_label = _find_label(text, options)
        if by_label is not None:
            return by_label
        by_text = _find_text(text, options)
        if by_text is not None:
            return by_text
        marked = compile_once(_MARKED).fullmatch(text)
        if marked is not None:
            named = _find_label(marked[1] or marked[2] or marked[3], options)
            if named is not None:
                return named if _belongs(marked[4], named, options) else None
        lead = compile_once(_LEAD).match(text)
        if lead is None or lead.end() == len(text):
            return None
        text = _undress(text[lead.end() :])
    return None


def _find_label(text: str, options: Options) -> int | None:
    exact = [place for place, label in enumerate(options.labels) if label == text]
    alike = exact or [place for place, label in enumerate(options.labels) if label.lower() == text.lower()]
    return alike[0] if len(alike) == 1 else None


def _find_text(text: str, options: Options) -> int | None:
    wanted = _fold(text)
    alike = [place for place, option in enumerate(options.texts) if _fold(option) == wanted]
    return alike[0] if len(alike) == 1 and wanted else None


def _belongs(rest: str, named: int, options: Options) -> bool:
    """Whether what follows a label is its own option's text, or nothing; where the texts are not known, a
    text that names no other label."""
    if not rest.strip():
        return True
    if options.texts:
        return _fold(rest) == _fold(options.texts[named])
    others = "".join(label for label in options.labels if len(label) == 1 and label != options.labels[named])
    return re.search(rf"(?<![\w'’])[{re.escape(others)}](?![\w'’])", rest) is None


def _fold(text: str) -> str:
    return " ".join(_undress(text).casefold().split())


def _undress(text: str) -> str:
    """The text without white space, a full stop at its end, and emphasis or LaTeX around the whole of it."""
    before = None
    for _ in range(8):
        if text == before:
            break
        before = text
        text = text.strip()
        text = text[:-1].rstrip() if text.endswith((".", ",", ";")) else text
        for left, right in _WRAPS:
            inner = text[len(left) : len(text) - len(right)]
            if (
                text.startswith(left)
                and text.endswith(right)
                and inner
                and left not in inner
                and right not in inner
            ):
                text = inner
        if text[:1] == "(" and text[-1:] == ")" and ")" not in text[1:-1]:
            text = text[1:-1]
    return text


def _find_in_prose(text: str, options: Options) -> int | None:
    """The option that plain words name last, for evaluations alone."""
    tail = after_thinking(text)
    if tail is None:
        return None
    whole = read_choice(tail, options) if len(tail) <= MAX_CHARS else None
    if whole is not None:
        return whole
    named = deque(compile_once(_PROSE).finditer(tail), maxlen=1)
    if named:
        found = _find_label(next(group for group in named[0].groups() if group), options)
        if found is not None:
            return found
    last = tail.rstrip()[-LAST_LINE:].rpartition("\n")[2]
    return read_choice(last, options)


def _render(reference: Any) -> str:
    is_place = isinstance(reference, int) and not isinstance(reference, bool) and 0 <= reference < 26
    return f"<answer>{ascii_uppercase[reference] if is_place else reference}</answer>"
