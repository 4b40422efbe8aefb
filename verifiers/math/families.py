"""Answers for every value of a parameter: `\\frac{\\pi}{4} + k\\pi, k \\in \\mathbb{Z}`. Its letter doesn't count."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from .exact import constant
from .numeric import approximate
from .values import (
    EXPRESSIONS,
    Expr,
    Family,
    Interval,
    Matrix,
    Named,
    Num,
    Power,
    Product,
    Quantity,
    RealSet,
    Sequence,
    Sum,
    Sym,
    System,
    Value,
    Words,
    children,
    negative,
    rebuild,
    symbols,
)

INTEGER = Sym("integer 1")
_SETS = {"Z": "integer", "R": "real", "N": "natural", "Q": "rational", "C": "complex"}
_KINDS = {f"set of {kind}s": kind for kind in _SETS.values()} | {"set of complexes": "complex"}
_SAID_WITHIN = 100  # characters at the end in which a parameter's set is searched for
_SAID = re.compile(
    r"[,;:]? ?\(?\b(?:where |for |with |and )?(?:(?:all|any|every|some|an|a|each|arbitrary) ){0,3}"
    r"(?:(?P<kind>integer|real)s?(?: numbers?| constants?| values? of)? (?P<name>[A-Za-z])"
    r"|(?P<first>[A-Za-z]) (?:is |are |being )?(?:(?:any|an|a|some|arbitrary) ){0,3}"
    r"(?P<last>integer|real)s?(?: number| constant)?)"
    r" ?\)?$"
)


def with_memberships(text: str) -> str:
    """`..., where k is an integer` as `..., k \\in \\mathbb{Z}`."""
    if "integer" not in text and "real" not in text:
        return text
    head, tail = text[:-_SAID_WITHIN], text[-_SAID_WITHIN:]
    match = _SAID.search(tail)
    if match is None or not head + tail[: match.start()].strip():
        return text
    letter = "Z" if (match["kind"] or match["last"]) == "integer" else "R"
    return f"{head}{tail[: match.start()]}, {match['name'] or match['first']} \\in \\mathbb{{{letter}}}"


def split(items: list[Value]) -> tuple[list[Value], bool]:
    """The items without the memberships of their parameters, which get names of their own; whether there were any."""
    declared = {item.name: kind for item in items if isinstance(item, Named) and (kind := _kind_of(item.value))}
    rest = [item for item in items if not (isinstance(item, Named) and item.name in declared)]
    arguments = {name for item in rest if isinstance(item, Named) for name in item.parameters}
    if declared and declared.keys() <= arguments:  # f(x) = 2x, x in R
        return rest, False
    used = [name for name in declared if any(name in names_in(item) for item in rest)]
    if not used or len(used) < len(declared):
        return items, False
    mapping = {name: Sym(f"{declared[name]} {1 + index}") for index, name in enumerate(used)}
    return [replaced(item, mapping) for item in rest], True


def _kind_of(value: Value) -> str | None:
    match value:
        case Words(text):
            return _KINDS.get(text)
        case Sym(name):
            return _SETS.get(name)
        case RealSet((Interval(low, high, False, False),)) if low == negative(high):
            return "real"
    return None


def adapted(family: Family, other: Value) -> Value:
    """Another value with its parameter named as the family's, where it has one letter that may be it."""
    parameters = sorted(name for name in names_in(family.value) if " " in name)
    own = names_in(family.value)
    letters = [name for name in names_in(other) if name not in own]
    return replaced(other, {letters[0]: Sym(parameters[0])}) if len(parameters) == len(letters) == 1 else other


def names_in(value: Value) -> frozenset[str]:
    """Every variable in a value's expressions; not the names that are given values."""
    if isinstance(value, EXPRESSIONS):
        return symbols(value)
    match value:
        case Named(_, inner, parameters):
            return names_in(inner) - frozenset(parameters)
        case Quantity(inner) | Family(inner):
            return names_in(inner)
    return frozenset().union(*map(names_in, _parts(value)))


def replaced(value: Value, mapping: Mapping[str, Expr]) -> Value:
    """A value with other expressions in the place of variables."""
    if isinstance(value, Sym):
        return mapping.get(value.name, value)
    if isinstance(value, EXPRESSIONS):
        parts = children(value)
        return rebuild(value, tuple(replaced(part, mapping) for part in parts)) if parts else value  # pyrefly: ignore
    again = lambda each: replaced(each, mapping)  # noqa: E731
    match value:
        case Named(name, inner, parameters):
            return Named(name, again(inner), parameters)
        case Quantity(inner, unit, letters):
            return Quantity(again(inner), unit, letters and again(letters))  # pyrefly: ignore
        case Sequence(kind, items):
            return Sequence(kind, tuple(map(again, items)))
        case RealSet(parts):
            return RealSet(tuple(map(again, parts)))  # pyrefly: ignore
        case Interval(low, high, low_closed, high_closed):
            return Interval(again(low), again(high), low_closed, high_closed)  # pyrefly: ignore
        case Matrix(rows):
            return Matrix(tuple(tuple(map(again, row)) for row in rows))
        case System(entries):
            return System(tuple((name, again(inner)) for name, inner in entries))
    return value


def _parts(value: Value) -> tuple[Value, ...]:
    match value:
        case Sequence(_, items):
            return items
        case RealSet(parts):
            return parts
        case Interval(low, high):
            return (low, high)
        case Matrix(rows):
            return sum(rows, ())
        case System(entries):
            return tuple(inner for _, inner in entries)
    return ()


def independent(value: Value) -> bool:
    """Whether each part runs through its own values, so that a shift of the parameter changes nothing: no tuple, no system."""
    match value:
        case Named(_, inner) | Quantity(inner):
            return independent(inner)
        case Sequence("answers" | "set", items):
            return all(map(independent, items))
    return isinstance(value, EXPRESSIONS)


def same_progression(a: Expr, b: Expr, equal: Callable[[Expr, Expr], bool]) -> bool:
    """Whether two linear expressions in an integer run through the same values: `a + bn` and `c - bn` with b | a - c."""
    (start, step), (other, its) = _line(a), _line(b)
    for first, (begin, stride) in ((a, (start, step)), (b, (other, its))):
        if not equal(first, Sum((begin, Product((stride, INTEGER))))):
            return False
    if not equal(step, its) and not equal(step, negative(its)):
        return False
    ratio = Product((Sum((start, negative(other))), Power(step, Num(Fraction(-1)))))
    value = constant(ratio)
    if value is None:
        value = approximate(ratio)
    return value is not None and equal(ratio, Num(Fraction(round(value))))


def _line(expr: Expr) -> tuple[Expr, Expr]:
    at = [replaced(expr, {INTEGER.name: Num(Fraction(value))}) for value in (0, 1)]
    return at[0], Sum((at[1], negative(at[0])))  # pyrefly: ignore
