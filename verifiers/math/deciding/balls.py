"""Balls of rigorous arithmetic (Arb, by python-flint, imported at the first use),
and what may be concluded from them.

A ball holds the true value for certain. So two balls that don't meet are different numbers, while a ball
around zero proves nothing by itself: it counts as zero once it is smaller than 2^-wanted of the largest
summand it was made of, and asks for more precision until then. `wanted` grows with what could hide a small
difference: summands of unlike size, long literals, functions of very small or large arguments. C code can't
be interrupted, so all work is counted beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

START = 384  # bits of the first attempt
MAX_PRECISION = 32_768
MARGIN = 256  # bits of agreement, relative to the summands, that count as equality
SPREAD_WEIGHT = 4  # times the bits by which a sum's terms differ in size, or by which it cancels
# times the bits by which a function's argument is small or large: sin(tan x) - tan(sin x) is of order 7
ARGUMENT_WEIGHT = 8
MAX_MAGNITUDE = 1 << 60  # bits before or behind the point
NOTHING = -(1 << 62)  # the size of an exact zero
BUDGET = 40_000  # microseconds, about, of one decision; counted by operation, never measured
GAMMA_COST = 65  # times an elementary function


class Undefined(Exception):
    """No (real) value at this point."""


class OutOfReach(Exception):
    """A bound on magnitude, precision or work was met: nothing can be said."""


class Unresolved(Exception):
    """Zero or not: that takes `wanted` bits."""

    def __init__(self, wanted: int) -> None:
        super().__init__(wanted)
        self.wanted = wanted


class Budget:
    """The work that is left to one decision."""

    def __init__(self, left: int = BUDGET) -> None:
        self.left = left

    def spend(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise OutOfReach


class Ball:
    """An arb or acb; `scale` is log2 of the largest summand that it was made of, in units of the value."""

    __slots__ = ("scale", "value")

    def __init__(self, value: Any, scale: int) -> None:
        self.value, self.scale = value, scale


@lru_cache(maxsize=1)
def flint() -> Any:
    import flint as library

    return library


@lru_cache(maxsize=4096)
def _ratio(value: Fraction) -> Any:
    return flint().fmpq(value.numerator, value.denominator)


class Arithmetic:
    """Operations on balls at one precision. `complex_values` False: leaving the reals is Undefined.

    Its caller holds the lock of `numeric`, which sets the library's precision.
    """

    def __init__(self, precision: int, complex_values: bool, budget: Budget) -> None:
        self.precision = precision
        self.complex_values = complex_values
        self.budget = budget
        self.need = 0  # bits beyond MARGIN
        self.cost = 5 + int((precision / START) ** 1.5)  # of an elementary function, and of calling it
        library = flint()
        self.arb, self.acb = library.arb, library.acb

    @property
    def wanted(self) -> int:
        return MARGIN + self.need

    def note(self, bits: int) -> None:
        self.need = max(self.need, bits)

    # -- making and measuring --------------------------------------------------------------------------------

    def rational(self, value: Fraction) -> Ball:
        return self.make(self.arb(_ratio(value)))

    def integer(self, value: int) -> Ball:
        return self.make(self.arb(value))

    def make(self, value: Any, scale: int = NOTHING) -> Ball:
        """A result with its scale, which is its own size at least."""
        if isinstance(value, self.acb) and value.imag.is_zero():
            value = value.real
        return Ball(value, max(self.size(value), scale))

    def size(self, value: Any) -> int:
        """log2 of the absolute value, rounded up. Raises Unresolved for no
        finite ball, OutOfReach for a huge one."""
        if not value.is_finite():
            raise Unresolved(self.wanted)
        mantissa, exponent = value.abs_upper().man_exp()
        if not mantissa:
            return NOTHING
        size = mantissa.bit_length() + int(exponent)
        if not -MAX_MAGNITUDE <= size <= MAX_MAGNITUDE:
            raise OutOfReach
        return size

    # -- what a ball says ------------------------------------------------------------------------------------

    def is_zero(self, x: Ball) -> bool:
        """False for certain; True for an exact zero, and for one to `wanted`
        bits. Raises Unresolved between the two."""
        value = x.value
        if not value.contains(0):
            return False
        if value.is_zero() or self.size(value) <= x.scale - self.wanted:
            return True
        raise Unresolved(self.wanted)

    def sign(self, x: Ball) -> int:
        """Of a real ball. Raises Unresolved."""
        return 0 if self.is_zero(x) else 1 if x.value > 0 else -1

    def real(self, x: Ball) -> Ball:
        """The same value as a real ball. Raises Undefined for one that is not real."""
        if isinstance(x.value, self.arb):
            return x
        if not self.is_zero(Ball(x.value.imag, x.scale)):
            raise Undefined
        return Ball(x.value.real, x.scale)

    def snap(self, x: Ball) -> Ball:
        """Zero as an exact zero, a real value as a real ball: what stands before a branch cut or pole."""
        if self.is_zero(x):
            return Ball(self.arb(0), NOTHING)
        value = x.value
        if isinstance(value, self.acb) and value.imag.contains(0):
            return self.real(x)
        return x

    def whole(self, x: Ball) -> int | None:
        """The integer that a real ball is; None when it is none. Raises
        Unresolved, or OutOfReach for a very long one."""
        if self.size(x.value) > MAX_PRECISION:
            raise OutOfReach
        if x.value.is_integer():
            return int(x.value.unique_fmpz())
        if not x.value.contains_integer():
            return None
        near = (x.value.mid() + self.arb(1) / 2).floor().unique_fmpz()
        if near is None or x.value.rad() > self.arb(1) / 4:
            raise Unresolved(max(self.wanted, x.scale + MARGIN))
        return int(near) if self.is_zero(Ball(x.value - near, max(x.scale, 0))) else None

    # -- operations ------------------------------------------------------------------------------------------

    def sum(self, terms: list[Ball]) -> Ball:
        """A term that can't be told from zero is settled first; the others' sizes
        say how many bits it takes to see all."""
        total, largest, smallest, scale = self.arb(0), NOTHING, -NOTHING, NOTHING
        for term in terms:
            scale = max(scale, term.scale)
            if term.value.contains(0) and self.is_zero(term):
                continue
            size = self.size(term.value)
            largest, smallest = max(largest, size), min(smallest, size)
            total = total + term.value
        if largest > smallest:
            self.note(SPREAD_WEIGHT * (largest - smallest))
        result = self.make(total, scale)
        if not result.value.contains(0):
            self.note(SPREAD_WEIGHT * (result.scale - self.size(result.value)))
        return result

    def times(self, a: Ball, b: Ball) -> Ball:
        exact = NOTHING in (a.scale, b.scale)
        return self.make(a.value * b.value, NOTHING if exact else a.scale + b.scale)

    def negative(self, x: Ball) -> Ball:
        return Ball(-x.value, x.scale)

    def ratio(self, a: Ball, b: Ball) -> Ball:
        if self.is_zero(b):
            raise Undefined
        size = self.size(b.value)
        return self.make(a.value / b.value, NOTHING if a.scale == NOTHING else a.scale - size)

    def leave_reals(self) -> None:
        if not self.complex_values:
            raise Undefined

    def spend(self, times: int = 1) -> None:
        self.budget.spend(times * self.cost)


Point = Callable[[str], Fraction]
