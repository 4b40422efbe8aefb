"""Values by conditions: rows of texts as pieces with sets, remainders or relations as their conditions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ..deciding import realset
from ..deciding.exact import constant
from ..traversal import negative, substitute, symbols
from ..values import (
    EXPRESSIONS,
    Call,
    Condition,
    Expr,
    Interval,
    Named,
    Num,
    Piece,
    Piecewise,
    Product,
    RealSet,
    Relation,
    Residues,
    Sequence,
    Sum,
    Sym,
    Unreadable,
    Value,
    Words,
    Zero,
)
from .parser import REALS
from .rows import CUT, OTHERWISE, Table, split_outside
from .stream import stream

MAX_MODULUS = 48
_LETTER = r"(?P<name>[A-Za-z])"
_IF = re.compile(
    r"[\s,;:.(]*\b(?:if|for|when|where|whenever|provided that|with|and)\b[\s:,]*(?:all\b)?|[\s,;:(]+", re.I
)
_PARITY = re.compile(
    rf"(?:{_LETTER} ?(?:is |are |= ?)?)?(?:an )?(?P<kind>even|odd)(?: (?:positive |natural )?(?:integers?"
    rf"|numbers?))?"
    r"(?: (?P<last>[A-Za-z]))?"
)
_CONGRUENT = re.compile(
    rf"{_LETTER} ?\\equiv ?(?P<numbers>-?\d{{1,3}}(?:(?: ?, ?| or | ?, or )-?\d{{1,3}})*) ?"
    r"\(? ?\\?[pb]?mod ?\{? ?(?P<modulus>\d{1,3}) ?\}? ?\)?"
)
_DIVIDES = re.compile(rf"(?P<modulus>\d{{1,3}}) ?(?P<bar>\||\\mid|\\nmid|\\not ?\\mid|\\not ?\|) ?{_LETTER}")
_DIVISIBLE = re.compile(rf"{_LETTER} is (?P<no>not )?(?:divisible by|a multiple of) (?P<modulus>\d{{1,3}})")
_MEMBER = re.compile(
    rf"{_LETTER} ?\\in ?(?:\\mathbb ?)?\{{? ?(?P<set>[NZ]) ?\}}? ?"
    r"(?P<positive>[\^_] ?\{? ?(?:\*|\+|\\ast|\\star|>0|\\geq? ?1) ?\}?)?"
    r"|(?P<last>[A-Za-z]) is an? (?P<words>positive )?integer"
)
Read = Callable[[str], Value]


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a condition: on which letter, and what it says."""

    name: str
    condition: Condition | None = None
    whole: bool = False
    least: int | None = None


def piecewise(table: Table, read: Read) -> Piecewise:
    """The typed value of rows. Raises Unreadable where a value, or in a line
    of text a condition, can't be read."""
    domain = _conjunction(table.domain, read) if table.domain else []
    if domain is None:
        raise Unreadable("something behind a list of cases")
    parts = list(domain)
    pieces = []
    for row in table.rows:
        value = read(row.value)
        if isinstance(value, Named) and isinstance(value.value, RealSet) and table.aligned:
            value = value.value  # `x > 1, if a < 0`
        if isinstance(value, Relation | Zero | Named | Words):
            raise Unreadable("cases that are clauses of a system")
        condition = _condition(row.condition, read, parts, domain)
        if table.inline and not isinstance(condition, Condition | None):
            raise Unreadable("a condition that is no set")
        pieces.append(Piece(value, condition))
    said = {part.name for part in parts if part.condition is not None} - {""}
    parts = [part for part in parts if part.name in said or not said]  # k of `n = 2k` is no variable
    names = {part.name for part in parts} - {""}
    if len(names) > 1:
        raise Unreadable("conditions on several letters")
    if sum(piece.condition is None for piece in pieces) > 1:
        raise Unreadable("two rows for what is left")
    name = min(names, default="")
    held = [piece.condition for piece in pieces if isinstance(piece.condition, Condition)]
    whole = (
        any(part.whole for part in parts)
        or any(each.residues for each in held)
        or _is_index(name, table.left)
    )
    least = max((part.least for part in domain if part in parts and part.least is not None), default=None)
    return Piecewise(name, tuple(pieces), whole, least)


def _is_index(name: str, left: str) -> bool:
    return name == "n" or (bool(name) and re.search(rf"_ ?\{{? ?{re.escape(name)} ?\}}?$", left) is not None)


def _condition(text: str, read: Read, parts: list[_Part], domain: list[_Part]) -> Condition | Value | None:
    """One row's condition; adds what it is made of to the parts."""
    if OTHERWISE.fullmatch(text):
        return None
    bare = _strip_opening(text)
    own = _conjunction(bare, read)
    if own is None:
        try:
            value = read(bare)
        except Unreadable:
            return Words(stream(bare))
        return Words(stream(bare)) if isinstance(value, Relation) else value
    parts.extend(own)
    total = Condition(REALS)
    for part in (*own, *domain):
        if part.condition is not None:
            total = _both(total, part.condition)
    return total


def _strip_opening(text: str) -> str:
    """Without `if`, and without brackets around the whole."""
    for _ in range(3):
        match = _IF.match(text)
        if match is None or not match.end():
            break
        opened = "(" in match[0]
        text = text[match.end() :]
        if opened and text.count(")") > text.count("("):
            text = text.rstrip(" .,;").removesuffix(")")
    return text.strip(" .,;")


