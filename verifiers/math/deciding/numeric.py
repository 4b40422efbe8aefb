"""Stage 6b: evaluation in balls at several points, in a precision that grows until it decides.

The library's precision belongs to the process, so one lock guards an evaluation; any thread may call. It is
the one that forks wait for, so that a child finds the lock free and the library whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from typing import TypeVar

from ...forks import NO_FORK
from ..traversal import contains, symbols
from ..values import Expr, Sum
from .balls import (
    MAX_PRECISION,
    START,
    Arithmetic,
    Ball,
    Budget,
    OutOfReach,
    Point,
    Undefined,
    Unresolved,
    flint,
)
from .divisors import agree_at_integers
from .evaluator import Evaluator
from .points import corner_points, points, real_point, whole_names

ENOUGH = 6  # points that agree
MIN_POINTS = 3
MAX_FRACTION_BITS = 1 << 16  # of a real constant as a fraction
ACCURATE = 220  # bits of one
_IMAGINARY = frozenset(("i", "cis"))
_Found = TypeVar("_Found")


def agree(a: Expr, b: Expr, log_base: int = 10, budget: Budget | None = None) -> bool | None:
    """Whether two expressions have the same value wherever both have one; None when that can't be told.

    Real points first; complex values where an expression holds i or too few points are real.
    """
    run = _Run(log_base, budget or Budget())
    names = symbols(a) | symbols(b)
    imaginary = contains(a, _IMAGINARY) or contains(b, _IMAGINARY)
    with NO_FORK:
        try:
            for complex_values in (True,) if imaginary else (False, True):
                same = run.points_agree(a, b, names, complex_values)
                if same is not None:
                    return same
            undefined = not names and (run.valueless(a) or run.valueless(b))
        except _Spent:
            return None
    return False if undefined else None


def valueless(expr: Expr, budget: Budget) -> bool | None:
    """Whether a constant has no value, not even a complex one; None when it is out of reach."""
    with NO_FORK:
        try:
            _Run(10, budget).value(expr, _no_point, True)
        except Undefined:
            return True
        except (OutOfReach, _Spent):
            return None
    return False


def within_reach(expr: Expr, budget: Budget | None = None) -> bool:
    """Whether an expression can be evaluated at the first point, with complex values."""
    with NO_FORK:
        try:
            _Run(10, budget or Budget()).value(expr, lambda name: real_point(name, 0), True)
        except (Undefined, OutOfReach, _Spent):
            return False
    return True


@lru_cache(maxsize=4096)
def approximate(expr: Expr) -> Fraction | None:
    """A real constant to some 60 digits, as a fraction; None when it has no real value in reach."""

    def fraction(a: Arithmetic, ball: Ball) -> Fraction:
        value = a.real(ball).value
        if a.is_zero(Ball(value, ball.scale)):
            return Fraction(0)
        if value.rel_accuracy_bits() < ACCURATE:
            raise Unresolved(a.wanted)
        mantissa, exponent = value.mid().man_exp()
        if abs(exponent) > MAX_FRACTION_BITS:
            raise OutOfReach
        return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)

    with NO_FORK:
        try:
            return _Run(10, Budget()).settle(lambda e: fraction(e.a, e(expr)), _no_point, False)
        except (Undefined, OutOfReach, _Spent):
            return None


class _Spent(Exception):
    """The budget of the whole decision is used up."""


class _Run:
    """One decision: its base of `\\log` and the work that is left to it. The caller holds the lock."""

    def __init__(self, log_base: int, budget: Budget) -> None:
        self.log_base = log_base
        self.budget = budget

    def points_agree(self, a: Expr, b: Expr, names: frozenset[str], complex_values: bool) -> bool | None:
        if not names:
            try:
                return self.agree_at(a, b, _no_point, complex_values)
            except (Undefined, OutOfReach):
                return None
        defined, whole = 0, whole_names(Sum((a, b)))
        for point in points(whole):
            try:
                if not self.agree_at(a, b, point, complex_values):
                    return False
            except (Undefined, OutOfReach):
                continue
            defined += 1
            if defined >= ENOUGH and not whole:
                break
        if defined < MIN_POINTS:
            return None
        return self._corners_agree(a, b, whole, complex_values) and (
            not whole or agree_at_integers(a, b, whole)
        )

    def _corners_agree(self, a: Expr, b: Expr, whole: Mapping[str, int], complex_values: bool) -> bool:
        for values in corner_points(a, b, whole):
            try:
                if not self.agree_at(a, b, values.__getitem__, complex_values):
                    return False
            except (Undefined, OutOfReach):
                continue
        return True

    def agree_at(self, a: Expr, b: Expr, point: Point, complex_values: bool) -> bool:
        return self.settle(
            lambda evaluator: evaluator.a.is_zero(evaluator.difference(a, b)), point, complex_values
        )

    def value(self, expr: Expr, point: Point, complex_values: bool) -> Ball:
        return self.settle(lambda evaluator: evaluator(expr), point, complex_values)

    def valueless(self, expr: Expr) -> bool:
        try:
            self.value(expr, _no_point, True)
        except Undefined:
            return True
        except OutOfReach:
            return False
        return False

    def settle(self, question: Callable[[Evaluator], _Found], point: Point, complex_values: bool) -> _Found:
        """The answer to a question about values, in as much precision as it
        takes. Raises Undefined or OutOfReach."""
        precision = START
        while True:
            arithmetic = Arithmetic(precision, complex_values, self.budget)
            try:
                with _precision(precision):
                    return question(Evaluator(arithmetic, point, self.log_base))
            except Unresolved as short:
                if precision >= MAX_PRECISION:
                    raise OutOfReach from None
                precision = min(MAX_PRECISION, max(2 * precision, short.wanted + 128))
            except OutOfReach:
                if self.budget.left < 0:
                    raise _Spent from None
                raise


@contextmanager
def _precision(bits: int) -> Iterator[None]:
    context = flint().ctx
    before = context.prec
    context.prec = bits
    try:
        yield
    finally:
        context.prec = before


def _no_point(_: str) -> Fraction:
    raise Undefined
