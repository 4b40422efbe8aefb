"""From normalised text to one resolved value: what the answer says, however it was put."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from ..deciding import realset
from ..traversal import negative, survey
from ..units import DEGREE
from ..values import (
    EXPRESSIONS,
    Builder,
    Call,
    Choice,
    Congruence,
    Const,
    Expr,
    Family,
    Interval,
    Joined,
    Matrix,
    Named,
    Num,
    Product,
    Quantity,
    Ratio,
    RealSet,
    Relation,
    Sequence,
    Sym,
    System,
    Unreadable,
    Value,
    Words,
)
from .builders import build_set
from .cases import piecewise
from .counting import spell_counts
from .declarations import declare, declare_words
from .forms import beside_choice, choice_of, labelled_values, read_special
from .intervals import read_named_interval
from .joining import complete, join, residues, signed_systems, take_in_turn
from .labels import split_extreme, split_label, strip_name
from .lexer import tokens_of
from .linear import UNIT_VECTORS, combine, find_coordinates, holds_array
from .operands import check_arithmetic
from .parameters import split
from .qualifiers import read_qualifiers
from .quantities import read_quantity
from .relations import name_of, read_relation
from .rows import CASES_MARKS, find_rows
from .signs import choices, has_both_signs, holds_signs
from .sound import check
from .statements import named_several, offers_another
from .stream import stream
from .unit_phrases import known_phrase
from .wording import apply_definition, find_conclusion, find_definition, respell_lengths

MAX_ITEMS = 200


def read(text: str) -> Value:
    """The value of a normalised text; what is no mathematics becomes `Words`. Never raises."""
    if not text:
        return Words("")
    for each in (text, None):
        try:
            each = each or read_named_interval(text)
            if each is not None:
                return check(_read(each))
        except (Unreadable, RecursionError):
            continue
    return Words(stream(text))


# Digits, single letters, signs and commands that say nothing about each other: no words, lists, relations or
# labels.
_EXPRESSION = re.compile(
    r"(?!\()(?:[-+*/^_{}()\[\].|!\d ]|(?<![A-Za-z])[A-Za-z](?![A-Za-z])"
    r"|\\(?!(?:in|ni|ge|geq|geqslant|le|leq|leqslant|ne|neq|lt|gt|forall|exists|mid|equiv|[pb]?mod|[lc]?dots|begin|angle"
    r"|triangle|max|min|to|approx|sim|land|lor|quad|qquad)(?![A-Za-z]))[A-Za-z]+)*+"
)


def _read(text: str) -> Value:
    if _EXPRESSION.fullmatch(text):
        return _single(text)
    if (
        any(mark in text for mark in CASES_MARKS)
        and (cases := _cases(read_qualifiers(text, _is_unit))) is not None
    ):
        return cases
    text = respell_lengths(
        strip_name(find_conclusion(declare(read_qualifiers(declare_words(text), _is_unit))))
    )
    if (said := find_definition(text)) is not None:
        name, meaning = (resolve(read_quantity(tokens_of(each))) for each in (said.name, said.value))
        return apply_definition(_plain(said.answer), name, meaning)
    return _plain(text)


def _plain(text: str) -> Value:
    labels = labelled_values(text)
    if labels is not None:
        return System.of((label, read(value)) for label, value in labels)
    if offers_another(text):
        raise Unreadable("letters of choices as alternatives")
    return named_several(text) or _single(text)


def _single(text: str) -> Value:
    """One value without labels, declarations or remarks."""
    value = read_special(text)
    if isinstance(value, Choice) and (beside := beside_choice(text)) is not None:
        nested = choice_of(beside.text) is not None
        return Choice(value.letter, Words(stream(beside.text)) if nested else read(beside.text), beside.colon)
    if value is not None:
        return value
    label = (split_label(text) if "=" in text or "\\approx" in text else None) or split_extreme(text)
    if label is not None:
        return Named(label[0], resolve(read_quantity(tokens_of(label[1]))))
    return resolve(read_quantity(tokens_of(spell_counts(text))))


def _cases(text: str) -> Value | None:
    """Values by conditions, with a name where one stands before them; None for any other text."""
    rows = find_rows(text)
    if rows is None:
        return None
    try:
        value = piecewise(rows, lambda each: resolve(read_quantity(tokens_of(each))))
        name = name_of(read_quantity(tokens_of(rows.left))) if rows.left else None
    except Unreadable:
        return None
    if value is None or not rows.left:
        return value
    return Named(name[0], value, name[1]) if name is not None else None


def _is_unit(words: str) -> bool:
    return known_phrase(tokens_of(words)) is not None


def resolve(value: Value) -> Value:
    """Relations become named values, solution sets and equations; lists become answers. Raises Unreadable."""
    match value:
        case Relation():
            return read_relation(value, resolve)
        case Joined():
            return _joined(value)
        case Builder():
            return build_set(value, resolve)
        case Quantity(inner, unit):
            resolved = resolve(inner)
            if isinstance(resolved, Sequence):
                return Sequence(resolved.kind, tuple(Quantity(item, unit) for item in resolved.items))
            return replace(value, value=resolved)
        case Sequence(kind, items):
            if len(items) > MAX_ITEMS:
                raise Unreadable("too many items")
            if kind != "set" and holds_signs(value):
                return Sequence("answers", tuple(resolve(choice) for choice in choices(value)))
            return _flat_set(Sequence(kind, tuple(resolve(item) for item in items)))
        case Matrix(rows):
            return Matrix(tuple(tuple(resolve(entry) for entry in row) for row in rows))
        case Interval():
            return RealSet((check(value),))
        case Call("union" | "intersection" | "difference" as name, (left, right)):
            return realset.combine(name, resolve(left), resolve(right))
        case Congruence(residue) if has_both_signs(residue):
            return join("or", list(residues((value,))))
        case Congruence() | Ratio() | RealSet():
            return value
    return _expression(value) if isinstance(value, EXPRESSIONS) else value


_USUAL_KINDS = frozenset(EXPRESSIONS)
_UNUSUAL = frozenset(("pm", "mp", "union", "intersection", "degree", *UNIT_VECTORS))


def _expression(expr: Expr) -> Value:
    parts = survey(expr)
    return expr if parts.kinds <= _USUAL_KINDS and _UNUSUAL.isdisjoint(parts.names) else _unusual(expr)


def _unusual(expr: Expr) -> Value:
    """Expressions with both signs, with arrays, unit vectors or degrees."""
    match expr:
        case Product((Sym(name), Sequence() as place)) if place.kind == "tuple" and name[0].isupper():
            # P(2, -1)
            return Named(name, resolve(place))
    if holds_array(expr):
        return resolve(combine(expr))
    if isinstance(expr, Call) and isinstance(expr.args[0], Sequence) and has_both_signs(expr):  # ±(1, 2)
        return Sequence("answers", tuple(map(resolve, choices(expr))))
    check_arithmetic(expr)
    vector = find_coordinates(expr)
    if vector is not None:
        return vector
    if has_both_signs(expr):
        return Sequence("answers", choices(expr))
    match expr:
        case Product((amount, Const("degree"))):
            return Quantity(amount, DEGREE)
        case Product((Num(Fraction(numerator=-1, denominator=1)), Product((amount, Const("degree"))))):
            return Quantity(negative(amount), DEGREE)
    return expr


def _flat_set(sequence: Sequence) -> Sequence:
    """`{±1}` holds two items."""
    flat: list[Value] = []
    for item in sequence.items:
        if isinstance(item, Sequence) and item.kind == "answers":
            if sequence.kind != "set":
                raise Unreadable("several answers in one place of a tuple")
            flat.extend(item.items)
        else:
            flat.append(item)
    return Sequence(sequence.kind, tuple(flat))


def _joined(joined: Joined) -> Value:
    if len(joined.items) > MAX_ITEMS:
        raise Unreadable("too many items")
    if joined.word != "or" and (systems := signed_systems(joined.items)) is not None:
        return Sequence("answers", tuple(resolve(Joined(joined.word, system)) for system in systems))
    clauses = (
        residues(joined.items)
        if isinstance(joined.items[-1], Congruence)
        else complete(joined.word, joined.items)
    )
    parted = split([resolve(item) for item in clauses])
    value = parted.items[0] if len(parted.items) == 1 else join(joined.word, parted.items)
    if parted.several is not None:
        value = take_in_turn(value, *parted.several)
    return Family(value) if parted.family else value
