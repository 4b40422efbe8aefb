"""Answers that are near a right one, and wrong."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fractions import Fraction

from ....verifiers import parse_rational

LETTERS = "ABCDE"
MAX_CHARS = 100  # of a number that is changed as one
MAX_DIGITS = 6  # digits of an expression that are changed, one at a time
_SCIENTIFIC = re.compile(r"(?a)[+-]?\d+(?:\.\d+)?[eE][+-]?\d{1,3}")
_DIGIT = re.compile(r"(?a)\d")
_LEADING = re.compile(r"(?a)(?<![\d.,])\d")  # a decimal's later digits may be within a tolerance
_SEPARATORS = re.compile(r"(, *| +)")


def perturb(answer: str, *, coarse: bool = False) -> Iterator[str]:
    """Texts that don't mean what the answer means, as an editor's slip would make them.

    A number moves by one, changes its sign, its size, a digit; a letter becomes another; of an expression or
    a list one digit changes, an item goes or comes; a word loses or doubles a letter.

    coarse: by more than any tolerance of a reference covers: a number changes its sign and its size alone,
        and of other texts the first digits of numbers change.
    """
    seen = {answer}
    for text in _vary(answer.strip(), coarse):
        if text not in seen:
            seen.add(text)
            yield text


def _vary(answer: str, coarse: bool) -> Iterator[str]:
    value = _read_number(answer)
    if value is not None:
        yield from _vary_size(value) if coarse else _vary_number(answer, value)
    elif len(answer) == 1 and answer.isalpha():
        yield from (letter for letter in LETTERS if letter != answer.upper())
    elif any(character.isdigit() for character in answer):
        yield from _vary_digits(answer, coarse)
        yield from _vary_items(answer)
    elif answer:
        yield from _vary_words(answer)


def _vary_number(answer: str, value: Fraction) -> Iterator[str]:
    plain = answer.replace(",", "")
    others = [value + 1, value - 1, -value, 10 * value, value + Fraction(1, 2), 2 * value, Fraction(0)]
    yield from (_write(each) for each in others if each != value)
    if plain.isdigit():
        if value:
            yield plain + plain
        yield f"{plain}e1" if value else "1e1"
        if len(plain) > 1:
            yield from (text for text in (plain[:-1], plain[1:], plain[::-1]) if Fraction(text) != value)
            if plain[0] != "0":
                yield f"{plain[0]}x{plain[1:]}"


def _vary_size(value: Fraction) -> Iterator[str]:
    yield from (_write(each) for each in (-value, 10 * value, 2 * value) if each != value)


def _write(value: Fraction) -> str:
    """A decimal where it ends soon, else a fraction."""
    if value.denominator == 1:
        return str(value.numerator)
    return str(float(value)) if value.denominator in (2, 4, 5, 10, 20, 100) else str(value)


def _read_number(answer: str) -> Fraction | None:
    if len(answer) > MAX_CHARS:
        return None
    return Fraction(answer) if _SCIENTIFIC.fullmatch(answer) else parse_rational(answer)


def _vary_digits(answer: str, coarse: bool) -> Iterator[str]:
    places = [found.start() for found in (_LEADING if coarse else _DIGIT).finditer(answer)]
    step = max(1, len(places) // MAX_DIGITS)
    for place in places[::step][:MAX_DIGITS]:
        yield f"{answer[:place]}{(int(answer[place]) + 1) % 10}{answer[place + 1 :]}"


def _vary_items(answer: str) -> Iterator[str]:
    """A list without its last item, without its first, with one more."""
    try:
        value = ast.literal_eval(answer)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if isinstance(value, list) and value:
        yield from map(repr, (value[:-1], [*value, 987]))
        return
    if value is not None or not re.fullmatch(r"[-\d., ]+", answer):
        return
    parts = _SEPARATORS.split(answer)
    if len(parts) > 2 and len({*parts[::2]}) == len(parts[::2]):
        yield "".join(parts[:-2])
        yield "".join(parts[2:])
        yield "".join([*parts, parts[1], "987"])


def _vary_words(answer: str) -> Iterator[str]:
    if answer.isalpha() and len(answer) > 2:
        yield answer[:-1]
        yield answer + answer[-1]
        if answer[1:-1] != answer[1:-1][::-1]:
            yield answer[0] + answer[1:-1][::-1] + answer[-1]
    yield f"not {answer}"
