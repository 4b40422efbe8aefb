"""Unknown functions as variables of their own, named by their arguments' values: `f(1+1)` and `f(2)` are one.

An argument's value is found modulo a prime of 128 bits, at one random point: two rational functions of degree
d that differ agree there with a chance of d / 2^127 (Schwartz 1980). The prime is drawn by a hash of both
sides of a comparison, so that nobody can write a multiple of it into one of them. What is no rational
function is taken as a variable, named in the same way; an application to what has no value has none itself.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from itertools import count

from ..traversal import children, rebuild
from ..values import Apply, Call, Const, Expr, Num, Power, Product, Sum, Sym
from .balls import Budget
from .decide import valueless

_BITS = 128
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
_NO_VALUE = Power(Num(Fraction(0)), Num(Fraction(-1)))
CHECKED = 2_000  # microseconds, about, for finding out whether an argument has a value


class _Undefined(Exception):
    """A quotient by zero, or 0^0."""


def name_applications(a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """Both sides of a comparison with a variable in the place of each application."""
    if not (holds_application(a) or holds_application(b)):
        return a, b
    field = field_of(a, b)
    return field.substitute(a), field.substitute(b)


def field_of(*sides: Expr) -> Field:
    """The integers modulo the prime that is drawn for these sides of a comparison."""
    return Field(_prime("".join(sorted(map(_digest, sides)))))


def holds_application(expr: Expr) -> bool:
    if isinstance(expr, Apply):
        return True
    for child in children(expr):  # noqa: SIM110 - a generator in any() costs as much as the walk
        if holds_application(child):
            return True
    return False


class Field:
    """The integers modulo a prime, with a random element for each name."""

    def __init__(self, prime: int) -> None:
        self.prime = prime

    def substitute(self, expr: Expr) -> Expr:
        if isinstance(expr, Apply):
            if any(valueless(arg, Budget(CHECKED)) for arg in expr.args):
                return _NO_VALUE
            try:
                return Sym(f"{expr.name}({','.join(str(self.residue(arg)) for arg in expr.args)})")
            except _Undefined:
                return _NO_VALUE
        parts = children(expr)
        return rebuild(expr, tuple(map(self.substitute, parts))) if parts else expr

    def residue(self, expr: Expr) -> int:
        """The value of an expression at the random point, modulo the prime. Raises _Undefined."""
        match expr:
            case Num(value):
                return value.numerator * self.inverse(value.denominator) % self.prime
            case Sym(name) | Const(name):
                return self.at(name)
            case Sum(terms):
                return sum(map(self.residue, terms)) % self.prime
            case Product(factors):
                total = 1
                for factor in factors:
                    total = total * self.residue(factor) % self.prime
                return total
            case Power(base, Num(power)) if power.denominator == 1:
                below = self.residue(base)
                if power <= 0:
                    below = self.inverse(below)
                return pow(below, abs(int(power)), self.prime)
            case Power(base, exponent):
                return self.at(f"power {self.residue(base)} {self.residue(exponent)}")
            case Call("root", (radicand, order)):
                return self.at(f"power {self.residue(radicand)} {self.inverse(self.residue(order))}")
            case Call("exp", (exponent,)):
                return self.residue(Power(Const("e"), exponent))
            case Call(name, args) | Apply(name, args):
                return self.at(f"{name} {' '.join(str(self.residue(arg)) for arg in args)}")
        raise TypeError(f"{type(expr).__name__} is no expression.")

    def inverse(self, value: int) -> int:
        if not value % self.prime:
            raise _Undefined
        return pow(value, -1, self.prime)

    def at(self, name: str) -> int:
        return _hash(name) % self.prime


@lru_cache(maxsize=4096)
def _hash(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest(), "big")


def _digest(expr: Expr) -> str:
    """Of an expression's tree; numbers enter as hexadecimals, which may be of any length."""
    own = (
        hex(expr.value.numerator) + hex(expr.value.denominator)
        if isinstance(expr, Num)
        else getattr(expr, "name", "")
    )
    text = f"{type(expr).__name__} {own} {' '.join(map(_digest, children(expr)))}"
    return f"{_hash(text):x}"


@lru_cache(maxsize=1024)
def _prime(seed: str) -> int:
    """A prime of 128 bits, by a hash of the seed."""
    return next(
        value for index in count() if _is_prime(value := _hash(f"{seed} {index}") | 1 | 1 << (_BITS - 1))
    )


def _is_prime(value: int) -> bool:
    """Miller and Rabin's test: a composite number passes with a chance below 4^-12."""
    if any(value % witness == 0 for witness in _WITNESSES):
        return False
    twos = ((value - 1) & (1 - value)).bit_length() - 1
    for witness in _WITNESSES:
        power = pow(witness, (value - 1) >> twos, value)
        if power in (1, value - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % value
            if power == value - 1:
                break
        else:
            return False
    return True


__all__ = ["Field", "field_of", "holds_application", "name_applications"]
