"""Unknown functions as variables of their own, named by their arguments' values: `f(1+1)` and `f(2)` are one.

An argument's value is found modulo a prime, at one random point: two rational functions of degree d that differ agree
there with a chance of d / 2^61 (Schwartz 1980). What is no rational function is taken as a variable, named in the same way.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from .values import Apply, Call, Const, Expr, Num, Power, Product, Sum, Sym, children, rebuild

_PRIME = (1 << 61) - 1


def opaque(expr: Expr) -> Expr:
    """The expression with a variable in the place of each application."""
    return _replaced(expr) if holds_application(expr) else expr


def holds_application(expr: Expr) -> bool:
    if isinstance(expr, Apply):
        return True
    for child in children(expr):  # noqa: SIM110 - a generator in any() costs as much as the walk
        if holds_application(child):
            return True
    return False


def _replaced(expr: Expr) -> Expr:
    if isinstance(expr, Apply):
        return Sym(f"{expr.name}({','.join(str(residue(arg)) for arg in expr.args)})")
    parts = children(expr)
    return rebuild(expr, tuple(map(_replaced, parts))) if parts else expr


def residue(expr: Expr) -> int:
    """The value of an expression at the random point, modulo the prime."""
    match expr:
        case Num(value):
            return value.numerator * _inverse(value.denominator) % _PRIME
        case Sym(name) | Const(name):
            return _at(name)
        case Sum(terms):
            return sum(map(residue, terms)) % _PRIME
        case Product(factors):
            total = 1
            for factor in factors:
                total = total * residue(factor) % _PRIME
            return total
        case Power(base, Num(power)) if power.denominator == 1:
            below = residue(base)
            return pow(below if power >= 0 else _inverse(below), abs(int(power)), _PRIME)
        case Power(base, exponent):
            return _at(f"power {residue(base)} {residue(exponent)}")
        case Call("root", (radicand, order)):
            return _at(f"power {residue(radicand)} {_inverse(residue(order))}")
        case Call("exp", (exponent,)):
            return residue(Power(Const("e"), exponent))
        case Call(name, args) | Apply(name, args):
            return _at(f"{name} {' '.join(str(residue(arg)) for arg in args)}")
    raise TypeError(f"{type(expr).__name__} is no expression.")


def _inverse(value: int) -> int:
    return pow(value, _PRIME - 2, _PRIME)


@lru_cache(maxsize=4096)
def _at(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") % _PRIME


__all__ = ["holds_application", "opaque"]