def _conjunction(text: str, read: Read) -> list[_Part] | None:
    """The parts of a condition that commas or `and` join, as sets of one
    letter; None where one is no such set."""
    text = _strip_opening(text)
    if (alone := _part(text, read)) is not None:
        return [alone]
    parts = []
    for piece in split_outside(text, CUT):
        part = _part(_strip_opening(piece), read)
        if part is None:
            return None
        parts.append(part)
    letters = {part.name for part in parts}
    said = [part for part in parts if part.condition is not None]
    names = {part.name for part in said}
    if len(names) == 1:  # `n = 2k, k \in Z` is about n
        return [part for part in parts if part.name in names or part.condition is not None]
    return parts if len(letters) == 1 and parts else None


def _part(text: str, read: Read) -> _Part | None:
    return _residues(text) or _membership(text) or _set(text, read)


def _residues(text: str) -> _Part | None:
    """`n is even`, `odd n`, `3 | n`, `n is not divisible by 3`."""
    match = _PARITY.fullmatch(text)
    if match is not None:
        return _of_remainders(match["name"] or match["last"] or "", 2, {int(match["kind"].lower() == "odd")})
    match = _CONGRUENT.fullmatch(text)
    if match is not None and (modulus := int(match["modulus"])):
        return _of_remainders(
            match["name"], modulus, {int(each) % modulus for each in re.findall(r"-?\d+", match["numbers"])}
        )
    match = _DIVIDES.fullmatch(text) or _DIVISIBLE.fullmatch(text)
    if match is None:
        return None
    modulus = int(match["modulus"])
    groups = match.groupdict()
    without = bool(groups.get("no")) or "n" in (groups.get("bar") or "")
    return _of_remainders(match["name"], modulus, set(range(1, modulus)) if without else {0})


def _of_remainders(name: str, modulus: int, remainders: set[int]) -> _Part | None:
    if not 1 < modulus <= MAX_MODULUS:
        return None
    return _Part(name, Condition(REALS, Residues(modulus, tuple(sorted(remainders)))), whole=True)


def _membership(text: str) -> _Part | None:
    match = _MEMBER.fullmatch(text)
    if match is None:
        return None
    positive = bool(match["positive"] or match["words"])
    least = 1 if positive else 0 if match["set"] == "N" else None
    return _Part(match["name"] or match["last"], whole=True, least=least)


def _set(text: str, read: Read) -> _Part | None:
    """A relation about one letter, as a set of numbers."""
    if not text:
        return None
    try:
        value = read(text)
    except Unreadable:
        return None
    match value:
        case Named(name, RealSet() as held, ()):
            return _Part(name, Condition(held))
        case Zero(Sum((Call("abs", (Sym(name),)), end)), ">" | ">=" as operator) if not symbols(end):
            # |x| > 2
            outer: list[Value] = [
                realset.half_line(operator, negative(end)),
                realset.half_line("<" + operator[1:], end),
            ]
            return _Part(name, Condition(realset.combine_all("union", outer)))
        case Zero(
            Sum((end, Product((Num(Fraction(numerator=-1, denominator=1)), Call("abs", (Sym(name),)))))),
            ">" | ">=" as operator,
        ) if not symbols(end):
            closed = operator == ">="
            return _Part(name, Condition(RealSet((Interval(negative(end), end, closed, closed),))))
        case Named(name, Sequence("answers", items), ()) if all(
            isinstance(each, EXPRESSIONS) for each in items
        ):
            return _Part(name, Condition(realset.as_set(value.value)))
        case Named(name, inner, ()) if isinstance(inner, EXPRESSIONS):
            if symbols(inner):
                return _progression(name, inner)
            return _Part(name, Condition(realset.as_set(Sequence("set", (inner,)))))
    return None


def _progression(name: str, inner: Expr) -> _Part | None:
    """`n = 2k - 1`: the remainders of n."""
    names = symbols(inner)
    if len(names) != 1:
        return None
    letter = min(names)
    at = [constant(substitute(inner, {letter: Num(Fraction(value))})) for value in (0, 1, 2)]
    whole = [value.numerator for value in at if value is not None and value.denominator == 1]
    if len(whole) < 3 or whole[2] - whole[1] != whole[1] - whole[0]:
        return None
    start, step = whole[0], abs(whole[1] - whole[0])
    return _of_remainders(name, step, {start % step}) if step and -step < start < step else None


def _both(a: Condition, b: Condition) -> Condition:
    held = (
        a.held
        if b.held == REALS
        else b.held
        if a.held == REALS
        else realset.combine("intersection", a.held, b.held)
    )
    if a.residues is None or b.residues is None:
        return Condition(held, a.residues or b.residues)
    modulus = math.lcm(a.residues.modulus, b.residues.modulus)
    if modulus > MAX_MODULUS:
        raise Unreadable("a condition on remainders of a large number")
    both = (a.residues, b.residues)
    kept = tuple(n for n in range(modulus) if all(n % each.modulus in each.remainders for each in both))
    return Condition(held, Residues(modulus, kept))


__all__ = ["piecewise"]
