"""Values as a reader writes them: `1/2`, `2x^2 - 3`, `sqrt(2)/2`,
with the type's name where that isn't plain."""

from __future__ import annotations

from .traversal import names_in
from .units import scale_by
from .values import (
    EXPRESSIONS,
    Apply,
    Call,
    Choice,
    Clock,
    Condition,
    Congruence,
    Const,
    Date,
    Expr,
    Family,
    Interval,
    Matrix,
    Named,
    Num,
    Piecewise,
    Power,
    Product,
    Quantity,
    Ratio,
    RealSet,
    Sequence,
    Sum,
    Sym,
    System,
    Unit,
    Value,
    Words,
    Zero,
)

_SUM, _PRODUCT, _POWER, _ATOM = range(4)  # how tightly an expression's outermost operation binds
_CONSTANTS = {"infinity": "∞", "pi": "π", "degree": "°"}
_SET_SIGNS = {"union": "∪", "intersection": "∩", "difference": "∖"}
_BRACKETS = {"tuple": "()", "list": "[]", "set": "{}", "vector": "⟨⟩"}


def show(value: Value) -> str:
    match value:
        case Num() | Sym() | Const() | Sum() | Product() | Power() | Call() | Apply():
            return _write(value)[0]
        case Sequence("answers", items):
            return ", ".join(map(show, items))
        case Sequence(kind, items):
            return _BRACKETS[kind][0] + ", ".join(map(show, items)) + _BRACKETS[kind][1]
        case Quantity(amount, unit):
            return _quantity(amount, unit)
        case Interval(low, high, low_closed, high_closed):
            if low == high:
                return f"{{{show(low)}}}"
            return f"{'[' if low_closed else '('}{show(low)}, {show(high)}{']' if high_closed else ')'}"
        case RealSet(parts):
            return " ∪ ".join(map(show, parts)) or "∅"
        case Matrix(rows):
            return "matrix [" + "; ".join(", ".join(map(show, row)) for row in rows) + "]"
    return _statement(value)


def _statement(value: Value) -> str:
    match value:
        case Named(name, inner, parameters):
            relation = "∈" if isinstance(inner, RealSet) else "="
            return f"{name}{'(' + ', '.join(parameters) + ')' if parameters else ''} {relation} {show(inner)}"
        case System(entries):
            return ", ".join(_statement(Named(name, inner)) for name, inner in entries)
        case Family(inner):
            kinds = sorted({name.rpartition(" ")[0] for name in names_in(inner) if " " in name})
            return f"{show(inner)}, for every {' and '.join(f'{kind} {_parameter(kind)}' for kind in kinds)}"
        case Zero(expression, operator):
            return f"{show(expression)} {operator} 0"
        case Congruence(residue, modulus, name):
            return f"{name + ' ≡ ' if name else ''}{show(residue)} (mod {show(modulus)})"
        case Ratio(parts):
            return " : ".join(map(show, parts))
        case Piecewise(name, pieces):
            return "; ".join(f"{show(piece.value)} {_when(name, piece.condition)}" for piece in pieces)
        case Choice(letter):
            return f"choice {letter}"
        case Clock(seconds):
            return f"{seconds // 3600:02}:{seconds // 60 % 60:02}" + (
                f":{seconds % 60:02}" if seconds % 60 else ""
            )
        case Date(year, month, day):
            return f"{year or '----'}-{month:02}-{day:02}"
        case Words(text):
            return f"text {text!r}"
    return str(value)


def _when(name: str, condition: Condition | Value | None) -> str:
    if condition is None:
        return "otherwise"
    if not isinstance(condition, Condition):
        return f"if {show(condition)}"
    residues = condition.residues
    remainders = f" ≡ {', '.join(map(str, residues.remainders))} (mod {residues.modulus})" if residues else ""
    return f"if {name}{remainders} ∈ {show(condition.held)}"


def _quantity(amount: Value, unit: Unit) -> str:
    dims = " ".join(name if power == 1 else f"{name}^{power}" for name, power in unit.dims)
    if unit.dims == (("degree", 1),):
        return f"{_bracket(amount, _PRODUCT)}°"
    return f"{show(scale_by(amount, unit.scale))} {dims}".rstrip()  # in base units, as it is compared


def _write(expr: Expr) -> tuple[str, int]:
    """The text of an expression, and how tightly its outermost operation binds."""
    match expr:
        case Num(value):
            return str(
                value
            ), _ATOM if value.denominator == 1 and value >= 0 else _SUM if value < 0 else _PRODUCT
        case Sym(name):
            return _parameter(name) if " " in name else name, _ATOM
        case Const(name):
            return _CONSTANTS.get(name, name), _ATOM
        case Sum(terms):
            return _sum(terms), _SUM
        case Product(factors):
            return _product(factors)
        case Power(base, exponent):
            return _power(base, exponent)
        case Apply(name, args):
            return f"{name}({', '.join(map(show, args))})", _ATOM
        case Call(name, args):
            return _call(name, args)
    return show(expr), _ATOM


