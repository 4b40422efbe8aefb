"""Unit phrases: the tokens behind a number as a typed unit, `km/h`, `square feet`, `eggs`; currency signs."""

from __future__ import annotations

from fractions import Fraction

from ..units import PREFIXES, lookup, units_by_name
from ..values import Unit
from .lexer import Token
from .vocabulary import NOT_COUNTED, NOT_LAST

CURRENCIES = {"\x01": "dollar", "€": "euro", "£": "pound sterling", "¥": "yen", "¢": "cent", "₹": "rupee"}
MAX_UNIT_TOKENS = 24


def currency(sign: str) -> Unit:
    name = CURRENCIES[sign]
    return Unit(Fraction(1, 100), (("dollar", 1),)) if name == "cent" else Unit(Fraction(1), ((name, 1),))


def known_phrase(tokens: list[Token]) -> Unit | None:
    """Tokens that are a unit and nothing else: `km/h`, `cm^2`,
    `square feet`, `m s^{-1}`, `miles per hour`."""
    scale, dims = Fraction(1), {}
    index, sign, read = 0, 1, False
    group, opened = 1, False  # the sign of what brackets hold
    power_word = 1
    while index < len(tokens) <= MAX_UNIT_TOKENS:
        token = tokens[index]
        index += 1
        if token.text in ("/", "per"):
            sign = -1
            continue
        if token.text in ("*", "cdot", "times"):
            sign = group
            continue
        if token.text in ("(", ")"):  # J/(mol K)
            if (token.text == ")") != opened:
                return None
            opened = not opened
            group, sign = (sign, sign) if opened else (1, 1)
            continue
        if token.text in ("square", "sq", "squared", "cubic", "cubed"):
            power = 3 if token.text.startswith("cub") else 2
            if token.text.endswith("ed") and read:
                power_word = 0
            elif read and not dims:
                return None
            else:
                power_word = power
            continue
        unit = _prefixed(token, tokens[index]) if index < len(tokens) else None
        if unit is not None:
            index += 1
        elif token.kind == "word" or token.text == "Omega":
            unit = lookup(token.text)
        if unit is None:
            return None
        power, index = _power(tokens, index)
        if power == 0:
            return None
        total = sign * power * (power_word or 1)
        power_word, read = 1, True
        scale *= unit[0] ** total
        for name, count in unit[1].items():
            dims[name] = dims.get(name, 0) + count * total
    return (
        Unit(scale, tuple(sorted((name, count) for name, count in dims.items() if count)))
        if read and not opened
        else None
    )


def _prefixed(prefix: Token, unit: Token) -> tuple[Fraction, dict[str, int]] | None:
    """A prefix and a unit that are two tokens, one of them a Greek letter: `\\mu F`, `k\\Omega`."""
    if prefix.text == "mu" or (
        unit.text == "Omega"
        and prefix.text in PREFIXES
        and not (unit.spaced and prefix.text in units_by_name())
    ):
        return lookup(prefix.text + unit.text)
    return None


def _power(tokens: list[Token], index: int) -> tuple[int, int]:
    """The power after a unit name (1 when there is none, 0 when it is unreadable), and the index after it."""
    if index < len(tokens) and tokens[index].text in ("squared", "cubed"):
        return (2 if tokens[index].text == "squared" else 3), index + 1
    if index < len(tokens) and tokens[index].text in ("2", "3") and not tokens[index].spaced:  # cm2
        return int(tokens[index].text), index + 1
    if index >= len(tokens) or tokens[index].text not in ("^", "**"):
        return 1, index
    index += 1
    sign, digits = 1, 0
    while index < len(tokens) and tokens[index].text in ("{", "-"):
        sign = -sign if tokens[index].text == "-" else sign
        index += 1
    if index < len(tokens) and tokens[index].kind == "number" and tokens[index].text in "123456":
        digits = int(tokens[index].text)
        index += 1
    while index < len(tokens) and tokens[index].text == "}":
        index += 1
    return sign * digits, index


def unit_of(tokens: list[Token]) -> Unit | None:
    """The unit that a whole tail of tokens is: a known one, or a noun that
    is counted (`eggs`, `square units`)."""
    first = tokens[0]
    if first.kind not in ("word", "command") or first.text in ("per",):
        return None
    # 5m may be a product; 5 m is a length
    if (len(first.text) == 1 or first.kind == "command") and not first.spaced:
        return None
    known = known_phrase(tokens)
    if known is not None:
        return known
    words = [token.text for token in tokens]
    if not first.spaced or len(words) > 4 or any(token.kind != "word" for token in tokens):
        return None
    if max(map(len, words)) < 3 or any(word in NOT_COUNTED or word.lower() in NOT_COUNTED for word in words):
        return None
    if words[-1].lower() in NOT_LAST:
        return None
    noun = " ".join(word.lower().removesuffix("s") for word in words)
    return Unit(Fraction(1), ((noun, 1),))
