"""High-precision values of expressions at one point, on mpmath's low-level functions (imported at the first use).

Those functions take their precision as an argument, so nothing global changes; the caches of constants behind them are
guarded by the caller (`numeric`). Every node is bounded: magnitudes, factorials, precision. Beside its value each node
carries the largest magnitude that occurred below it, which bounds the rounding noise of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from .values import Call, Const, Expr, Num, Power, Product, Sum, Sym

PRECISIONS = (256, 1024, 4096)  # bits
SLACK = 48  # bits of a result that rounding may have spoilt, at most
MAX_MAGNITUDE = 1 << 30  # bits in front of the point
MAX_ARGUMENT = 1 << 16  # magnitude of an argument's logarithm, in bits, for periodic functions


class Undefined(Exception):
    """No (real) value at this point."""


class Undecided(Exception):
    """Precision or magnitude limits were reached."""


class Ball:
    """A complex value of raw mpf parts; `high` is the largest magnitude (bits) met on the way to it."""

    __slots__ = ("high", "im", "re")

    def __init__(self, re: Any, im: Any, high: int) -> None:
        self.re, self.im, self.high = re, im, high


def magnitude(value: Ball) -> int | None:
    """log2 of the absolute value, rounded up; None for zero."""
    parts = [part[2] + part[3] for part in (value.re, value.im) if part[1]]
    return max(parts) if parts else None


@lru_cache(maxsize=1)
def _mp() -> Any:
    from mpmath import libmp

    libmp.mpf_pi(PRECISIONS[-1] + 200)
    libmp.mpf_e(PRECISIONS[-1] + 200)
    libmp.ln2_fixed(PRECISIONS[-1] + 200)
    return libmp


class Evaluator:
    """Evaluates expressions at one point with one precision. `complex_values` False: leaving the reals is Undefined."""

    def __init__(self, precision: int, point: Callable[[str], Fraction], complex_values: bool, log_base: int) -> None:
        self.mp = _mp()
        self.precision = precision
        self.point = point
        self.complex_values = complex_values
        self.log_base = log_base
        self.lost = False  # a term that is no noise was too small to leave a trace in a sum

    def real(self, part: Any, high: int = 0) -> Ball:
        return self.ball(part, self.mp.fzero, high)

    def pair(self, value: tuple[Any, Any], high: int) -> Ball:
        return self.ball(value[0], value[1], high)

    def ball(self, re: Any, im: Any, high: int) -> Ball:
        for part in (re, im):
            if not part[1] and part[2]:  # infinities and nan have no mantissa but an exponent
                raise Undefined
            if part[1]:
                size = part[2] + part[3]
                if abs(size) > MAX_MAGNITUDE:
                    raise Undecided
                high = max(high, size)
        return Ball(re, im, high)

    def noise(self, value: Ball) -> bool:
        """Whether a value can't be told from zero."""
        size = magnitude(value)
        return size is None or size < value.high - self.precision + SLACK

    def __call__(self, expr: Expr) -> Ball:
        match expr:
            case Num(value):
                return self.real(self._rational(value))
            case Sym(name):
                return self.real(self._rational(self.point(name)))
            case Const(name):
                return self._constant(name)
            case Sum(terms):
                return self._sum([self(term) for term in terms])
            case Product(factors):
                total = self(factors[0])
                for factor in factors[1:]:
                    total = self._times(total, self(factor))
                return total
            case Power(base, exponent):
                return self._power(base, exponent)
            case Call(name, args):
                return self._call(name, args)
        raise Undecided

    def _rational(self, value: Fraction) -> Any:
        return self.mp.from_rational(value.numerator, value.denominator, self.precision, "n")

    def _constant(self, name: str) -> Ball:
        mp = self.mp
        match name:
            case "pi":
                return self.real(mp.mpf_pi(self.precision, "n"))
            case "e":
                return self.real(mp.mpf_e(self.precision, "n"))
            case "degree":
                return self.real(mp.mpf_div(mp.mpf_pi(self.precision + 10), mp.from_int(180), self.precision, "n"))
            case "i":
                if not self.complex_values:
                    raise Undefined
                return self.ball(mp.fzero, mp.fone, 0)
        raise Undefined

    def _sum(self, terms: list[Ball]) -> Ball:
        mp, re, im = self.mp, self.mp.fzero, self.mp.fzero
        high = max(term.high for term in terms)
        for term in terms:
            size = magnitude(term)
            if size is not None and size < high - self.precision + SLACK and not self.noise(term):
                self.lost = True
            re = mp.mpf_add(re, term.re, self.precision, "n")
            im = mp.mpf_add(im, term.im, self.precision, "n")
        return self.ball(re, im, high)

    def _times(self, a: Ball, b: Ball) -> Ball:
        mp, high = self.mp, max(a.high, b.high)
        if a.im == mp.fzero and b.im == mp.fzero:
            return self.real(mp.mpf_mul(a.re, b.re, self.precision, "n"), high)
        return self.pair(mp.mpc_mul((a.re, a.im), (b.re, b.im), self.precision, "n"), high)

    def _power(self, base_expr: Expr, exponent_expr: Expr) -> Ball:
        mp = self.mp
        base = self(base_expr)
        if isinstance(exponent_expr, Num) and exponent_expr.value.denominator == 1:
            power = int(exponent_expr.value)
            if power < 0 and self.noise(base):
                raise Undefined
            self._fits(base, abs(power))
            if base.im == mp.fzero:
                return self.real(mp.mpf_pow_int(base.re, power, self.precision + SLACK, "n"), base.high)
            if abs(power) > 10_000:
                raise Undecided
            return self.pair(mp.mpc_pow_int((base.re, base.im), power, self.precision + SLACK, "n"), base.high)
        if base.re[0] and base.im == mp.fzero and _odd_root(exponent_expr):  # an odd root of a negative number is real
            flipped = self.real(mp.mpf_neg(base.re), base.high)
            result = self._general_power(flipped, self(exponent_expr))
            odd = exponent_expr.value.numerator % 2  # pyrefly: ignore
            return self.real(mp.mpf_neg(result.re) if odd else result.re, result.high)
        return self._general_power(base, self(exponent_expr))

    def _fits(self, base: Ball, power: int) -> None:
        size = magnitude(base)
        if power.bit_length() > 31 or (size is not None and (abs(size) + 1) * power > MAX_MAGNITUDE):
            raise Undecided

    def _general_power(self, base: Ball, exponent: Ball) -> Ball:
        mp, high = self.mp, max(base.high, exponent.high)
        if self.noise(base):
            if self.noise(exponent) or exponent.re[0]:
                raise Undefined
            return self.real(mp.fzero, high)
        size, exponent_size = magnitude(base) or 0, magnitude(exponent)
        if exponent_size is not None and (exponent_size > 30 or (abs(size) + 1) << max(exponent_size, 0) > MAX_MAGNITUDE):
            raise Undecided
        if base.im == mp.fzero and exponent.im == mp.fzero:
            if not base.re[0]:
                return self.real(mp.mpf_pow(base.re, exponent.re, self.precision + SLACK, "n"), high)
            whole = mp.mpf_nint(exponent.re, self.precision, "n")
            if mp.mpf_eq(whole, exponent.re):
                return self.real(mp.mpf_pow_int(base.re, mp.to_int(whole), self.precision + SLACK, "n"), high)
        self._leave_reals()
        log = mp.mpc_log((base.re, base.im), self.precision + SLACK, "n")
        argument = mp.mpc_mul(log, (exponent.re, exponent.im), self.precision + SLACK, "n")
        return self.pair(mp.mpc_exp(argument, self.precision + SLACK, "n"), high)

    def _leave_reals(self) -> None:
        if not self.complex_values:
            raise Undefined

    def _call(self, name: str, args: tuple[Expr, ...]) -> Ball:
        if name == "log":
            args = (args[0], args[1]) if len(args) == 2 else args
            if len(args) == 2:
                return self._ratio(self._unary("ln", self(args[0])), self._unary("ln", self(args[1])))
            natural = self._unary("ln", self(args[0]))
            return natural if self.log_base == 0 else self._ratio(natural, self._unary("ln", self(Num(Fraction(10)))))
        if name == "log_base":
            return self._ratio(self._unary("ln", self(args[1])), self._unary("ln", self(args[0])))
        if name == "root":
            return self._root(*args)
        if name == "binomial":
            above, below = self(args[0]), self(args[1])
            rest = self._sum([above, self._times(self.real(self.mp.fnone), below)])
            return self._ratio(
                self._unary("factorial", above),
                self._times(self._unary("factorial", below), self._unary("factorial", rest)),
            )
        values = [self(arg) for arg in args]
        if name in ("max", "min"):
            if any(value.im != self.mp.fzero for value in values):
                raise Undefined
            best = values[0]
            for value in values[1:]:
                larger = self.mp.mpf_gt(value.re, best.re)
                best = value if larger == (name == "max") else best
            return best
        if len(values) != 1:
            raise Undefined
        return self._unary(name, values[0])

    def _ratio(self, a: Ball, b: Ball) -> Ball:
        if self.noise(b):
            raise Undefined
        mp, high = self.mp, max(a.high, b.high)
        if a.im == mp.fzero and b.im == mp.fzero:
            return self.real(mp.mpf_div(a.re, b.re, self.precision, "n"), high)
        return self.pair(mp.mpc_div((a.re, a.im), (b.re, b.im), self.precision, "n"), high)

    def _root(self, radicand: Expr, order: Expr) -> Ball:
        value = self(radicand)
        mp = self.mp
        if self.noise(value):
            return self.real(mp.fzero, value.high)
        if isinstance(order, Num) and order.value.denominator == 1 and value.im == mp.fzero:
            degree = int(order.value)
            if degree == 2 and not value.re[0]:
                return self.real(mp.mpf_sqrt(value.re, self.precision + SLACK, "n"), value.high)
            if 1 <= degree <= 1000 and (degree % 2 or not value.re[0]):
                size = mp.mpf_nthroot(mp.mpf_abs(value.re), degree, self.precision + SLACK, "n")
                return self.real(mp.mpf_neg(size) if value.re[0] else size, value.high)
        return self._general_power(value, self._ratio(self.real(mp.fone), self(order)))

    def _unary(self, name: str, x: Ball) -> Ball:
        """A function of one argument."""
        mp, prec, high = self.mp, self.precision + SLACK, x.high
        if name in _RECIPROCAL:
            return self._ratio(self.real(mp.fone), self._unary(_RECIPROCAL[name], x))
        if name in _ARC_RECIPROCAL:
            return self._unary(_ARC_RECIPROCAL[name], self._ratio(self.real(mp.fone), x))
        if name == "acot":
            half = self.real(mp.mpf_shift(mp.mpf_pi(prec), -1))
            return self._sum([half, self._times(self.real(mp.fnone), self._unary("atan", x))])
        self._argument_fits(name, x)
        if name in ("floor", "ceil", "sgn"):
            return self._step(name, x)
        if name in ("factorial", "factorial2"):
            return self._factorial(name, x)
        return self._elementary(name, x, prec, high)

    def _argument_fits(self, name: str, x: Ball) -> None:
        size = magnitude(x) or 0
        if size > (28 if name in ("exp", "sinh", "cosh", "tanh") else MAX_ARGUMENT) and name != "abs":
            raise Undecided
        if name in ("sin", "cos", "tan") and size > 64:
            raise Undecided

    def _factorial(self, name: str, x: Ball) -> Ball:
        if x.im != self.mp.fzero or name == "factorial2" or (magnitude(x) or 0) > 40:
            raise Undecided
        if x.re[0] and self._whole(x):
            raise Undefined
        return self.real(self.mp.mpf_factorial(x.re, self.precision + SLACK, "n"), x.high)

    def _elementary(self, name: str, x: Ball, prec: int, high: int) -> Ball:
        mp, is_real, size = self.mp, x.im == self.mp.fzero, magnitude(x) or 0
        if name == "abs":
            return self.real(mp.mpc_abs((x.re, x.im), prec, "n"), high)
        if name == "ln" and self.noise(x):
            raise Undefined
        if is_real and not (name == "ln" and x.re[0]) and not (name == "acosh" and size <= 0):
            if name == "cis":
                self._leave_reals()
                return self.ball(mp.mpf_cos(x.re, prec, "n"), mp.mpf_sin(x.re, prec, "n"), high)
            try:
                if name == "tan" and self.noise(self.real(mp.mpf_cos(x.re, prec, "n"), max(high, 0))):
                    raise Undefined
                return self.real(getattr(mp, "mpf_" + _NAMES.get(name, name))(x.re, prec, "n"), high)
            except mp.ComplexResult:
                pass
        self._leave_reals()
        function = getattr(mp, "mpc_" + _NAMES.get(name, name), None)
        if function is None:
            raise Undecided
        return self.pair(function((x.re, x.im), prec, "n"), high)

    def _whole(self, x: Ball) -> bool:
        return self.mp.mpf_eq(self.mp.mpf_nint(x.re, self.precision, "n"), x.re)

    def _step(self, name: str, x: Ball) -> Ball:
        mp = self.mp
        if x.im != mp.fzero:
            raise Undefined
        if name == "sgn":
            return self.real(mp.fzero if self.noise(x) else mp.fnone if x.re[0] else mp.fone, x.high)
        near = mp.mpf_nint(x.re, self.precision, "n")
        gap = self.real(mp.mpf_sub(x.re, near, self.precision, "n"), x.high)
        if self.noise(gap):
            return self.real(near, x.high)
        return self.real((mp.mpf_floor if name == "floor" else mp.mpf_ceil)(x.re, self.precision, "n"), x.high)


def _odd_root(exponent: Expr) -> bool:
    return isinstance(exponent, Num) and exponent.value.denominator % 2 == 1 and exponent.value.denominator < 1000


_RECIPROCAL = {"cot": "tan", "sec": "cos", "csc": "sin", "coth": "tanh", "sech": "cosh", "csch": "sinh"}
_ARC_RECIPROCAL = {"asec": "acos", "acsc": "asin", "acoth": "atanh", "asech": "acosh", "acsch": "asinh"}
_NAMES = {"ln": "log"}
