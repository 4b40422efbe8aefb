"""Stage 6b: seeded evaluation of expressions at several points, in a precision that grows until it decides.

One lock guards the caches of constants behind mpmath's functions, so that any thread may call. Points are real, small
and large, of both signs; where too few are in both domains, values are complex.
"""

from __future__ import annotations

import random
import threading
from fractions import Fraction
from functools import lru_cache

from .evaluator import PRECISIONS, Ball, Evaluator, Undecided, Undefined, magnitude
from .values import Expr, contains, symbols

CERTAIN = 16  # bits that rounding spoils most of the time
POINTS = 12
MIN_POINTS = 3
_LOCK = threading.RLock()


@lru_cache(maxsize=4096)
def real_point(name: str, index: int) -> Fraction:
    """A random point: small and large, positive and negative, by its index."""
    rng = random.Random(f"palaestra/real/{index}/{name}")
    low, high = ((0.05, 0.95), (1.05, 3.0), (3.0, 20.0), (0.05, 0.95))[index % 4]
    value = Fraction(rng.getrandbits(62), 1 << 62) * Fraction(high - low) + Fraction(low)
    if index == 10:
        value *= 100
    return -value if index >= 2 and rng.random() < 0.5 else value


def agree(a: Expr, b: Expr, log_base: int = 10) -> bool | None:
    """Whether two expressions have the same value wherever both have one; None when that can't be told.

    Real points first; complex values where an expression holds i or too few points are real.
    """
    with _LOCK:
        names = symbols(a) | symbols(b)
        imaginary = contains(a, _IMAGINARY) or contains(b, _IMAGINARY)
        for complex_values in (True,) if imaginary else (False, True):
            found = _agree_at_points(a, b, bool(names), complex_values, log_base)
            if found is not None:
                return found
        undefined = not names and (_valueless(a, log_base) or _valueless(b, log_base))
    return False if undefined else None


def _valueless(expr: Expr, log_base: int) -> bool:
    """Whether a constant has no value, not even a complex one."""
    try:
        Evaluator(PRECISIONS[0], _no_point, True, log_base)(expr)
    except (Undefined, ZeroDivisionError):
        return True
    except (Undecided, ValueError, OverflowError):
        return False
    return False


_IMAGINARY = frozenset(("i", "cis"))


def _agree_at_points(a: Expr, b: Expr, variable: bool, complex_values: bool, log_base: int) -> bool | None:
    defined = 0
    for index in range(POINTS if variable else 1):
        try:
            if not _agree_at(a, b, index, complex_values, log_base):
                return False
            defined += 1
        except (Undefined, ZeroDivisionError, ValueError, OverflowError):
            continue
        except Undecided:
            if not variable:
                return None
        if defined >= 6:
            break
    return True if defined >= (MIN_POINTS if variable else 1) else None


def _agree_at(a: Expr, b: Expr, index: int, complex_values: bool, log_base: int) -> bool:
    for precision in PRECISIONS:
        evaluator = Evaluator(precision, lambda name: real_point(name, index), complex_values, log_base)
        left, right = evaluator(a), evaluator(b)
        minus = Ball(evaluator.mp.mpf_neg(right.re), evaluator.mp.mpf_neg(right.im), right.high)
        gap = evaluator._sum([left, minus])
        if not evaluator.noise(gap):
            return False
        if not evaluator.lost and _vanishes(gap, precision):
            return True
    if evaluator.lost:  # pyrefly: ignore
        raise Undecided
    return True


def _vanishes(gap: Ball, precision: int) -> bool:
    """Whether a difference is as small as rounding makes it; a larger one is looked at again, in more precision."""
    size = magnitude(gap)
    return size is None or size < gap.high - precision + CERTAIN


def within_reach(expr: Expr) -> bool:
    """Whether an expression can be evaluated at the first point, with complex values."""
    with _LOCK:
        try:
            Evaluator(PRECISIONS[0], lambda name: real_point(name, 0), True, 10)(expr)
        except (Undefined, Undecided, ZeroDivisionError, ValueError, OverflowError):
            return False
    return True


def approximate(expr: Expr) -> Fraction | None:
    """A real constant to some 70 digits, as a fraction; None when it has no real value in reach."""
    with _LOCK:
        try:
            value = Evaluator(PRECISIONS[0], _no_point, False, 10)(expr)
        except (Undefined, Undecided, ZeroDivisionError, ValueError, OverflowError):
            return None
        sign, mantissa, exponent, _ = value.re
        if abs(exponent) > 4096:
            return None
        return Fraction(-mantissa if sign else mantissa) * Fraction(2) ** exponent


def _no_point(_: str) -> Fraction:
    raise Undefined
