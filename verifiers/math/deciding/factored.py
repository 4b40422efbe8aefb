"""Stage 6a, long numbers: products of rational powers of integers, kept as exponents,
so that nothing has to be multiplied out.

2019!/2^{1009}, 10^{10^{100}} and \\sqrt{12} are maps from bases to exponents. Such a product is 1 only if
every exponent is 0 once the bases share no factors (unique factorisation), which decides equality both ways.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from ..values import Call, Expr, Num, Power, Product, Sum
from .balls import Budget, OutOfReach
from .exact import Inexact, UndefinedValue, constant

MAX_FACTORIAL = 20_000
MAX_SUMMAND = 1 << 16  # bits of a sum's term, without the factors that all terms share
MAX_EXPONENT = 1 << 12  # bits of an exponent
_TRIAL = 1_000  # integers are divided by the primes below
_FEW = 4  # primes, 2 to 7, that a longer one is divided by
_PRIME_BELOW = _TRIAL**2


@dataclass(frozen=True, slots=True)
class Factored:
    """sign times the product of base ** exponent. Bases below 10^6 are
    primes; a larger one is any integer."""

    sign: int
    powers: Mapping[int, Fraction | int] = field(default_factory=dict)


def equal(a: Expr, b: Expr, budget: Budget) -> bool | None:
    """Whether two constants are equal; None when one is no such product, too long, or too much work."""
    try:
        run = _Factoring(budget)
        x, y = run.value(a), run.value(b)
        if x.sign != y.sign:
            return False
        return not x.sign or run.is_one(run.times(x, y, -1).powers)
    except (Inexact, UndefinedValue, OutOfReach):
        return None


class _Factoring:
    """One comparison, with the work that is left to it. Methods raise
    Inexact, UndefinedValue or OutOfReach."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def is_one(self, powers: Mapping[int, Fraction | int]) -> bool:
        """By exponents alone, once no two bases share a factor."""
        long = {base: exponent for base, exponent in powers.items() if base >= _PRIME_BELOW}
        primes = {base: exponent for base, exponent in powers.items() if base < _PRIME_BELOW}
        if not long:
            return not primes
        self.budget.spend(len(primes) * sum(base.bit_length() for base in long) // 20_000)
        if any(all(base % prime for base in long) for prime in primes):
            return False
        return not any(self.coprime((primes | long).items()).values())

    def coprime(self, powers: Iterable[tuple[int, Fraction | int]]) -> dict[int, Fraction | int]:
        """The same product over bases of which no two share a factor."""
        exponents: dict[int, Fraction | int] = {}
        pending = list(powers)
        while pending:
            base, exponent = pending.pop()
            if base == 1:
                continue
            for other in exponents:
                self.budget.spend(1 + base.bit_length() * other.bit_length() // 1_000_000)
                shared = math.gcd(base, other)
                if shared > 1:
                    its = exponents.pop(other)
                    pending += [(base // shared, exponent), (shared, exponent + its), (other // shared, its)]
                    break
            else:
                exponents[base] = exponent
        return exponents

    def expand(self, powers: Mapping[int, Fraction | int], most: int) -> int:
        bits = sum(base.bit_length() * exponent for base, exponent in powers.items())
        if bits > most:
            raise Inexact
        self.budget.spend(1 + len(powers) * int(bits) // 30_000)
        return math.prod(base ** int(exponent) for base, exponent in powers.items())

    def value(self, expr: Expr) -> Factored:
        self.budget.spend(5)
        match expr:
            case Num(value):
                return self.number(value)
            case Product(factors):
                total = Factored(1)
                for factor in factors:
                    total = self.times(total, self.value(factor))
                return total
            case Sum(terms):
                return self.sum([self.value(term) for term in terms])
            case Power(base, exponent):
                return self.raise_to(self.value(base), constant(exponent))
            case Call("root", (radicand, order)):
                degree = constant(order)
                return self.raise_to(self.value(radicand), 1 / degree if degree else None)
            case Call("factorial", (arg,)):
                return self.factorial(_small(arg))
            case Call("binomial", (above, below)):
                return self.binomial(_small(above), _small(below))
            case Call("abs", (arg,)):
                value = self.value(arg)
                return Factored(abs(value.sign), value.powers)
        raise Inexact

    def number(self, value: Fraction) -> Factored:
        if not value:
            return Factored(0)
        self.budget.spend(10 + (value.numerator.bit_length() + value.denominator.bit_length()) // 20)
        above, below = _factors(abs(value.numerator)), _factors(value.denominator)
        return Factored(1 if value > 0 else -1, above | {base: -exponent for base, exponent in below.items()})

    def times(self, a: Factored, b: Factored, power: int = 1) -> Factored:
        """a * b ** power, where power is 1 or -1."""
        if not a.sign or not b.sign:
            if not b.sign and power < 0:
                raise UndefinedValue
            return Factored(0)
        self.budget.spend((len(a.powers) + len(b.powers)) // 4)
        powers = dict(a.powers)
        for base, exponent in b.powers.items():
            total = powers.pop(base, 0) + exponent * power
            if total:
                powers[base] = total
        return Factored(a.sign * b.sign, powers)

    def raise_to(self, base: Factored, exponent: Fraction | None) -> Factored:
        if (
            exponent is None
            or exponent.numerator.bit_length() + exponent.denominator.bit_length() > MAX_EXPONENT
        ):
            raise Inexact
        if not base.sign:
            if exponent <= 0:
                raise UndefinedValue
            return base
        if base.sign < 0 and exponent.denominator % 2 == 0:
            raise Inexact
        self.budget.spend(len(base.powers))
        power = exponent.numerator if exponent.denominator == 1 else exponent
        powers = {each: own * power for each, own in base.powers.items()} if power else {}
        if any(Fraction(each).numerator.bit_length() > MAX_EXPONENT for each in powers.values()):
            raise Inexact
        return Factored(base.sign if exponent.numerator % 2 else 1, powers)

    def sum(self, terms: list[Factored]) -> Factored:
        """The factors that all terms share stay as they are, the rest of each term is multiplied out."""
        terms = [term for term in terms if term.sign]
        if not terms:
            return Factored(0)
        bases = set().union(*(term.powers for term in terms))
        self.budget.spend(len(terms) * len(bases))
        shared = {base: min(term.powers.get(base, 0) for term in terms) for base in bases}
        total = 0
        for term in terms:
            rest = {
                base: more for base, least in shared.items() if (more := term.powers.get(base, 0) - least)
            }
            if any(Fraction(exponent).denominator != 1 for exponent in rest.values()):
                raise Inexact  # sqrt(2) + sqrt(3)
            total += term.sign * self.expand(rest, MAX_SUMMAND)
        common = Factored(1, {base: exponent for base, exponent in shared.items() if exponent})
        return self.times(self.number(Fraction(total)), common)

    def factorial(self, number: int) -> Factored:
        self.budget.spend(number // 8)
        return Factored(1, _legendre(number))

    def binomial(self, above: int, below: int) -> Factored:
        if below > above:
            return Factored(0)
        return self.times(
            self.factorial(above), self.times(self.factorial(below), self.factorial(above - below)), -1
        )


def _small(expr: Expr) -> int:
    value = constant(expr)
    if value is None or value.denominator != 1 or not 0 <= value <= MAX_FACTORIAL:
        raise Inexact
    return int(value)


@lru_cache(maxsize=1024)
def _factors(value: int) -> dict[int, int]:
    """Prime factors below _TRIAL (below 10 of what stays longer than 64 bits), and what is left."""
    powers: dict[int, int] = {}
    primes = _primes(_TRIAL)
    for index, prime in enumerate(primes):
        if prime * prime > value or (index == _FEW and value.bit_length() > 64):
            break
        value, count = _divide(value, prime)
        if count:
            powers[prime] = count
    if value > 1:
        powers[value] = powers.get(value, 0) + 1
    return powers


def _divide(value: int, prime: int) -> tuple[int, int]:
    """A number without a prime factor, and how often that was in it; by squares,
    since a long number may hold it often."""
    squares, count = [prime], 0
    while value % squares[-1] == 0:
        value //= squares[-1]
        count += 1 << (len(squares) - 1)
        squares.append(squares[-1] ** 2)
    for index in range(len(squares) - 2, -1, -1):
        if value % squares[index] == 0:
            value //= squares[index]
            count += 1 << index
    return value, count


@lru_cache(maxsize=4)
def _primes(below: int) -> list[int]:
    sieve = bytearray([1]) * below
    for number in range(2, math.isqrt(below) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, below, number)))
    return [number for number in range(2, below) if sieve[number]]


@lru_cache(maxsize=64)
def _legendre(number: int) -> dict[int, int]:
    """The exponents of the primes in a factorial, by Legendre's formula."""
    powers = {}
    for prime in _primes(MAX_FACTORIAL + 1):
        if prime > number:
            break
        rest, total = number, 0
        while rest:
            rest //= prime
            total += rest
        powers[prime] = total
    return powers


__all__ = ["equal"]
