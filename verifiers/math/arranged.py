"""An expression's normal form under reordering: what is out of reach of arithmetic is still equal to itself rewritten so."""

from __future__ import annotations

from fractions import Fraction

from .exact import MAX_BITS
from .values import Call, Const, Expr, Num, Power, Product, Sum, children, rebuild


def arranged(expr: Expr) -> Expr:
    """Nested sums and products are one, their rational numbers one number, their operands in a fixed order."""
    parts = tuple(map(arranged, children(expr)))
    match expr:
        case Sum():
            return _gathered(Sum, parts)
        case Product():
            return _gathered(Product, parts)
        case Call("root", (_, _)) if isinstance(parts[1], Num) and parts[1].value:
            return Power(parts[0], Num(1 / parts[1].value))
        case Call("exp", (_,)):
            return Power(Const("e"), parts[0])
        case Power(_, Num(exponent)) if exponent == 1:
            return parts[0]
        case Power() if isinstance(parts[0], Num) and parts[0].value and parts[1] == Num(Fraction(-1)):
            return Num(1 / parts[0].value)
    return rebuild(expr, parts) if parts else expr


def _gathered(kind: type[Sum] | type[Product], parts: tuple[Expr, ...]) -> Expr:
    number = Fraction(0 if kind is Sum else 1)
    rest: list[Expr] = []
    for part in parts:
        for each in children(part) if isinstance(part, kind) else (part,):
            if isinstance(each, Num) and _bits(number) + _bits(each.value) <= MAX_BITS:
                number = number + each.value if kind is Sum else number * each.value
            else:
                rest.append(each)
    rest.sort(key=repr)
    if number != (0 if kind is Sum else 1) or not rest:
        rest.insert(0, Num(number))
    return rest[0] if len(rest) == 1 else kind(tuple(rest))


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()
