"""The typed values that an answer can be. Plain immutable data:
no value holds text that would ever be evaluated."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, TypeGuard


@dataclass(frozen=True, slots=True)
class Num:
    value: Fraction


@dataclass(frozen=True, slots=True)
class Sym:
    """A variable. Case counts; a subscript is part of the name (`x_1`)."""

    name: str


@dataclass(frozen=True, slots=True)
class Const:
    """pi, e, i, infinity, or degree (pi / 180)."""

    name: str


@dataclass(frozen=True, slots=True)
class Sum:
    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Product:
    factors: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Power:
    base: Expr
    exponent: Expr


@dataclass(frozen=True, slots=True)
class Call:
    """A known function of its arguments; `pm` and `mp` stand for a term with both signs."""

    name: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Apply:
    """An unknown function of its arguments: `I(0)`, `f'(x)`, `P(X = 3)`. Equal
    names and equal arguments are equal values."""

    name: str
    args: tuple[Expr, ...]


Expr = Num | Sym | Const | Sum | Product | Power | Call | Apply


@dataclass(frozen=True, slots=True)
class Unit:
    """scale: how many of the dimension's base units one of these is. dims: (base unit, power), sorted."""

    scale: Fraction
    dims: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """letters: the same text as a product of variables, where the unit is
    written in one or two letters (`2 m g`).

    optional: whether the other side may leave the unit out; not where the unit may well be variables.
    """

    value: Value
    unit: Unit
    letters: Expr | None = field(default=None, compare=False)
    optional: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    """`answers` is a bare list: several answers, without an order."""

    kind: Literal["tuple", "list", "set", "vector", "answers"]
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    low: Expr
    high: Expr
    low_closed: bool
    high_closed: bool


@dataclass(frozen=True, slots=True)
class RealSet:
    """A union of intervals (a point is [a, a]) that were sorted and merged."""

    parts: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A chain as it was written: `operands[k] operators[k] operands[k + 1]`."""

    operands: tuple[Value, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Builder:
    """`{element | condition}` as it was written."""

    element: Value
    condition: Value


@dataclass(frozen=True, slots=True)
class Joined:
    """Clauses that `and`, `or` or commas join, as they were written."""

    word: Literal["and", "or", ","]
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """`x = value`, `x in value`, or `f(x) = value` with its parameters."""

    name: str
    value: Value
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class System:
    """Names with their values, sorted by name. written: the names as they were written."""

    entries: tuple[tuple[str, Value], ...]
    written: tuple[str, ...] = field(default=(), compare=False)

    @staticmethod
    def of(entries: Iterable[tuple[str, Value]]) -> System:
        named = tuple(entries)
        return System(tuple(sorted(named, key=lambda entry: entry[0])), tuple(name for name, _ in named))

    def in_order(self) -> tuple[Value, ...]:
        """The values as a tuple has them: coordinates by their letters, others as they were written."""
        values = dict(self.entries)
        by_letter = not self.written or len(values) < len(self.entries) or set("xyz") >= values.keys()
        return (
            tuple(value for _, value in self.entries)
            if by_letter
            else tuple(values[name] for name in self.written)
        )


@dataclass(frozen=True, slots=True)
class Family:
    """A value for every value of a parameter, whose name in it (`integer 1`) says from which set."""

    value: Value


@dataclass(frozen=True, slots=True)
class Zero:
    """`expression operator 0`, where operator is `=`, `>`, `>=` or `!=`: an
    equation or inequality that isn't solved.

    stated: the right side of `m + n = 16`, which names what was asked for; None for an equation in x, y or z.
    """

    expression: Expr
    operator: str
    stated: Expr | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Congruence:
    value: Expr
    modulus: Expr
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Residues:
    """Integers by their remainders: sorted, each from 0 to modulus - 1."""

    modulus: int
    remainders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Where a piece holds: a set of numbers, and the remainders of those where it is one of integers."""

    held: RealSet
    residues: Residues | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """condition: None is `otherwise`; what is no set of numbers stays a relation or text."""

    value: Value
    condition: Condition | Value | None


@dataclass(frozen=True, slots=True)
class Piecewise:
    """Values by conditions on the variable `name` (empty where no condition says it).

    whole: the variable is an integer. least: the least one, where its domain says so.
    """

    name: str
    pieces: tuple[Piece, ...]
    whole: bool = False
    least: int | None = None


@dataclass(frozen=True, slots=True)
class Ratio:
    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice's letter, upper case. beside: what stands behind it (`(A) 42`),
    which two choices that say it must share.

    colon: whether a colon joins them (`A: 42`), as it does a name and its value,
        so that the value alone is not the choice.
    """

    letter: str
    beside: Value | None = None
    colon: bool = False


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds after midnight."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Date:
    year: int | None
    month: int
    day: int


@dataclass(frozen=True, slots=True)
class Words:
    """Text as the stream of its tokens, without styling and closing punctuation; prose is in lower case,
    letters of mathematics keep theirs (`stream`)."""

    text: str


Value = (
    Num
    | Sym
    | Const
    | Sum
    | Product
    | Power
    | Call
    | Apply
    | Quantity
    | Sequence
    | Interval
    | RealSet
    | Matrix
    | Relation
    | Builder
    | Joined
    | Named
    | System
    | Family
    | Zero
    | Congruence
    | Condition
    | Piecewise
    | Ratio
    | Choice
    | Clock
    | Date
    | Words
)

EXPRESSIONS = (Num, Sym, Const, Sum, Product, Power, Call, Apply)
INFINITY = Const("infinity")
MINUS_ONE = Num(Fraction(-1))


def are_expressions(values: tuple[Value, ...]) -> TypeGuard[tuple[Expr, ...]]:
    return all(isinstance(value, EXPRESSIONS) for value in values)


class Unreadable(Exception):
    """The text is not mathematics that the reader knows. Never leaves the package."""


_CLOCK24 = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?(?:\s*(?:hours|hrs|h))?")


def clock24(text: str) -> Clock | None:
    """`15:30` as a time of day; only a comparison with a clock time asks for it, else it is a ratio."""
    match = _CLOCK24.fullmatch(text)
    return None if match is None else Clock(3600 * int(match[1]) + 60 * int(match[2]) + int(match[3] or 0))
