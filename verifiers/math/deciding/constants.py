"""Constants of integration: `x^2 + C` and `x^2 + 1 + C` are one, since the constant takes up what they differ
by; those of a general solution (`C_1 e^x + C_2 e^{-x}`) may have other names and stand in another order."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import permutations

from ..traversal import negative, substitute, symbols, terms_of
from ..values import Expr, Num, Product, Sum, Sym

_CONSTANTS = ("C", "K", "C_1")
_VARIABLES = frozenset(("x", "t", "u", "y", "z", "s", "r", "theta", "v", "w"))


def differ_by_constant(a: Expr, b: Expr, equal: Callable[[Expr, Expr], bool]) -> bool:
    """Whether both end in a constant of integration and differ by what does not depend on the variable.

    f(x) - f(w) = g(x) - g(w) for a w of its own holds for just such f and g.
    """
    mine, its = _without_constant(a), _without_constant(b)
    if mine is None or its is None:
        return False
    variables = (symbols(mine) | symbols(its)) & _VARIABLES
    if not variables:
        return False
    elsewhere: dict[str, Expr] = {name: Sym(f"{name} elsewhere") for name in variables}
    return equal(_change(mine, elsewhere), _change(its, elsewhere))


_NUMBERED = re.compile(r"[CcKk]_[1-4]")
_LETTERS = frozenset("ABCDEKabc")
MAX_CONSTANTS = 3


def differ_by_names_of_constants(a: Expr, b: Expr, equal: Callable[[Expr, Expr], bool]) -> bool:
    """Whether both are general solutions in one variable that are equal under other names of their constants.

    One side has numbered constants (`C_1`, `c_2`); the other such ones or letters. Anything else beside one
    variable keeps its name: in `C_1 V_1 + C_2 V_2` nothing is a constant of integration.
    """
    mine, its = symbols(a), symbols(b)
    variables = (mine & _VARIABLES) & its
    constants, others = mine - variables, its - variables
    if len(variables) != 1 or not 0 < len(constants) == len(others) <= MAX_CONSTANTS:
        return False
    if not any(all(map(_NUMBERED.fullmatch, names)) for names in (constants, others)):
        return False
    if not all(_NUMBERED.fullmatch(name) or name in _LETTERS for name in constants | others):
        return False
    order = sorted(constants)
    return any(
        equal(a, substitute(b, dict(zip(names, map(Sym, order), strict=True))))
        for names in permutations(sorted(others))
    )


def _change(expr: Expr, elsewhere: dict[str, Expr]) -> Expr:
    return Sum((expr, negative(substitute(expr, elsewhere))))


def _without_constant(expr: Expr) -> Expr | None:
    """The other terms of a sum with one constant of integration, which occurs
    nowhere else; None for anything else."""
    terms = terms_of(expr)
    constants = [term for term in terms if _constant(term) is not None]
    if len(constants) != 1:
        return None
    name = _constant(constants[0])
    rest = tuple(term for term in terms if term is not constants[0])
    if not rest or any(name in symbols(term) for term in rest):
        return None
    return Sum(rest) if len(rest) > 1 else rest[0]


def _constant(term: Expr) -> str | None:
    match term:
        case Sym(name) | Product((Num(), Sym(name))) if name in _CONSTANTS:
            return name
    return None
