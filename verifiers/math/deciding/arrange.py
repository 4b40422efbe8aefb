"""An expression's normal form under reordering: what is out of reach of arithmetic
is still equal to itself rewritten so."""

from __future__ import annotations

from fractions import Fraction

from ..traversal import children, rebuild
from ..values import Call, Const, Expr, Num, Power, Product, Sum
from .exact import MAX_BITS


def arrange(expr: Expr) -> Expr:
    """Nested sums and products are one, their numbers one number, like terms
    one term, operands in a fixed order."""
    parts = tuple(map(arrange, children(expr)))
    match expr:
        case Sum():
            return _sum(parts)
        case Product():
            return _product(parts)
        case Call("root", (_, _)) if isinstance(parts[1], Num) and parts[1].value:
            return Power(parts[0], Num(1 / parts[1].value))
        case Call("exp", (_,)):
            return Power(Const("e"), parts[0])
        case Power(_, Num(exponent)) if exponent == 1:
            return parts[0]
        case Power() if isinstance(parts[0], Num) and parts[0].value and parts[1] == Num(Fraction(-1)):
            return Num(1 / parts[0].value)
    return rebuild(expr, parts) if parts else expr


def cancel(a: Expr, b: Expr) -> bool:
    """Whether the difference of two expressions has no term left."""
    return arrange(Sum((a, Product((Num(Fraction(-1)), b))))) == Num(Fraction(0))


def _sum(parts: tuple[Expr, ...]) -> Expr:
    number = Fraction(0)
    counts: dict[tuple[Expr, ...], Fraction] = {}
    for part in parts:
        for term in part.terms if isinstance(part, Sum) else (part,):
            if isinstance(term, Num) and _bits(number) + _bits(term.value) <= MAX_BITS:
                number += term.value
                continue
            count, factors = _split(term)
            counts[factors] = counts.get(factors, Fraction(0)) + count
    terms = [_term(count, factors) for factors, count in counts.items() if count]
    terms.sort(key=_write)
    if number or not terms:
        terms.insert(0, Num(number))
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def _product(parts: tuple[Expr, ...]) -> Expr:
    number = Fraction(1)
    rest: list[Expr] = []
    for part in parts:
        for factor in part.factors if isinstance(part, Product) else (part,):
            if isinstance(factor, Num) and _bits(number) + _bits(factor.value) <= MAX_BITS:
                number *= factor.value
            else:
                rest.append(factor)
    rest.sort(key=_write)
    if not rest:
        return Num(number)
    if len(rest) == 1 and isinstance(rest[0], Sum):  # -(a + b) is -a - b
        return _sum(tuple(_product((Num(number), term)) for term in rest[0].terms))
    return _term(number, tuple(rest))


def _split(term: Expr) -> tuple[Fraction, tuple[Expr, ...]]:
    if not isinstance(term, Product):
        return Fraction(1), (term,)
    if isinstance(term.factors[0], Num):
        return term.factors[0].value, term.factors[1:]
    return Fraction(1), term.factors


def _term(count: Fraction, factors: tuple[Expr, ...]) -> Expr:
    if count != 1:
        return Product((Num(count), *factors))
    return factors[0] if len(factors) == 1 else Product(factors)


def _write(expr: Expr) -> str:
    """An expression as text, for an order; numbers in hexadecimals, since
    decimals of over 4,300 digits are refused."""
    if isinstance(expr, Num):
        return f"{expr.value.numerator:x}/{expr.value.denominator:x}"
    return f"{type(expr).__name__} {getattr(expr, 'name', '')}({','.join(map(_write, children(expr)))})"


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()
