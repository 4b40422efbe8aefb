"""Clauses joined by commas, `and`, `or`: several answers, systems, solution sets, residue classes."""

from __future__ import annotations

import re
from fractions import Fraction

from ..deciding import realset
from ..deciding.compare import distinct
from ..deciding.curves import are_curves
from ..deciding.exact import constant
from ..deciding.families import INTEGER
from ..traversal import fits, names_in, substitute, symbols
from ..values import (
    EXPRESSIONS,
    Congruence,
    Expr,
    Family,
    Named,
    Product,
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
)
from .operands import unresolved
from .parameters import instances
from .signs import chosen_together, holds_signs
from .sound import MAX_PARTS

# x_1, x_2 are the roots; a_1, a_2 are two things
_UNKNOWNS = frozenset(str.split("x y z t r s lambda theta phi"))
_INDICES = re.compile(r"_(?:\d(?:,\d)+|pm)$")


def shared_name(name: str) -> str:
    """`x` for `x_{1,2}` and `x_\\pm`, which name several values at once."""
    return _INDICES.sub("", name)


def read_chain(operands: tuple[Value, ...], last: Value) -> System | None:
    """`a = b = c = s` as a system: every name has the last value. None where another value stands between."""
    names = [operand.name for operand in operands[:-1] if isinstance(operand, Sym)]
    if len(names) != len(operands) - 1 or len(set(names)) < len(names) or names_in(last) & set(names):
        return None
    return System.of((name, last) for name in names)


def _with_equations(items: list[Value]) -> list[Value]:
    """`a = b = 1, c = 2`: the equations of a chain beside those of other names; any other list as it is."""
    names: list[str] = []
    flat: list[Value] = []
    for item in items:
        if isinstance(item, System):
            flat.extend(
                value if isinstance(value, Named) else Named(name, value) for name, value in item.entries
            )
            names.extend(name for name, _ in item.entries)
        elif isinstance(item, Named):
            flat.append(item)
            names.append(item.name)
    return flat if len(flat) == len(names) > len(items) and len(set(names)) == len(names) else items


