"""From normalised text to one resolved value: what the answer says, however it was put."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from ..deciding import realset
from ..deciding.compare import alike
from ..deciding.counting import counted
from ..show import show
from ..traversal import children, negative, survey, symbols, terms_of
from ..units import DEGREE
from ..values import (
    EXPRESSIONS,
    MINUS_ONE,
    Apply,
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
    Power,
    Product,
    Quantity,
    Ratio,
    RealSet,
    Relation,
    Sequence,
    Sum,
    Sym,
    System,
    Unreadable,
    Value,
    Words,
    Zero,
    are_expressions,
)
from .builders import built
from .cases import CASES_MARKS, piecewise, written
from .declarations import declare, declare_words
from .forms import beside_choice, choice_of, labelled_values, special
from .intervals import interval_between, is_quantity, named_interval
from .joining import chained, completed, in_turn, join, residues, shared_name, signed_systems
from .labels import extreme, labelled, nameless
from .lexer import tokens_of
from .linear import UNIT_VECTORS, combined, coordinates, holds_array
from .operands import unresolved
from .parameters import split
from .parser import named_set
from .qualifiers import read_qualifiers
from .quantities import quantity
from .signs import both, choices, chosen_together, holds_signs
from .sound import checked
from .statements import named_several, offers_another
from .stream import stream
from .unit_phrases import known_phrase
from .vocabulary import SETS
from .wording import concluded, defined, definition, lengths

MAX_ITEMS = 200


def read(text: str) -> Value:
    """The value of a normalised text; what is no mathematics becomes `Words`. Never raises."""
    if not text:
        return Words("")
    for each in (text, None):
        try:
            each = each or named_interval(text)
            if each is not None:
                return checked(_read(each))
        except (Unreadable, RecursionError):
            continue
    return Words(stream(text))


# Digits, single letters, signs and commands that say nothing about each other: no words, lists, relations or labels.
_EXPRESSION = re.compile(
    r"(?!\()(?:[-+*/^_{}()\[\].|!\d ]|(?<![A-Za-z])[A-Za-z](?![A-Za-z])"
    r"|\\(?!(?:in|ni|ge|geq|geqslant|le|leq|leqslant|ne|neq|lt|gt|forall|exists|mid|equiv|[pb]?mod|[lc]?dots|begin|angle"
    r"|triangle|max|min|to|approx|sim|land|lor|quad|qquad)(?![A-Za-z]))[A-Za-z]+)*+"
)


def _read(text: str) -> Value:
    if _EXPRESSION.fullmatch(text):
        return _single(text)
    if any(mark in text for mark in CASES_MARKS) and (cases := _cases(read_qualifiers(text, _is_unit))) is not None:
        return cases
    text = lengths(nameless(concluded(declare(read_qualifiers(declare_words(text), _is_unit)))))
    if (said := definition(text)) is not None:
        name, meaning = (resolve(quantity(tokens_of(each))) for each in (said.name, said.value))
        return defined(_plain(said.answer), name, meaning)
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
    found = special(text)
    if isinstance(found, Choice) and (beside := beside_choice(text)) is not None:
        nested = choice_of(beside.text) is not None
        return Choice(found.letter, Words(stream(beside.text)) if nested else read(beside.text), beside.colon)
    if found is not None:
        return found
    label = (labelled(text) if "=" in text or "\\approx" in text else None) or extreme(text)
    if label is not None:
        return Named(label[0], resolve(quantity(tokens_of(label[1]))))
    return resolve(quantity(tokens_of(counted(text))))


def _cases(text: str) -> Value | None:
    """Values by conditions, with a name where one stands before them; None for any other text."""
    rows = written(text)
    if rows is None:
        return None
    try:
        value = piecewise(rows, lambda each: resolve(quantity(tokens_of(each))))
        name = _name(quantity(tokens_of(rows.left))) if rows.left else None
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
            return _relation(value)
        case Joined():
            return _joined(value)
        case Builder():
            return built(value, resolve)
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
            return RealSet((checked(value),))
        case Call("union" | "intersection" | "difference" as name, (left, right)):
            return realset.combine(name, resolve(left), resolve(right))
        case Congruence(residue) if both(residue):
            return join("or", list(residues((value,))))
        case Congruence() | Ratio() | RealSet():
            return value
    return _expression(value) if isinstance(value, EXPRESSIONS) else value


_USUAL_KINDS = frozenset(EXPRESSIONS)
_UNUSUAL = frozenset(("pm", "mp", "union", "intersection", "degree", *UNIT_VECTORS))


def _expression(expr: Expr) -> Value:
    found = survey(expr)
    return expr if found.kinds <= _USUAL_KINDS and _UNUSUAL.isdisjoint(found.names) else _unusual(expr)


def _unusual(expr: Expr) -> Value:
    """Expressions with both signs, with arrays, unit vectors or degrees."""
    match expr:
        case Product((Sym(name), Sequence() as place)) if place.kind == "tuple" and name[0].isupper():  # P(2, -1)
            return Named(name, resolve(place))
    if holds_array(expr):
        return resolve(combined(expr))
    if isinstance(expr, Call) and isinstance(expr.args[0], Sequence) and both(expr):  # ±(1, 2)
        return Sequence("answers", tuple(map(resolve, choices(expr))))
    _arithmetic(expr)
    vector = coordinates(expr)
    if vector is not None:
        return vector
    if both(expr):
        return Sequence("answers", choices(expr))
    match expr:
        case Product((amount, Const("degree"))):
            return Quantity(amount, DEGREE)
        case Product((Num(Fraction(numerator=-1, denominator=1)), Product((amount, Const("degree"))))):
            return Quantity(negative(amount), DEGREE)
    return expr


def _arithmetic(expr: Value) -> None:
    """Every operand must be an expression: there is no sum of a set and a number."""
    if not isinstance(expr, EXPRESSIONS) or (isinstance(expr, Call) and expr.name in ("union", "intersection")):
        raise Unreadable("arithmetic on what is no number")
    for child in children(expr):
        _arithmetic(child)


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


def _relation(relation: Relation) -> Value:
    operands, operators = tuple(map(_unbracketed, relation.operands)), relation.operators
    if "~" in operators:
        return _approximation(operands, operators)
    if set(operators) <= {"=", "=="}:
        return _equality(operands)
    if operators == ("in",):
        return _member(operands[0], resolve(operands[1]))
    if are_expressions(operands) and "in" not in operators:
        return _inequality(operands, operators)
    raise Unreadable("a relation of this kind")


def _approximation(operands: tuple[Value, ...], operators: tuple[str, ...]) -> Value:
    """`x ≈ 3.14` gives x a value; in `1/3 ≈ 0.33` and `x = 1/3 ≈ 0.33` the exact value counts."""
    cut = operators.index("~")
    if cut:
        _check_near(operands[cut], operands[cut + 1])
        return _measured(resolve(Relation(operands[: cut + 1], operators[:cut])), operands[-1])
    left, right = operands[0], operands[1]
    name = _name(left)
    if name is not None:
        return Named(name[0], resolve(right), name[1])
    if isinstance(left, EXPRESSIONS) and symbols(left) and not (isinstance(right, EXPRESSIONS) and symbols(right)):
        raise Unreadable("an expression that is about a number")
    _check_near(left, right)
    return _measured(resolve(left), operands[-1])


def _check_near(exact: Value, decimals: Value) -> None:
    """Raises Unreadable for `1/3 ≈ 8`: two numbers that are further apart than a rounding to one figure puts them."""
    decimals = decimals.value if isinstance(decimals, Quantity) else decimals
    if not isinstance(exact, EXPRESSIONS) or not isinstance(decimals, EXPRESSIONS) or symbols(exact) or symbols(decimals):
        return
    a, b = realset.position(exact), realset.position(decimals)
    if abs(a - b) > abs(a) / 20 and not (b.denominator == 1 and abs(a - b) <= Fraction(1, 2)):
        raise Unreadable("an approximation that is none")


def _measured(value: Value, last: Value) -> Value:
    """A value with the unit that the decimals beside it have."""
    if isinstance(value, EXPRESSIONS) and isinstance(last, Quantity):
        return Quantity(value, last.unit)
    if isinstance(value, Named) and isinstance(value.value, EXPRESSIONS) and isinstance(last, Quantity):
        return Named(value.name, Quantity(value.value, last.unit), value.parameters)
    return value


def _unbracketed(value: Value) -> Value:
    return value.factors[0] if isinstance(value, Product) and len(value.factors) == 1 else value


def _equality(operands: tuple[Value, ...]) -> Value:
    left, last = operands[0], operands[-1]
    name = _name(left)
    if name is None and len(operands) == 2 and isinstance(last, Sym) and not (isinstance(left, Sym | Sequence)):
        return _equality((last, left))
    if isinstance(left, Sequence) and left.kind == "tuple" and (letters := _letters(left.items)) is not None:
        return _assigned(letters, resolve(last))
    if name is not None:
        values = [resolve(operand) for operand in operands[1:]]
        if len(values) > 1 and not alike(values):
            if (system := chained(operands, values[-1])) is not None:  # a = b = c = s
                return system
            raise Unreadable("a chain of equalities that doesn't hold")
        inner = values[0]
        bound = frozenset((name[0],)) & (symbols(inner) if isinstance(inner, EXPRESSIONS) else frozenset())
        if not bound or name[1]:
            return Named(shared_name(name[0]) if isinstance(inner, Sequence) else name[0], inner, name[1])
    if len(operands) == 2 and isinstance(left, EXPRESSIONS) and isinstance(last, EXPRESSIONS):
        _arithmetic(left)
        _arithmetic(last)
        if both(left) or both(last):
            return Sequence("answers", tuple(map(_equality, chosen_together((left, last)))))
        if not symbols(left) and not symbols(last):  # 2 + 3 = 5
            if alike([left, last]):
                return last
            raise Unreadable("an equality that doesn't hold")
        return Zero(Sum((left, negative(last))), "=", last if _asked_for(left, last) else None)
    values = [resolve(operand) for operand in operands]
    if alike(values):
        return values[-1]
    raise Unreadable("a chain of equalities that doesn't hold")


def _asked_for(left: Expr, right: Expr) -> bool:
    """Whether an equation says what was asked for: the sum of different letters (`m + n = 16`), their ratio, a distance
    (`|AB| = 2`). Any other, and what is said to be 0, is a condition; in x, y and z it is a curve."""
    names = symbols(left)
    if symbols(right) or not is_quantity(left) or alike([right, Num(Fraction(0))]):
        return False
    match left:
        case Call("abs", (Product((Sym(a), Sym(b))),)):
            return a != b
        case Product((Sym(a), Power(Sym(b), Num(value)))) if value == -1:
            return a != b
    terms = terms_of(left)
    return 1 < len(terms) == len(names) and all(isinstance(term, Sym) for term in terms)


def _name(value: Value) -> tuple[str, tuple[str, ...]] | None:
    """What a value is given to: `x`, `f(x)` with its parameters, `f(2)` and `dy/dx` as names of their own."""
    match value:
        case Sym(name):
            return name, ()
        case Apply(name, args):
            if (letters := _letters(args)) is not None and "/" not in name and len(set(args)) == len(args):
                return name, letters
            return show(value), ()
        case Product((Sym(name), Sequence() as place)) if place.kind == "tuple" and name in _FUNCTION_NAMES:
            return None if (letters := _letters(place.items)) is None else (name, letters)
    return None


def _letters(values: tuple[Value, ...]) -> tuple[str, ...] | None:
    """The letters that all of the values are; None where one is something else."""
    letters = tuple(value.name for value in values if isinstance(value, Sym))
    return letters if len(letters) == len(values) else None


_FUNCTION_NAMES = frozenset(str.split("f g h p q r u v w y x F G H P Q R T S"))


def _assigned(letters: tuple[str, ...], value: Value) -> Value:
    """`(x, y) = (1, 2)`, or several tuples."""
    if isinstance(value, Sequence) and value.kind in ("tuple", "vector") and len(value.items) == len(letters):
        return System.of(zip(letters, value.items, strict=True))
    return value


def _member(left: Value, right: Value) -> Value:
    if isinstance(left, Sym):
        if isinstance(right, Sym) and right.name in SETS:
            right = named_set(right.name)
        elif isinstance(right, Sequence) and right.kind in ("tuple", "list") and len(right.items) == 2:
            right = realset.as_set(right)  # x in (1, 2) is an interval, never a point
        return Named(left.name, right)
    if isinstance(left, Sequence) and left.kind == "tuple":
        return right
    raise Unreadable("membership of this kind")


def _inequality(operands: tuple[Expr, ...], operators: tuple[str, ...]) -> Value:
    """A solved one (`a < x <= b`, `-x > 1`) is a set of reals with a name; any other stays an inequality."""
    if any(
        isinstance(each, Product) and each.factors[0] == MINUS_ONE and isinstance(each.factors[-1], Sym) for each in operands
    ):
        operands, operators = tuple(map(_opposite, operands)), tuple(_FLIPPED.get(operator, operator) for operator in operators)
    between = interval_between(operands, operators)
    if between is not None:
        name, parameters = _name(operands[1]) or (show(operands[1]), ())
        return Named(name, between, parameters)
    if len(operators) != 1:
        raise Unreadable("a chain of inequalities")
    left, right = operands
    operator = operators[0]
    if operator not in _FLIPPED:
        raise Unreadable(f"the relation {operator}")
    if isinstance(right, Sym) and not isinstance(left, Sym):
        left, right, operator = right, left, _FLIPPED[operator]
    if isinstance(left, Apply) and not symbols(right) and (applied := _name(left)) is not None:
        return Named(applied[0], realset.half_line(operator, right), applied[1])
    if isinstance(left, Sym) and not symbols(right):
        if operator == "!=" and both(right):  # x != ±5
            without: list[Value] = [realset.half_line(operator, unresolved(end)) for end in choices(right)]
            return Named(left.name, realset.combine_all("intersection", without))
        return Named(left.name, realset.half_line(operator, right))
    if operator in ("<", "<="):
        left, right, operator = right, left, _FLIPPED[operator]
    return Zero(Sum((left, negative(right))), operator)


def _opposite(expr: Expr) -> Expr:
    match expr:
        case Product((Num(value), Sym() as name)) if value == -1:
            return name
    return negative(expr)


_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "!=": "!="}


def _joined(joined: Joined) -> Value:
    if len(joined.items) > MAX_ITEMS:
        raise Unreadable("too many items")
    if joined.word != "or" and (systems := signed_systems(joined.items)) is not None:
        return Sequence("answers", tuple(resolve(Joined(joined.word, system)) for system in systems))
    clauses = residues(joined.items) if isinstance(joined.items[-1], Congruence) else completed(joined.word, joined.items)
    parted = split([resolve(item) for item in clauses])
    value = parted.items[0] if len(parted.items) == 1 else join(joined.word, parted.items)
    if parted.several is not None:
        value = in_turn(value, *parted.several)
    return Family(value) if parted.family else value
