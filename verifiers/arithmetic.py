"""Arithmetic written by a model, computed exactly and without `eval`: for countdown puzzles and the like.

Integers, `+ - * /` and parentheses. Nothing else is read: no names, no powers, no calls. The work is bounded
by the number of characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .regexes import compile_once

_TOKEN = r"(?a)\s*(?:([0-9]+)|([-+*/()]))"
_PLAIN_TOKEN = r" *(?:([0-9]+)|([-+*/()]))"
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-"})


class NotArithmetic(ValueError):
    """The text is not an expression of the grammar, is too long, or
    divides by zero. The message says which."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """How long an expression may be, and what may stand in it.

    max_chars, max_depth, max_digits: characters of the text,
        parentheses and signs within each other, digits of a number.
    unary: whether a sign may stand before a number or a parenthesis.
    plain: whether the signs are ASCII and the only white space is the blank; else `× · ÷ −` are signs too.
    """

    max_chars: int = 1_000
    max_depth: int = 50
    max_digits: int = 30
    unary: bool = True
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """value: exact.  numbers: the integers written in the expression, from left to right."""

    value: Fraction
    numbers: tuple[int, ...]


def evaluate(text: str, grammar: Grammar = Grammar()) -> Arithmetic:
    """The value of an arithmetic expression, and the numbers it uses. Raises NotArithmetic."""
    if len(text) > grammar.max_chars:
        raise NotArithmetic(f"The expression is longer than {grammar.max_chars} characters.")
    reader = _Reader(_tokens(text, grammar), grammar)
    value = reader.sum(0)
    if reader.peek() is not None:
        raise NotArithmetic(f"The expression should have ended before {reader.peek()!r}.")
    return Arithmetic(value, tuple(reader.numbers))


def _tokens(text: str, grammar: Grammar) -> list[str]:
    pattern = compile_once(_PLAIN_TOKEN if grammar.plain else _TOKEN)
    text = text.rstrip(" ") if grammar.plain else text.translate(_SIGNS).rstrip()
    tokens, position = [], 0
    while position < len(text):
        match = pattern.match(text, position)
        if match is None:
            raise NotArithmetic(f"{text[position:].strip()[:1]!r} is not arithmetic.")
        tokens.append(match[1] or match[2])
        position = match.end()
    return tokens


class _Reader:
    """Recursive descent; the grammar's depth bounds the recursion.

    `sum := product (('+'|'-') product)*`, `product := factor (('*'|'/') factor)*`,
    `factor := digits | '(' sum ')'`, and `('+'|'-') factor` where signs may stand before a number.
    """

    def __init__(self, tokens: list[str], grammar: Grammar) -> None:
        self.tokens = tokens[::-1]
        self.grammar = grammar
        self.numbers: list[int] = []

    def peek(self) -> str | None:
        return self.tokens[-1] if self.tokens else None

    def sum(self, depth: int) -> Fraction:
        value = self.product(depth)
        while self.peek() in ("+", "-"):
            sign = self.tokens.pop()
            other = self.product(depth)
            value = value + other if sign == "+" else value - other
        return value

    def product(self, depth: int) -> Fraction:
        value = self.factor(depth)
        while self.peek() in ("*", "/"):
            sign = self.tokens.pop()
            other = self.factor(depth)
            if sign == "/" and other == 0:
                raise NotArithmetic("The expression divides by zero.")
            value = value * other if sign == "*" else value / other
        return value

    def factor(self, depth: int) -> Fraction:
        if depth > self.grammar.max_depth:
            raise NotArithmetic(f"The expression is nested more than {self.grammar.max_depth} levels deep.")
        token = self.tokens.pop() if self.tokens else None
        if token in ("-", "+") and self.grammar.unary:
            value = self.factor(depth + 1)
            return -value if token == "-" else value
        if token == "(":
            value = self.sum(depth + 1)
            if not self.tokens or self.tokens.pop() != ")":
                raise NotArithmetic("A parenthesis is never closed.")
            return value
        if token is None or not token.isdigit():
            raise NotArithmetic(f"A number is missing before {token or 'the end'!r}.")
        if len(token) > self.grammar.max_digits:
            raise NotArithmetic(f"A number has more than {self.grammar.max_digits} digits.")
        self.numbers.append(int(token))
        return Fraction(int(token))


__all__ = ["Arithmetic", "Grammar", "NotArithmetic", "evaluate"]
