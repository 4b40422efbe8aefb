"""Answers that generated tasks read: a number as people and models write it, several, or named ones.

Nothing is worked out but one fraction bar: `3 * 4` is no way to write 12, so a question said again is no
answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ...verifiers import Criterion, Verdict, answer_criterion, parse_rational
from ...verifiers.extract import Source
from ...verifiers.quotations import undress
from ...verifiers.rewrites import rewrite_number
from ...verifiers.types import correct, malformed, no_answer, wrong
from .worked import show_answer

MAX_CHARS = 400  # of an answer, and with it of all work on it
_WRAPS = (("\\boxed{", "}"), ("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"))
_DRESS = re.compile(r"\\(?:text|mathrm|mathbf|operatorname)\{([^{}]*)\}")
_SPACES = re.compile(r"\\[,;! ]|\\left(?![a-z])|\\right(?![a-z])|(?<=[^\s=])~(?=\S)")
_HEDGED = re.compile(
    r"(?i)~|\?|\.\.|[≈≅]|\\approx|\b(?:about|approx\w*|around|roughly|nearly|almost|maybe|perhaps|probably|not)\b"
)
_LATEX_FRACTION = re.compile(
    r"(?a)([+-]?)\s*(?:(\d+)\s*)?\\[dt]?frac\s*(?:\{\s*(-?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))"
)
_MIXED = re.compile(r"(?a)([+-]?)\s*(\d+)(?:\s+|\s+and\s+)(\d+)\s*/\s*(\d+)")
_QUOTIENT = re.compile(r"(?a)([+-]?\s*\d+|\([+-]?\d+\))\s*/\s*(\d+)")
_ENCLOSED = re.compile(r"\(([^()]*)\)")
_BETWEEN = re.compile(r"\s*(?:[,;\n]|\band\b|\bor\b)\s*")


def tidy(answer: str) -> str:
    """An answer without what encloses the whole of it, and with plain signs for minus and space.

    "" for one that takes itself back: a question, "about 5", "~5", "5...".
    """
    text = undress(answer[:MAX_CHARS]).translate({0x2212: "-", 0x2013: "-", 0xA0: " ", 0x202F: " "})
    text = _SPACES.sub(" ", _DRESS.sub(r"\1", text)).strip()
    if _HEDGED.search(text):
        return ""
    text = text.removesuffix(".").strip()
    for start, end in _WRAPS:
        inner = text[len(start) : -len(end)].strip()
        if text.startswith(start) and text.endswith(end) and inner and start not in inner:
            text = inner
    return text


def read_number(text: str) -> Fraction | None:
    """`-4`, `1,200`, `2.50`, `7/3`, `2 1/3`, `\\frac{7}{3}` as an exact number; None for anything else."""
    text = tidy(text)
    if enclosed := _ENCLOSED.fullmatch(text):
        text = enclosed[1].strip()
    plain = parse_rational(re.sub(r"^([+-])\s+", r"\1", text))
    if plain is not None:
        return plain
    if match := _LATEX_FRACTION.fullmatch(text):
        sign, whole = match[1], int(match[2] or 0)
        above, below = int(match[3] or match[4]), int(match[5] or match[6])
        if below == 0 or (whole and above < 0):
            return None
    elif match := _MIXED.fullmatch(text):
        sign, whole, above, below = match[1], int(match[2]), int(match[3]), int(match[4])
    elif match := _QUOTIENT.fullmatch(text):
        sign, whole, above, below = "", 0, int(match[1].strip("()").replace(" ", "")), int(match[2])
    else:
        return None
    if below == 0:
        return None
    value = whole + Fraction(above, below)
    return -value if sign == "-" else value


def strip_words(text: str, before: Sequence[str], after: Sequence[str]) -> str:
    """A tidy answer without a name and a sign of equality before it, and without a unit behind it.

    before: names, of which one may stand before `=`, `:` or "is"; a currency's sign needs none of them.
    after: units, of which one may stand behind the number.
    """
    text = tidy(text)
    for name in before:
        if text.lower().startswith(name.lower()):
            rest = text[len(name) :].lstrip()
            equals = next((sign for sign in ("=", ":", "is ") if rest.startswith(sign)), None)
            if equals is not None or not name[-1].isalnum():
                text = rest.removeprefix(equals or "").strip()
                break
    for unit in sorted(after, key=len, reverse=True):
        if text.lower().endswith(unit.lower()):
            return text[: len(text) - len(unit)].strip()
    return text


def bounded(
    name: str,
    judge: Callable[[Any, str], Verdict],
    rewrite: Callable[[str], Iterable[str]] | None = None,
    *,
    sources: tuple[Source, ...] = ("tag", "boxed"),
    several: bool = False,
) -> Criterion:
    """An answer of at most MAX_CHARS characters, which `judge(reference, answer)` decides on.

    rewrite: other texts of an answer that mean the same and are read, for `palaestra task check`.
    several: whether a problem may have several right answers.
    """

    def check(reference: Any, answer: str) -> Verdict:
        if len(answer) > MAX_CHARS:
            return malformed(reason=f"The answer is longer than {MAX_CHARS} characters.")
        return judge(reference, answer)

    return answer_criterion(
        name, check, sources=sources, render=show_answer, rewrite=rewrite, several=several
    )


def judge_number(reference: Any, answer: str, whole: bool = False) -> Verdict:
    """Whether an answer of at most MAX_CHARS characters is the reference number, exactly, in any form that
    `read_number` knows.

    The reference is a text, or {"answer": text, "before": names, "after": units} (both optional): what may
    stand around the number as well.
    whole: whether the number has to be written without a fraction bar, so that `396/11` is no way to say 36;
        "whole" in the reference counts before it.
    """
    said = reference if isinstance(reference, Mapping) else {"answer": reference}
    expected = read_number(str(said["answer"]))
    if expected is None:
        raise ValueError(f"The reference {said['answer']!r} is not a number.")
    text = strip_words(answer, said.get("before", ()), said.get("after", ()))
    value = read_number(text)
    if value is None:
        return no_answer(f"{answer[:80]!r} is not a number.")
    if said.get("whole", whole) and ("/" in text or "frac" in text):
        return malformed(answer, "An integer is asked for, and this is still a quotient.")
    return correct(answer) if value == expected else wrong(answer, f"{value} is not {expected}.")


def written_number(name: str = "number", *, whole: bool = False) -> Criterion:
    """The answer is the reference number, as `judge_number` has it."""

    def judge(reference: Any, answer: str) -> Verdict:
        return judge_number(reference, answer, whole)

    return bounded(name, judge, rewrite_written, sources=("tag", "boxed", "hash"))


def rewrite_written(answer: str) -> Iterator[str]:
    """A number with another sign, zeros, separators; in bold, between dollars.

    An integer is not written as a quotient: where one is asked for, that is still to be divided.
    """
    value = parse_rational(answer)
    if value is None:
        return
    yield from (text for text in rewrite_number(answer) if value.denominator > 1 or "/" not in text)
    yield f"**{answer}**"
    yield f"${answer}$"


def read_numbers(text: str, letter: str = "x") -> tuple[Fraction, ...] | None:
    """`3, -1/2`, `x = 3 or x = -1/2`, `x_1 = 3, x_2 = -1/2`, `{3, -1/2}` as numbers in their order.

    None for anything else. A comma separates numbers, never thousands.
    """
    text = _unbrace(tidy(text))
    values = []
    for part in _BETWEEN.split(text):
        bare = re.sub(rf"^{re.escape(letter)}(?:_?\{{?\d\}}?)?\s*=\s*", "", tidy(part))
        value = read_number(bare) if part else None
        if value is None:
            return None
        values.append(value)
    return tuple(values)


def read_assignments(text: str, names: Sequence[str]) -> dict[str, Fraction] | None:
    """`x = 3, y = -1`, `(3, -1)`, `3, -1`, `(x, y) = (3, -1)`: one number for each name.

    Bare numbers are in the order of `names`. None for anything else, and where a name is missing, unknown or
    there twice. A comma separates numbers, never thousands.
    """
    listed = r"\s*,\s*".join(map(re.escape, names))
    text = _unbrace(re.sub(rf"^\(\s*{listed}\s*\)\s*=\s*", "", tidy(text)))
    found: dict[str, Fraction] = {}
    parts = [tidy(part) for part in _BETWEEN.split(text)]
    if len(parts) != len(names):
        return None
    named = "=" in text
    for place, part in zip(names, parts, strict=True):
        name, equals, number = part.partition("=") if named else (place, "=", part)
        value = read_number(number)
        if not equals or value is None or name.strip() not in names or name.strip() in found:
            return None
        found[name.strip()] = value
    return found


def reverse_list(answer: str) -> Iterator[str]:
    """What is separated by commas, from back to front: for lists whose order is free."""
    yield ", ".join(reversed(answer.split(", ")))


def _unbrace(text: str) -> str:
    for start, end in (("\\{", "\\}"), ("(", ")"), ("[", "]"), ("{", "}")):
        if text.startswith(start) and text.endswith(end):
            return text[len(start) : -len(end)].strip()
    return text
