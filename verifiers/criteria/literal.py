"""A Python literal as the answer: what a program prints or returns, predicted."""

from __future__ import annotations

import ast
import warnings
from typing import Any

from ...sandbox import same_value
from ...sandbox.syntax import parse
from ..criterion import Criterion
from ..extract import MARKED, Source
from ..rewrites import rewrite_literal
from ..types import Verdict, correct, no_answer, wrong
from .answer import answer_criterion

MAX_CHARS = 20_000
MAX_NESTING = 50
MAX_SIGNS = 9  # in a row: the parser goes a level deeper for each
_SOURCE = "<an answer>"

# What the parser has to say about odd numbers in an answer is nothing for the terminal.
warnings.filterwarnings("ignore", category=SyntaxWarning, module=_SOURCE)


class NoLiteral(ValueError):
    """The text is no Python literal, or a needlessly long or deep one."""


def parse_literal(text: str) -> Any:
    """The value of a Python literal: numbers, text, bytes, booleans, None, and containers of them.

    Nothing is evaluated: names, calls and operators are refused. Raises NoLiteral.
    """
    if len(text) > MAX_CHARS:
        raise NoLiteral(f"It is longer than {MAX_CHARS:,} characters.")
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_NESTING:
            raise NoLiteral(f"It is nested more than {MAX_NESTING} levels deep.")
    signs = 0
    for character in text:
        signs = signs + 1 if character in "+-~" else signs if character.isspace() else 0
        if signs > MAX_SIGNS and "'" not in text and '"' not in text:
            raise NoLiteral("It is no literal.")
    try:
        return ast.literal_eval(parse(text.strip(), _SOURCE, "eval"))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as failure:
        raise NoLiteral("It is no literal.") from failure


def literal(name: str = "literal", weight: float = 1.0, sources: tuple[Source, ...] = MARKED) -> Criterion:
    """The answer is a Python literal with the value of the reference, itself the source of a literal.

    Types count as well: `1` is not `True` nor `1.0`, and a list is not a tuple.
    """

    def equal(reference: Any, answer: str) -> Verdict:
        expected = parse_literal(reference)
        try:
            value = parse_literal(answer)
        except NoLiteral as failure:
            return no_answer(f"{answer[:80]!r} is not a Python literal. {failure}")
        return correct(answer) if same_value(expected, value) else wrong(answer, f"Not {reference[:80]}.")

    return answer_criterion(name, equal, weight=weight, sources=sources, rewrite=rewrite_literal)
