"""The stages behind plain numbers: normalise, read, compare, ask."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from ..types import Verdict, correct, no_answer, wrong
from .deciding.compare import compare
from .deciding.decide import Decision
from .deciding.exact import constant
from .deciding.symbolic import ask
from .reading.forms import without_bases
from .reading.read import read
from .reading.text import MAX_ANSWER_CHARS, normalise
from .reading.wording import with_planck
from .show import show
from .types import CACHED_CHARS, Judgement, Reference, Tolerance
from .values import EXPRESSIONS, Named, Quantity, Sequence, Value, Words

CACHED_REFERENCES = 8_192
_GROUPING = re.compile(r"(?<=\d)(?:\{,\}|[, ~])(?=\d{3}(?!\d))")


def judge(reference: Reference, answer: str, tolerance: Tolerance) -> Judgement:
    """The verdict and the stage that decided. Never raises on any text."""
    if len(answer) > MAX_ANSWER_CHARS:
        return Judgement(no_answer(f"The answer is longer than {MAX_ANSWER_CHARS:,} characters."), "length")
    text = normalise(answer)
    if not text:
        return Judgement(no_answer("The answer is empty."), "normalise")
    gold = _gold(reference)
    if gold.text is None:
        return Judgement(
            no_answer(f"The reference is longer than {MAX_ANSWER_CHARS:,} characters."), "length"
        )
    value = value_of(text)
    if gold.text == text and isinstance(value, Words):
        return Judgement(correct(answer), "strings")
    if tolerance.significant_figures:
        tolerance = tolerance.at(gold.text, number_in(gold.value))
    decision = compare(gold.value, value, tolerance)
    if (
        tolerance.base_optional
        and not decision.equal
        and (bare := without_bases(gold.text))
        and _digits(bare) == _digits(text)
    ):
        decision = Decision(True, "strings")
    if not decision.equal and ("hbar" in text or "hbar" in gold.text):
        decision = compare(with_planck(gold.value, value), with_planck(value, gold.value), tolerance)
    if decision.open is not None:
        decision = ask(decision)
    return Judgement(_verdict(decision, answer), decision.stage)


def _digits(text: str) -> str:
    """A numeral as it is written, without what groups its digits and a name
    before it; never a value: 1E5 is no 100000."""
    return _GROUPING.sub("", text.rpartition("=")[2]).strip().casefold()


def _verdict(decision: Decision, answer: str) -> Verdict:
    """Never an abstention: what can't be shown equal, for whatever reason, is wrong."""
    return correct(answer) if decision.equal else wrong(answer, decision.reason or "Not shown equal.")


@dataclass(frozen=True, slots=True)
class _Gold:
    text: str | None
    value: Value


@lru_cache(maxsize=CACHED_REFERENCES)
def _gold(reference: Reference) -> _Gold:
    if not isinstance(reference, str):
        parts = [_gold(each).value for each in reference]
        flat = [item for part in parts for item in _answers(part)]
        return _Gold("", flat[0] if len(flat) == 1 else Sequence("answers", tuple(flat)))
    text = normalise(reference)
    return _Gold(text, read(text) if text else Words(""))


def _answers(value: Value) -> tuple[Value, ...]:
    """The answers that a value lists; the value alone where it is one answer."""
    return value.items if isinstance(value, Sequence) and value.kind == "answers" else (value,)


def value_of(text: str) -> Value:
    """The value of a normalised text; those of short texts are kept."""
    return (_read_cached if len(text) <= CACHED_CHARS else read)(text)


@lru_cache(maxsize=CACHED_REFERENCES)
def _read_cached(text: str) -> Value:
    return read(text)


def number_in(value: Value) -> Fraction | None:
    """The rational number that a value is, under its name and beside its unit; None for any other."""
    while isinstance(value, Named | Quantity):
        value = value.value
    return constant(value) if isinstance(value, EXPRESSIONS) else None


def show_text(text: Reference) -> str:
    """That value, as a person reads it."""
    if isinstance(text, str) and len(text) > MAX_ANSWER_CHARS:
        return "(too long)"
    return show(_gold(text).value)
