"""Linear combinations: a scalar times a matrix or vector, sums of them, and sums of unit vectors."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from ..traversal import children, symbols
from ..values import EXPRESSIONS, Expr, Matrix, Num, Product, Sequence, Sum, Sym, Unreadable, Value

UNIT_VECTORS = ("hat(i)", "hat(j)", "hat(k)")


def holds_array(value: Value) -> bool:
    """Whether a sum or product has a matrix or vector among its terms or factors."""
    if isinstance(value, Sum | Product):
        return any(map(holds_array, children(value)))
    return isinstance(value, Matrix) or (isinstance(value, Sequence) and value.kind == "vector")


def combine(value: Value) -> Matrix | Sequence:
    """The matrix or vector that a linear combination is. Raises Unreadable,
    for products of two arrays as well."""
    match value:
        case Matrix() | Sequence("vector"):
            return value
        case Product(factors):
            arrays = [factor for factor in factors if holds_array(factor)]
            scalars = tuple(factor for factor in factors if not holds_array(factor))
            if len(arrays) != 1 or not all(isinstance(scalar, EXPRESSIONS) for scalar in scalars):
                raise Unreadable("a product of matrices")
            return _each(lambda entry: Product((*scalars, entry)), combine(arrays[0]))
        case Sum(terms):
            arrays = [combine(term) for term in terms]
            if len({_shape(array) for array in arrays}) > 1:
                raise Unreadable("a sum of matrices that differ in shape")
            return _each(lambda *entries: Sum(entries), *arrays)
    raise Unreadable("a sum of a matrix and a number")


def _each(operation: Callable[..., Expr], *arrays: Matrix | Sequence) -> Matrix | Sequence:
    """An operation on the entries that stand in one place."""

    def row(*rows: tuple[Value, ...]) -> tuple[Value, ...]:
        if not all(isinstance(entry, EXPRESSIONS) for entries in rows for entry in entries):
            raise Unreadable("a matrix of what are no numbers")
        return tuple(map(operation, *rows))

    if isinstance(arrays[0], Sequence):
        return Sequence("vector", row(*(array.items for array in arrays if isinstance(array, Sequence))))
    return Matrix(tuple(map(row, *(array.rows for array in arrays if isinstance(array, Matrix)))))


def _shape(array: Matrix | Sequence) -> tuple[int, ...]:
    return (len(array.items),) if isinstance(array, Sequence) else (len(array.rows), len(array.rows[0]))


def find_coordinates(expr: Expr) -> Sequence | None:
    """The vector that a sum of multiples of i, j and k with hats is; None for any other expression."""
    if not _mentions_unit_vector(expr):
        return None
    names = symbols(expr)
    terms: dict[str, list[Expr]] = {name: [] for name in UNIT_VECTORS}
    for term in _terms(expr):
        factors = _factors(term)
        units = [factor.name for factor in factors if isinstance(factor, Sym) and factor.name in UNIT_VECTORS]
        rest = tuple(
            factor for factor in factors if not (isinstance(factor, Sym) and factor.name in UNIT_VECTORS)
        )
        if len(units) != 1 or any(symbols(factor).intersection(UNIT_VECTORS) for factor in rest):
            return None
        terms[units[0]].append(Product(rest) if rest else Num(Fraction(1)))
    used = UNIT_VECTORS if UNIT_VECTORS[2] in names else UNIT_VECTORS[:2]
    return Sequence(
        "vector", tuple(Sum(tuple(terms[name])) if terms[name] else Num(Fraction(0)) for name in used)
    )


def _mentions_unit_vector(expr: Expr) -> bool:
    if isinstance(expr, Sym):
        return expr.name in UNIT_VECTORS
    return any(map(_mentions_unit_vector, children(expr)))


def _terms(expr: Expr) -> list[Expr]:
    if isinstance(expr, Sum):
        return [term for part in expr.terms for term in _terms(part)]
    if isinstance(expr, Product):  # a factor before brackets goes to each term inside
        factors = _factors(expr)
        sums = [index for index, factor in enumerate(factors) if isinstance(factor, Sum)]
        if len(sums) == 1:
            before, after = factors[: sums[0]], factors[sums[0] + 1 :]
            return [Product((*before, term, *after)) for term in _terms(factors[sums[0]])]
    return [expr]


def _factors(expr: Expr) -> list[Expr]:
    return [each for part in expr.factors for each in _factors(part)] if isinstance(expr, Product) else [expr]
