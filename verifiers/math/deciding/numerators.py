"""An expression over one denominator, so that equations may be compared without theirs.

Where a denominator is zero there is no solution: in one variable, the factors that it shares with the
numerator are cancelled exactly. In several variables the numerator stays as it is.
"""

from __future__ import annotations

from fractions import Fraction

from ..traversal import children, symbols
from ..values import Expr, Num, Power, Product, Sum
from .polynomials import expression, polynomial

MAX_NODES = 2_000
_ONE = Num(Fraction(1))


def numerator(expr: Expr) -> Expr:
    """The numerator over the product of all denominators that hold a variable.
    The expression itself where it has none."""
    above, below = _over(expr)
    if below == _ONE or _size(above) > MAX_NODES:
        return expr
    names = symbols(expr)
    return _cancel(above, below, *names) if len(names) == 1 else above


def _cancel(above: Expr, below: Expr, name: str) -> Expr:
    """The numerator without the factors that are zero with the denominator."""
    top, bottom = polynomial(above, name), polynomial(below, name)
    if top is None or bottom is None or not top or not bottom:
        return above
    rest = top
    while (shared := rest.gcd(bottom)).degree() > 0:
        rest //= shared
    return above if rest.degree() == top.degree() else expression(rest, name)


def _over(expr: Expr) -> tuple[Expr, Expr]:
    match expr:
        case Sum(terms):
            parts = [_over(term) for term in terms]
            below = list(dict.fromkeys(part[1] for part in parts if part[1] != _ONE))
            if not below or len(below) > 6:
                return expr, _ONE
            raised = [_product([above, *(each for each in below if each != own)]) for above, own in parts]
            return Sum(tuple(raised)), _product(below)
        case Product(factors):
            parts = [_over(factor) for factor in factors]
            return _product([above for above, _ in parts]), _product([below for _, below in parts])
        case Power(base, Num(power)) if power.denominator == 1 and symbols(base):
            above, below = _over(base)
            if power < 0:
                above, below, power = below, above, -power
            return _power(above, power), _power(below, power)
    return expr, _ONE


def _product(factors: list[Expr]) -> Expr:
    kept = [factor for factor in factors if factor != _ONE]
    return kept[0] if len(kept) == 1 else Product(tuple(kept)) if kept else _ONE


def _power(base: Expr, power: Fraction) -> Expr:
    return base if power == 1 or base == _ONE else Power(base, Num(power))


def _size(expr: Expr) -> int:
    return 1 + sum(map(_size, children(expr)))
