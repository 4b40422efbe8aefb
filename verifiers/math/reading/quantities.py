"""Numbers with units: a currency sign or a unit phrase is split off the tokens,
the rest goes to the parser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from ..deciding.exact import constant
from ..traversal import symbols
from ..values import EXPRESSIONS, Expr, Joined, Num, Quantity, Relation, Sum, Sym, Unit, Unreadable, Value
from .lexer import Token
from .parser import Parser
from .unit_phrases import CURRENCIES, MAX_UNIT_TOKENS, currency, known_phrase, unit_of
from .vocabulary import COUNTED_PARTS, MULTIPLIERS

_BEFORE_UNIT = frozenset(("}", ")", "]", "!", "pi", "infty", *MULTIPLIERS, *COUNTED_PARTS, *CURRENCIES))
_WITHIN_UNIT = frozenset(("/", "^", "**", "{", "}", "-", "cdot", "times", "*", "mu", "Omega", "(", ")"))
# of a unit; between letters that are variables they are rare
_OPERATORS = frozenset(("/", "cdot", "times", "*", "-"))
# a weight and the like, far more often than milligrams and kiloteslas
_PRODUCTS = frozenset(str.split("mg kT nT pV cV"))
# letters with a space between that are a known unit
_COMPOUND = frozenset(str.split("Nm Js Ws Vs As Ah Wh Cm"))
_CODES = {"USD": "\x01", "US": "\x01", "EUR": "€", "GBP": "£", "INR": "₹", "Rs": "₹"}


def read_quantity(tokens: list[Token]) -> Value:
    """Tokens as a value, with a currency sign or a unit phrase split off where there is one."""
    if not tokens:
        raise Unreadable("it is empty")
    if len(tokens) > 1 and tokens[0].text in _CODES:
        tokens = [Token("currency", _CODES[tokens[0].text], True), *tokens[1:]]
    if len(tokens) > 5 and tokens[1].text == "=" and tokens[0].kind == "word" and len(tokens[0].text) == 1:
        compound = _compound(tokens[2:])
        if compound is not None:  # T = 2 h 24 min
            return Relation((Sym(tokens[0].text), compound), ("=",))
    money = [index for index, token in enumerate(tokens) if token.kind == "currency"]
    if money:
        return _money(tokens, money)
    if len(tokens) > 3 and tokens[0].kind == "number" and tokens[1].kind == "word":
        compound = _compound(tokens)
        if compound is not None:
            return compound
    unit, split = _tail_unit(tokens)
    if unit is not None:
        letters = _letters(tokens, split)
        if letters is not None:
            return _unit_or_letters(tokens, split, unit, letters)
        return _measure(Parser(tokens[:split]).everything(), lambda item: Quantity(item, unit))
    return Parser(tokens).everything()


def _unit_or_letters(tokens: list[Token], split: int, unit: Unit, letters: Value) -> Value:
    """A unit of one or two letters: none behind a sum or a variable (`n + 3 m`,
    `r^2 h`) where it is one letter alone."""
    value = Parser(tokens[:split]).everything()
    amount, product = _last(value), _last(letters)
    if not isinstance(amount, EXPRESSIONS) or not isinstance(product, EXPRESSIONS):
        raise Unreadable("a unit on what is no number")
    single = len(tokens[split].text) == 1
    summed = isinstance(product, Sum)  # without brackets: the letters stand in its last term
    if single and (summed or symbols(amount)) and not _OPERATORS & {token.text for token in tokens[split:]}:
        return letters
    sure = not symbols(amount) and not (summed and (single or constant(amount) is not None))
    optional = sure and not _a_product(tokens[split:])
    return _measure(value, lambda item: Quantity(item, unit, product, optional))


def _measure(value: Value, measured: Callable[[Expr], Quantity]) -> Value:
    """A value with a unit: on the last side of a relation, and on each item of a list."""
    if isinstance(value, Relation):
        return replace(value, operands=(*value.operands[:-1], _measure(value.operands[-1], measured)))
    if isinstance(value, Joined):
        items = tuple(
            _measure(item, lambda each: replace(measured(each), letters=None)) for item in value.items[:-1]
        )
        return replace(value, items=(*items, _measure(value.items[-1], measured)))
    if isinstance(value, EXPRESSIONS):
        return measured(value)
    raise Unreadable("a unit on what is no number")


def _letters(tokens: list[Token], split: int) -> Value | None:
    """The tokens read with variables for the unit that begins at `split`;
    None where it is no such letters."""
    if any(token.kind == "word" and len(token.text) > 2 for token in tokens[split:]):
        return None
    try:
        value = Parser(list(tokens)).everything()
    except Unreadable:
        return None
    return value if isinstance(_last(value), EXPRESSIONS) else None


def _last(value: Value) -> Value:
    while isinstance(value, Relation | Joined):
        value = value.operands[-1] if isinstance(value, Relation) else value.items[-1]
    return value


def _a_product(unit: list[Token]) -> bool:
    """Whether the letters of a unit are rather a product of variables: `m g`,
    `C V^2`; not `m/s`, `m s^{-1}` or `N m`."""
    words = [token.text for token in unit if token.kind == "word"]
    if len(words) < 2:
        return "".join(words) in _PRODUCTS
    return (
        all(len(word) == 1 for word in words)
        and not _OPERATORS & {token.text for token in unit}
        and not (len(unit) == 2 and "".join(words) in _COMPOUND)
    )


def _money(tokens: list[Token], signs: list[int]) -> Value:
    kinds = {tokens[index].text for index in signs}
    rest = [token for token in tokens if token.kind != "currency"]
    unit = currency(kinds.pop())
    if kinds:
        raise Unreadable("two currencies")
    tail, split = _tail_unit(rest)
    if tail is not None and tail.dims == unit.dims:
        rest = rest[:split]
    elif tail is not None:
        raise Unreadable("a currency and a unit")
    return _measure(Parser(rest).everything(), lambda item: Quantity(item, unit))


def _tail_unit(tokens: list[Token]) -> tuple[Unit | None, int]:
    """The longest tail of tokens that is a unit, and where it begins."""
    start = len(tokens)
    while start > 1 and start > len(tokens) - MAX_UNIT_TOKENS and _may_be_unit(tokens[start - 1]):
        start -= 1
    for index in range(max(start, 1), len(tokens)):
        before = tokens[index - 1]
        if before.kind == "number" or before.text in _BEFORE_UNIT:
            connected = _connection(tokens, index)
            unit = known_phrase(tokens[index + connected :]) if connected else unit_of(tokens[index:])
            if unit is not None:
                return unit, index
    return None, len(tokens)


def _connection(tokens: list[Token], index: int) -> int:
    """How many words only join a number to its unit: `3/4 of an hour`, `1/2 a mile`."""
    count = int(tokens[index].text == "of")
    following = tokens[index + count] if index + count < len(tokens) else None
    return count + 1 if following is not None and following.text in ("a", "an", "the") else count


def _may_be_unit(token: Token) -> bool:
    if token.kind == "word":
        return True
    if token.kind == "number":
        return len(token.text) == 1
    return token.text in _WITHIN_UNIT


def _compound(tokens: list[Token]) -> Value | None:
    """`1 hour 30 minutes`, `5 ft 3 in`: numbers with units of one dimension, added up."""
    parts: list[tuple[Fraction, Unit]] = []
    index = 0
    hours = known_phrase([Token("word", "hour", True)])
    while index < len(tokens):
        if tokens[index].text in ("and", ",") and parts:
            index += 1
        token = tokens[index] if index < len(tokens) else None
        if token is None or token.kind != "number" or token.value is None:
            return None
        end = index + 1
        while end < len(tokens) and tokens[end].kind == "word" and tokens[end].text != "and":
            end += 1
        unit = known_phrase(tokens[index + 1 : end])
        if unit is None:
            return None
        if parts and parts[-1][1] == hours and tokens[index + 1].text == "m" and end == index + 2:  # 1 h 30 m
            unit = known_phrase([Token("word", "minute", True)])
            assert unit is not None
        parts.append((token.value, unit))
        index = end
    if len(parts) < 2 or len({unit.dims for _, unit in parts}) > 1:
        return None
    if any(a[1].scale <= b[1].scale for a, b in pairwise(parts)):
        return None
    total = sum((amount * unit.scale for amount, unit in parts), Fraction(0))
    return Quantity(Num(total), Unit(Fraction(1), parts[0][1].dims))