def take_in_turn(value: Value, name: str, values: tuple[Expr, ...]) -> Value:
    """What a value is at each value of a parameter, each number once."""
    if isinstance(value, Named):
        return Named(
            value.name.removesuffix(f"_{name}"), take_in_turn(value.value, name, values), value.parameters
        )
    if not fits(value, MAX_PARTS // len(values)):
        raise Unreadable("too long for so many values of its parameter")
    seen: dict[Value | Fraction, Value] = {}
    for item in instances(value, name, values):
        for each in item.items if isinstance(item, Sequence) and item.kind in ("answers", "set") else (item,):
            number = constant(each) if isinstance(each, EXPRESSIONS) else None
            seen.setdefault(each if number is None else number, each)
    return Sequence("answers", tuple(seen.values()))


def complete(word: str, items: tuple[Value, ...]) -> tuple[Value, ...]:
    """Clauses whose left side only the first one has: `x \\ne 5, -5`, `(a, b) = (t, t) or (t, -t)`."""
    match items[0]:
        case Relation((Sequence("tuple") as names, Sequence("tuple")), ("=",)) if all(
            isinstance(n, Sym) for n in names.items
        ):
            alone = [isinstance(item, Sequence) and len(item.items) == len(names.items) for item in items]
            return tuple(
                Relation((names, item), ("=",)) if same else item
                for same, item in zip(alone, items, strict=True)
            )
        case Relation((Sym() as name, _), ("!=",)) if word != "or" and all(map(_is_number, items[1:])):
            return (items[0], *(Relation((name, end), ("!=",)) for end in items[1:]))
    return items


def _is_number(value: Value) -> bool:
    return isinstance(value, EXPRESSIONS) and not symbols(value)


def signed_systems(items: tuple[Value, ...]) -> list[tuple[Relation, ...]] | None:
    """`x = ±2, y = ±1` with each choice of its signs; None for anything else."""
    sides = [item.operands for item in items if isinstance(item, Relation) and item.operators == ("=",)]
    names = [left.name for left, _ in sides if isinstance(left, Sym)]
    if len(names) < len(items) or len({name.partition("_")[0] for name in names}) < len(items):
        return None
    if not any(holds_signs(right) for _, right in sides):
        return None
    chosen = chosen_together(tuple(right for _, right in sides))
    return [
        tuple(Relation((Sym(name), value), ("=",)) for name, value in zip(names, each, strict=True))
        for each in chosen
    ]


def residues(items: tuple[Value, ...]) -> tuple[Value, ...]:
    """`n \\equiv 1, \\pm 2 \\pmod 6` as a residue class each."""
    classes: list[Congruence] = []
    last = items[-1]
    assert isinstance(last, Congruence)
    name = last.name
    for index, item in enumerate(items):
        if isinstance(item, Congruence):
            classes.extend(_signed(item))
            continue
        if last.name is not None:
            return items
        value = item
        match item:
            case Relation((Sym(first), second), ("==",)) if not index:
                name, value = first, second
        if not isinstance(value, EXPRESSIONS):
            return items
        classes.extend(_signed(Congruence(value, last.modulus, name)))
    if name is not None:
        classes = [Congruence(each.value, each.modulus, each.name or name) for each in classes]
    return tuple(classes)


def _signed(congruence: Congruence) -> list[Congruence]:
    value = congruence.value
    return [
        Congruence(unresolved(each[0]), congruence.modulus, congruence.name)
        for each in chosen_together((value,))
    ]


def _classes(word: str, items: list[Value]) -> Family | None:
    """Residue classes of one name as the numbers in them; None for a system of congruences."""
    congruences = [item for item in items if isinstance(item, Congruence)]
    moduli = [constant(item.modulus) for item in congruences]
    names = {item.name for item in congruences if item.name is not None}
    if len(names) > 1 or not all(moduli) or (word != "or" and len(set(moduli)) > 1):
        return None
    numbers = tuple(Sum((item.value, Product((item.modulus, INTEGER)))) for item in congruences)
    value = Sequence("answers", numbers)
    return Family(Named(names.pop(), value) if names else value)


def join(word: str, items: list[Value]) -> Value:
    """What resolved clauses say together. Raises Unreadable."""
    if all(isinstance(item, Congruence) for item in items) and (family := _classes(word, items)) is not None:
        return family
    items = _with_equations(items) if word != "or" else items
    named = [item for item in items if isinstance(item, Named)]
    if (
        len(named) == len(items)
        and any(isinstance(item.value, RealSet) for item in named)
        and _share_a_name(word, named)
    ):
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
        flat = distinct(flat)
    return flat[0] if len(flat) == 1 else Sequence("answers", tuple(flat))


def _share_a_name(word: str, named: list[Named]) -> bool:
    """Whether solution sets can be joined: all of them are sets, or points
    stand beside sets of the same name."""
    points = [item for item in named if not isinstance(item.value, RealSet)]
    if not points:
        return True
    return (
        word != "and"
        and len({item.name for item in named}) == 1
        and all(isinstance(p.value, EXPRESSIONS) for p in points)
    )


def _joined_sets(word: str, named: list[Named]) -> Value:
    names = {item.name for item in named}
    if len(names) > 1:
        return System.of((item.name, item.value) for item in named)
    values: list[Value] = [
        item.value if isinstance(item.value, RealSet) else Sequence("set", (item.value,)) for item in named
    ]
    if word != "or" and all(isinstance(value, RealSet) for value in values):
        both = realset.combine_all("intersection", values)
        if word == "and" or (isinstance(both, RealSet) and both.parts):
            return Named(named[0].name, both)
    return Named(named[0].name, realset.combine_all("union", values))


def _joined_names(word: str, items: list[Value]) -> Value:
    """`x = 1, y = 2` is a system; `x = 1 or x = 2`, `x_1 = 1, x_2 = 2` and
    `x = 1, 2` are several values of one name."""
    if (systems := _in_rounds(items)) is not None:
        return systems
    values: list[Value] = []
    named: list[Named] = []
    items = (
        sorted(items, key=lambda item: isinstance(item, Named) and not item.parameters)
        if _functions(items)
        else items
    )
    for item in items:
        if isinstance(item, Named):
            item = _with_argument_of(named[0], item) if named and named[0].name == item.name else item
            named.append(item)
        elif word == "or" and isinstance(item, Zero) and are_curves(items):
            return Sequence("answers", tuple(items))
        elif isinstance(item, Zero) or len({each.name for each in named}) > 1:
            raise Unreadable("a list of unlike clauses")
        inner = item.value if isinstance(item, Named) else item
        values.extend(inner.items if isinstance(inner, Sequence) and inner.kind == "answers" else (inner,))
    names = [item.name for item in named]
    if word == "or" and len(set(names)) > 1 and are_curves(items):
        return Sequence("answers", tuple(items))
    stems = {name.partition("_")[0] for name in names}
    if len(set(names)) == 1:
        return Named(shared_name(names[0]), Sequence("answers", tuple(values)), named[0].parameters)
    if len(stems) == 1 and stems <= _UNKNOWNS and len(names) == len(items) == len(set(names)):
        return Named(stems.pop(), Sequence("answers", tuple(values)))
    if len(names) != len(items) or word == "or" or len(set(names)) != len(names):
        raise Unreadable("a list of unlike clauses")
    return System.of((item.name, item if item.parameters else item.value) for item in named)


def _in_rounds(items: list[Value]) -> Sequence | None:
    """`x = 2, y = 3 or x = 3, y = 2`: the same names time after time; None for anything else."""
    names = [item.name for item in items if isinstance(item, Named) and not item.parameters]
    size = len(set(names))
    if len(names) < len(items) or not 1 < size < len(names) or names != names[:size] * (len(names) // size):
        return None
    entries = [(item.name, item.value) for item in items if isinstance(item, Named)]
    return Sequence(
        "answers", tuple(System.of(entries[at : at + size]) for at in range(0, len(entries), size))
    )


def _functions(items: list[Value]) -> bool:
    return (
        any(isinstance(item, Named) and item.parameters for item in items)
        and len({_owner(item) for item in items}) == 1
    )


def _owner(item: Value) -> str | None:
    return item.name if isinstance(item, Named) else None


def _with_argument_of(first: Named, other: Named) -> Named:
    """A function's other value, in the argument that its first one is written in.
    Raises Unreadable where they can't be."""
    if not first.parameters and not other.parameters:
        return other
    if not other.parameters and not names_in(other):  # f(x) = x or f = 0
        return Named(first.name, other.value, first.parameters)
    if len(first.parameters) != len(other.parameters) or names_in(other) & set(first.parameters):
        raise Unreadable("values of a function that differ in their arguments")
    mapping = {theirs: Sym(mine) for mine, theirs in zip(first.parameters, other.parameters, strict=True)}
    return Named(first.name, substitute(other.value, mapping), first.parameters)