def _parameter(name: str) -> str:
    """A letter for a family's parameter, which is named by its set."""
    kind, _, rest = name.partition(" ")
    index = rest.rpartition(" ")[2] if rest[-1:].isdigit() else ""
    return ("n" if kind in ("integer", "natural", "whole") else "c") + (
        f"_{index}" if index not in ("", "1") else ""
    )


def _bracket(value: Value, least: int) -> str:
    """The text, in brackets where it binds less tightly than its place asks for."""
    if not isinstance(value, EXPRESSIONS):
        return show(value)
    text, binding = _write(value)
    return text if binding >= least else f"({text})"


def _sum(terms: tuple[Expr, ...]) -> str:
    text = ""
    for index, term in enumerate(terms):
        shown = _bracket(term, _PRODUCT) if index and isinstance(term, Sum) else _write(term)[0]
        sign = "" if not index else " + " if not shown.startswith(("-", "±", "∓")) else f" {shown[0]} "
        text += sign + (shown[1:] if sign.strip() in ("-", "±", "∓") else shown)
    return text


def _product(factors: tuple[Expr, ...]) -> tuple[str, int]:
    above: list[Expr] = []
    below: list[Expr] = []
    negated = False
    for factor in _flat(factors):
        match factor:
            case Power(base, Num(exponent)) if exponent < 0:
                below.append(base if exponent == -1 else Power(base, Num(-exponent)))
            case Num(value) if abs(value) == 1:
                negated = negated != (value < 0)
            case _:
                above.append(factor)
    text = _factors(above) if above else "1"
    if below:
        text += "/" + (_bracket(below[0], _POWER) if len(below) == 1 else f"({_factors(below)})")
    single = len(above) == 1 and not below and not negated
    return ("-" if negated else "") + text, _SUM if negated else _write(above[0])[1] if single else _PRODUCT


def _flat(factors: tuple[Expr, ...]) -> list[Expr]:
    return [
        each
        for factor in factors
        for each in (_flat(factor.factors) if isinstance(factor, Product) else (factor,))
    ]


def _factors(factors: list[Expr]) -> str:
    """Factors side by side, with a point where they would run together."""
    if len(factors) == 1:
        return (
            _write(factors[0])[0] if isinstance(factors[0], Num | Product) else _bracket(factors[0], _PRODUCT)
        )
    pieces = [_bracket(factor, _POWER) for factor in factors]
    text = pieces[0]
    for piece in pieces[1:]:
        joined = piece[0] not in "0123456789" and not (
            text[-1].isalpha() and piece[0].isalpha() and len(piece) > 1
        )
        text += piece if joined else f"·{piece}"
    return text


def _power(base: Expr, exponent: Expr) -> tuple[str, int]:
    match exponent:
        case Num(value) if value < 0:
            return _product((Power(base, exponent),))
        case Num(value) if value.numerator == 1 and value.denominator == 2:
            return f"sqrt({_write(base)[0]})", _ATOM
    text, binding = _write(exponent)
    return f"{_bracket(base, _ATOM)}^{text if binding == _ATOM else f'({text})'}", _POWER


def _call(name: str, args: tuple[Expr, ...]) -> tuple[str, int]:
    match name, args:
        case "root", (radicand, Num(order)) if order in (2, 3):
            return f"{'sqrt' if order == 2 else 'cbrt'}({show(radicand)})", _ATOM
        case "pm" | "mp", (term,):
            return f"{'±' if name == 'pm' else '∓'}{_bracket(term, _PRODUCT)}", _SUM
        case "abs", (inner,):
            return f"|{show(inner)}|", _ATOM
        case "factorial" | "factorial2", (inner,):
            return _bracket(inner, _ATOM) + ("!" if name == "factorial" else "!!"), _POWER
        case "floor" | "ceil", (inner,):
            return (f"⌊{show(inner)}⌋" if name == "floor" else f"⌈{show(inner)}⌉"), _ATOM
        case "given", (event, condition):
            return f"{show(event)} | {show(condition)}", _SUM
        case (("union" | "intersection" | "difference"), (left, right)):
            return f"{show(left)} {_SET_SIGNS[name]} {show(right)}", _SUM
        case _, (left, right) if not name[0].isalpha():  # a relation inside P(...)
            return f"{show(left)} {name} {show(right)}", _SUM
        case "log_base", (base, inner):
            return f"log_{_bracket(base, _ATOM)}({show(inner)})", _ATOM
    return f"{name}({', '.join(map(show, args))})", _ATOM


__all__ = ["show"]
