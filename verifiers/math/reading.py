"""From normalised text to one resolved value: what the answer says, however it was put."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from . import realset
from .families import split
from .forms import beside_choice, labelled, labelled_values, special
from .lexer import Unreadable, tokens_of
from .linear import combined, coordinates, holds_array
from .parser import named_set
from .qualifiers import read_qualifiers
from .quantities import quantity
from .show import show
from .sound import checked
from .stream import stream
from .units import DEGREE, known_phrase
from .values import (
    EXPRESSIONS,
    MINUS_ONE,
    Apply,
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
    Sum,
    Sym,
    System,
    Value,
    Words,
    Zero,
    children,
    contains,
    negative,
    rebuild,
    symbols,
)
from .vocabulary import SETS

_BOTH_SIGNS = frozenset(("pm", "mp"))
MAX_ITEMS = 200


def read(text: str) -> Value:
    """The value of a normalised text; what is no mathematics becomes `Words`. Never raises."""
    if not text:
        return Words("")
    try:
        return checked(_read(read_qualifiers(text, _is_unit)))
    except (Unreadable, RecursionError):
        return Words(stream(text))


def _read(text: str) -> Value:
    labels = labelled_values(text)
    if labels is not None:
        return System.of((label, read(value)) for label, value in labels)
    found = special(text)
    if isinstance(found, Choice) and (beside := beside_choice(text)):
        return Choice(found.letter, read(beside))
    if found is not None:
        return found
    label = labelled(text) if "=" in text or "\\approx" in text else None
    if label is not None:
        return Named(label[0], resolve(quantity(tokens_of(label[1]))))
    return resolve(quantity(tokens_of(text)))


def _is_unit(words: str) -> bool:
    return known_phrase(tokens_of(words)) is not None


def resolve(value: Value) -> Value:
    """Relations become named values, solution sets and equations; lists become answers. Raises Unreadable."""
    match value:
        case Relation():
            return _relation(value)
        case Joined():
            return _joined(value)
        case Quantity(inner, unit):
            resolved = resolve(inner)
            if isinstance(resolved, Sequence):
                return Sequence(resolved.kind, tuple(Quantity(item, unit) for item in resolved.items))
            return replace(value, value=resolved)
        case Sequence(kind, items):
            if len(items) > MAX_ITEMS:
                raise Unreadable("too many items")
            return _signs_in_sequence(Sequence(kind, tuple(resolve(item) for item in items)))
        case Matrix(rows):
            return Matrix(tuple(tuple(resolve(entry) for entry in row) for row in rows))
        case Interval():
            return RealSet((checked(value),))  # pyrefly: ignore
        case Call("union" | "intersection" | "difference" as name, (left, right)):
            return realset.combine(name, resolve(left), resolve(right))  # pyrefly: ignore
        case Congruence() | Ratio() | RealSet():
            return value
    if isinstance(value, EXPRESSIONS):
        return _expression(value)
    return value


def _expression(expr: Expr) -> Value:
    if holds_array(expr):
        return resolve(combined(expr))
    _arithmetic(expr)
    vector = coordinates(expr)
    if vector is not None:
        return vector
    if contains(expr, _BOTH_SIGNS):
        plus, minus = with_sign(expr, 1), with_sign(expr, -1)
        return Sequence("answers", (plus, minus))
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


def with_sign(expr: Expr, sign: int) -> Expr:
    """One of the two values of an expression with plus-minus signs."""
    match expr:
        case Call("pm" | "mp" as name, (term,)):
            inner = with_sign(term, sign)
            return inner if (name == "pm") == (sign > 0) else negative(inner)
    parts = children(expr)
    return rebuild(expr, tuple(with_sign(part, sign) for part in parts)) if parts else expr


def _signs_in_sequence(sequence: Sequence) -> Value:
    """`{±1}` holds two items; `(±1, 2)` is two tuples."""
    if not any(isinstance(item, Sequence) and item.kind == "answers" for item in sequence.items):
        return sequence
    if sequence.kind == "set":
        flat: list[Value] = []
        for item in sequence.items:
            flat.extend(item.items if isinstance(item, Sequence) and item.kind == "answers" else (item,))
        return Sequence("set", tuple(flat))
    several = [len(item.items) for item in sequence.items if isinstance(item, Sequence) and item.kind == "answers"]
    if len(several) > 1 or several[0] > 2:
        raise Unreadable("several signs in one tuple")
    pairs = (
        tuple(item.items[k] if isinstance(item, Sequence) and item.kind == "answers" else item for item in sequence.items)
        for k in range(2)
    )
    return Sequence("answers", tuple(Sequence(sequence.kind, items) for items in pairs))


def _relation(relation: Relation) -> Value:
    operands, operators = tuple(map(_unbracketed, relation.operands)), relation.operators
    if "~" in operators:
        return _approximation(operands, operators)
    if set(operators) <= {"=", "=="}:
        return _equality(operands)
    if operators == ("in",):
        return _member(operands[0], resolve(operands[1]))
    if all(isinstance(operand, EXPRESSIONS) for operand in operands) and "in" not in operators:
        return _inequality(operands, operators)  # pyrefly: ignore
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
    if isinstance(left, Sequence) and left.kind == "tuple" and all(isinstance(item, Sym) for item in left.items):
        return _assigned(left, resolve(last))
    if name is not None:
        values = [resolve(operand) for operand in operands[1:]]
        if len(values) > 1 and not _all_equal(values):
            raise Unreadable("a chain of equalities that doesn't hold")
        inner = values[0]
        bound = frozenset((name[0],)) & (symbols(inner) if isinstance(inner, EXPRESSIONS) else frozenset())
        if not bound or name[1]:
            return Named(name[0], inner, name[1])
    if len(operands) == 2 and isinstance(left, EXPRESSIONS) and isinstance(last, EXPRESSIONS):
        _arithmetic(left)
        _arithmetic(last)
        if contains(left, _BOTH_SIGNS) or contains(last, _BOTH_SIGNS):
            raise Unreadable("plus-minus in an equation")
        if not symbols(left) and not symbols(last):  # 2 + 3 = 5
            if _all_equal([left, last]):
                return last
            raise Unreadable("an equality that doesn't hold")
        return Zero(Sum((left, negative(last))), "=", last if _asked_for(left, last) else None)
    values = [resolve(operand) for operand in operands]
    if _all_equal(values):
        return values[-1]
    raise Unreadable("a chain of equalities that doesn't hold")


def _asked_for(left: Expr, right: Expr) -> bool:
    """Whether an equation only says what a quantity of several letters is (`m + n = 16`, `|AB| = 2`), as no curve does."""
    names = symbols(left)
    return len(names) > 1 and not names & _COORDINATES and not symbols(right)


_COORDINATES = frozenset("xyz")


def _all_equal(values: list[Value]) -> bool:
    from .compare import compare  # compare reads nothing; the two modules only meet here

    return all(compare(values[0], value).equal for value in values[1:])


def _name(value: Value) -> tuple[str, tuple[str, ...]] | None:
    """What a value is given to: `x`, `f(x)` with its parameters, `f(2)` and `dy/dx` as names of their own."""
    match value:
        case Sym(name):
            return name, ()
        case Apply(name, args):
            if all(isinstance(arg, Sym) for arg in args) and "/" not in name and len(set(args)) == len(args):
                return name, tuple(arg.name for arg in args)  # pyrefly: ignore
            return show(value), ()
        case Product((Sym(name), Sequence("tuple", items))) if name in _FUNCTION_NAMES:  # pyrefly: ignore
            if all(isinstance(item, Sym) for item in items):
                return name, tuple(item.name for item in items)  # pyrefly: ignore
    return None


_FUNCTION_NAMES = frozenset(str.split("f g h p q r u v w y x F G H P Q R T S"))


def _assigned(names: Sequence, value: Value) -> Value:
    """`(x, y) = (1, 2)`, or several tuples."""
    if isinstance(value, Sequence) and value.kind in ("tuple", "vector") and len(value.items) == len(names.items):
        return System.of(zip((name.name for name in names.items), value.items, strict=True))  # pyrefly: ignore
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
        operands, operators = tuple(map(_opposite, operands)), tuple(_FLIPPED[operator] for operator in operators)
    if len(operators) == 2 and isinstance(operands[1], Sym) and "!=" not in operators:
        low, x, high = operands
        if not symbols(low) and not symbols(high):
            if {operators[0][0], operators[1][0]} == {"<"}:
                part = Interval(low, high, operators[0] == "<=", operators[1] == "<=")
            elif {operators[0][0], operators[1][0]} == {">"}:
                part = Interval(high, low, operators[1] == ">=", operators[0] == ">=")
            else:
                raise Unreadable("a chain that points both ways")
            return Named(x.name, RealSet((part,)))  # pyrefly: ignore
    if len(operators) != 1:
        raise Unreadable("a chain of inequalities")
    left, right = operands
    operator = operators[0]
    if isinstance(right, Sym) and not isinstance(left, Sym):
        left, right, operator = right, left, _FLIPPED[operator]
    if isinstance(left, Sym) and not symbols(right):
        if operator == "!=" and contains(right, _BOTH_SIGNS):  # x != ±5
            both: list[Value] = [realset.half_line(operator, with_sign(right, sign)) for sign in (1, -1)]
            return Named(left.name, realset.combine_all("intersection", both))
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
    items, parameters = split([resolve(item) for item in joined.items])
    value = items[0] if len(items) == 1 else _join(joined.word, items)
    return Family(value) if parameters else value


def _join(word: str, items: list[Value]) -> Value:
    named = [item for item in items if isinstance(item, Named)]
    if len(named) == len(items) and any(isinstance(item.value, RealSet) for item in named) and _share_a_name(word, named):
        return _joined_sets(word, named)
    if all(isinstance(item, RealSet) for item in items) and word == "or":
        return realset.combine_all("union", items)
    if named and isinstance(items[0], Named):
        return _joined_names(word, items)
    if any(isinstance(item, Words) for item in items):
        raise Unreadable("words in a list")
    flat: list[Value] = []
    for item in items:
        flat.extend(item.items if isinstance(item, Sequence) and item.kind == "answers" else (item,))
    if word == "or":
        flat = _distinct(flat)
    return flat[0] if len(flat) == 1 else Sequence("answers", tuple(flat))


def _distinct(items: list[Value]) -> list[Value]:
    """`1/2 or 0.5` says one thing; `1, 1` says it of two."""
    kept: list[Value] = []
    for item in items:
        if not any(_all_equal([other, item]) for other in kept):
            kept.append(item)
    return kept


def _share_a_name(word: str, named: list[Named]) -> bool:
    """Whether solution sets can be joined: all of them are sets, or points stand beside sets of the same name."""
    points = [item for item in named if not isinstance(item.value, RealSet)]
    if not points:
        return True
    return word != "and" and len({item.name for item in named}) == 1 and all(isinstance(p.value, EXPRESSIONS) for p in points)


def _joined_sets(word: str, named: list[Named]) -> Value:
    names = {item.name for item in named}
    if len(names) > 1:
        return System.of((item.name, item.value) for item in named)
    values: list[Value] = [item.value if isinstance(item.value, RealSet) else Sequence("set", (item.value,)) for item in named]
    if word != "or" and all(isinstance(value, RealSet) for value in values):
        both = realset.combine_all("intersection", values)
        if word == "and" or (isinstance(both, RealSet) and both.parts):
            return Named(named[0].name, both)
    return Named(named[0].name, realset.combine_all("union", values))


def _joined_names(word: str, items: list[Value]) -> Value:
    """`x = 1, y = 2` is a system; `x = 1 or x = 2`, `x_1 = 1, x_2 = 2` and `x = 1, 2` are several values of one name."""
    values: list[Value] = []
    names: list[str] = []
    for item in items:
        inner = item.value if isinstance(item, Named) else item
        if isinstance(item, Named):
            names.append(item.name)
        elif isinstance(item, Zero | System) or len(names) > 1:
            raise Unreadable("a list of unlike clauses")
        values.extend(inner.items if isinstance(inner, Sequence) and inner.kind == "answers" else (inner,))
    stems = {name.partition("_")[0] for name in names}
    if len(set(names)) == 1:
        return Named(names[0], Sequence("answers", tuple(values)))
    if len(stems) == 1 and len(names) == len(items) == len(set(names)):
        return Named(stems.pop(), Sequence("answers", tuple(values)))
    if len(names) != len(items) or word == "or" or len(set(names)) != len(names):
        raise Unreadable("a list of unlike clauses")
    return System.of((item.name, item.value) for item in items if isinstance(item, Named))
