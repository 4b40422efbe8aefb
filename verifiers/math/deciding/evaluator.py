"""The value of an expression at one point, as a ball."""

from __future__ import annotations

from fractions import Fraction

from ..traversal import symbols
from ..values import Call, Const, Expr, Num, Power, Product, Sum, Sym
from . import functions
from .balls import SPREAD_WEIGHT, Arithmetic, Ball, Point, Undefined
from .exact import constant

NODE_COST = 12  # microseconds, about, of the walk itself


class Evaluator:
    """Evaluates expressions at one point. Raises Undefined, Unresolved or OutOfReach, and nothing else."""

    def __init__(self, arithmetic: Arithmetic, point: Point, log_base: int) -> None:
        self.a = arithmetic
        self.point = point
        self.log_base = log_base  # of `\log` alone; 0 is natural

    def __call__(self, expr: Expr) -> Ball:
        self.a.budget.spend(NODE_COST)
        match expr:
            case Num(value):
                self.a.note(SPREAD_WEIGHT * max(value.numerator.bit_length(), value.denominator.bit_length()))
                return self.a.rational(value)
            case Sym(name):
                return self.a.rational(self.point(name))
            case Sum(terms):
                return self.a.sum(list(map(self, terms)))
            case Product(factors):
                return self._product(factors)
            case Power(base, exponent):
                return self._power(base, exponent)
            case Call(name, args) if args:
                return self._call(name, args)
            case Const(name):
                return self._constant(name)
        raise Undefined  # no expression of numbers

    def difference(self, left: Expr, right: Expr) -> Ball:
        return self.a.sum([self(left), self.a.negative(self(right))])

    def _product(self, factors: tuple[Expr, ...]) -> Ball:
        if not factors:
            return self.a.integer(1)
        total = self(factors[0])
        for factor in factors[1:]:
            total = self.a.times(total, self(factor))
        return total

    def _constant(self, name: str) -> Ball:
        a = self.a
        match name:
            case "pi":
                return a.make(a.arb.pi())
            case "e":
                return a.make(a.arb.const_e())
            case "degree":
                return a.make(a.arb.pi() / 180)
            case "i":
                a.leave_reals()
                return Ball(a.acb(0, 1), 1)
        raise Undefined

    def _power(self, base: Expr, exponent: Expr) -> Ball:
        if base == _E:  # the exponential function, without a logarithm's rounding
            return functions.exp(self.a, self.a.snap(self(exponent)))
        known = rational(exponent)
        if known is not None:
            return functions.rational_power(self.a, self(base), known)
        return functions.power(self.a, self(base), self(exponent))

    def _call(self, name: str, args: tuple[Expr, ...]) -> Ball:
        a = self.a
        if name == "root" and len(args) == 2 and (order := rational(args[1])) is not None:
            if not order:
                raise Undefined
            return functions.rational_power(a, self(args[0]), 1 / order)
        values = list(map(self, args))
        if name != "log":
            return functions.apply(a, name, values)
        if len(values) == 2:
            return functions.log(a, values[1], values[0])
        if len(values) != 1:
            raise Undefined
        return (
            functions.log(a, a.integer(self.log_base), values[0])
            if self.log_base
            else functions.ln(a, values[0])
        )


def rational(expr: Expr) -> Fraction | None:
    """The exact value of a rational constant, for an exponent or a root's order."""
    if isinstance(expr, Num):
        return expr.value
    return None if symbols(expr) else constant(expr)


_E = Const("e")
__all__ = ["Evaluator", "rational"]
