"""Units of measurement: a trailing unit phrase becomes a typed field; quantities of one dimension can be converted."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

from .lexer import Token
from .values import EXPRESSIONS, Const, Num, Product, Quantity, Sym, Unit, Value
from .vocabulary import NOT_COUNTED, NOT_LAST

_SI = {"k": 10**3, "c": Fraction(1, 100), "m": Fraction(1, 1000), "d": Fraction(1, 10), "M": 10**6, "G": 10**9,
       "n": Fraction(1, 10**9), "mu": Fraction(1, 10**6), "u": Fraction(1, 10**6), "p": Fraction(1, 10**12)}  # fmt: skip
_SI_WORDS = {
    "kilo": "k",
    "centi": "c",
    "milli": "m",
    "deci": "d",
    "mega": "M",
    "giga": "G",
    "nano": "n",
    "micro": "mu",
    "pico": "p",
}
# name: (scale in base units, dimension). Base units: m, kg, s, A, K, mol, rad, dollar.
_PREFIXED = {
    "m": (1, "m", ("meter", "metre")),
    "g": (Fraction(1, 1000), "kg", ("gram", "gramme")),
    "s": (1, "s", ("second", "sec")),
    "L": (Fraction(1, 1000), "m^3", ("liter", "litre", "l")),
    "J": (1, "kg m^2 s^-2", ("joule",)),
    "N": (1, "kg m s^-2", ("newton",)),
    "W": (1, "kg m^2 s^-3", ("watt",)),
    "Pa": (1, "kg m^-1 s^-2", ("pascal",)),
    "Hz": (1, "s^-1", ("hertz",)),
    "V": (1, "kg m^2 s^-3 A^-1", ("volt",)),
    "A": (1, "A", ("ampere", "amp")),
    "C": (1, "A s", ("coulomb",)),
    "mol": (1, "mol", ("mole",)),
    "eV": (Fraction("1.602176634e-19"), "kg m^2 s^-2", ("electronvolt",)),
    "ohm": (1, "kg m^2 s^-3 A^-2", ()),
    "Omega": (1, "kg m^2 s^-3 A^-2", ("ohm",)),
    "F": (1, "kg^-1 m^-2 s^4 A^2", ("farad",)),
    "H": (1, "kg m^2 s^-2 A^-2", ("henry", "henries")),
    "T": (1, "kg s^-2 A^-1", ("tesla",)),
    "Wb": (1, "kg m^2 s^-2 A^-1", ("weber",)),
    "cal": (Fraction("4.184"), "kg m^2 s^-2", ("calorie",)),
    "bar": (10**5, "kg m^-1 s^-2", ()),
    "pc": (Fraction(30856775814913673), "m", ("parsec",)),
}
_PLAIN = {
    "min minute": (60, "s"), "h hr hour": (3600, "s"), "day": (86400, "s"), "week": (604800, "s"),
    "month": (1, "month"), "year yr": (12, "month"), "decade": (120, "month"), "century": (1200, "month"),
    "in inch inches": (Fraction("0.0254"), "m"), "ft foot feet": (Fraction("0.3048"), "m"),
    "yd yard": (Fraction("0.9144"), "m"), "mi mile": (Fraction("1609.344"), "m"),
    "lb lbs pound": (Fraction("0.45359237"), "kg"), "oz ounce": (Fraction("0.028349523125"), "kg"),
    "ton tonne": (1000, "kg"), "gallon gal": (Fraction("0.003785411784"), "m^3"),
    "quart qt": (Fraction("0.000946352946"), "m^3"), "pint pt": (Fraction("0.000473176473"), "m^3"),
    "cup": (Fraction("0.0002365882365"), "m^3"), "acre": (Fraction("4046.8564224"), "m^2"), "hectare ha": (10000, "m^2"),
    "cc": (Fraction(1, 10**6), "m^3"), "mph": (Fraction("0.44704"), "m s^-1"), "kph kmh": (Fraction(5, 18), "m s^-1"),
    "Wh": (3600, "kg m^2 s^-2"), "kWh": (3600000, "kg m^2 s^-2"), "Nm": (1, "kg m^2 s^-2"),
    "erg": (Fraction(1, 10**7), "kg m^2 s^-2"), "dyn dyne": (Fraction(1, 10**5), "kg m s^-2"),
    "angstrom": (Fraction(1, 10**10), "m"), "atm atmosphere": (101325, "kg m^-1 s^-2"),
    "ly lightyear": (9460730472580800, "m"), "AU": (149597870700, "m"), "knot": (Fraction(1852, 3600), "m s^-1"),
    "kilohm": (1000, "kg m^2 s^-3 A^-2"), "megohm": (10**6, "kg m^2 s^-3 A^-2"),
    "rad radian": (1, "rad"), "K kelvin": (1, "K"), "dollar USD usd buck": (1, "dollar"),
    "cent": (Fraction(1, 100), "dollar"), "penny pennies": (Fraction(1, 100), "dollar"), "euro EUR": (1, "euro"),
    "rupee INR": (1, "rupee"), "yen": (1, "yen"), "unit": (1, "unit"),
}  # fmt: skip
CURRENCIES = {"\x01": "dollar", "€": "euro", "£": "pound sterling", "¥": "yen", "¢": "cent", "₹": "rupee"}
MAX_UNIT_TOKENS = 24
DEGREE = Unit(Fraction(1), (("degree", 1),))
RADIAN = Unit(Fraction(1), (("rad", 1),))


@cache
def _table() -> dict[str, tuple[Fraction, dict[str, int]]]:
    table: dict[str, tuple[Fraction, dict[str, int]]] = {}
    for symbol, (scale, dims, words) in _PREFIXED.items():
        parsed = _dims(dims)
        for name in (symbol, *words):
            table[name] = (Fraction(scale), parsed)
        for prefix, factor in _SI.items():
            table[prefix + symbol] = (Fraction(scale) * factor, parsed)
        for word, prefix in _SI_WORDS.items():
            for name in words:
                table[word + name] = (Fraction(scale) * _SI[prefix], parsed)
    for names, (scale, dims) in _PLAIN.items():
        for name in names.split():
            table[name] = (Fraction(scale), _dims(dims))
    del table["pm"]  # the afternoon
    return table


def _dims(text: str) -> dict[str, int]:
    return {name: int(power or 1) for name, _, power in (part.partition("^") for part in text.split())}


def lookup(word: str) -> tuple[Fraction, dict[str, int]] | None:
    """A unit by symbol or name, singular or plural; names in any case."""
    table = _table()
    if word in table:
        return table[word]
    folded = word.lower() if len(word) > 2 else word
    for name in (folded, folded.removesuffix("s"), folded.removesuffix("es")):
        if len(name) > 1 and name in table:
            return table[name]
    return None


def currency(sign: str) -> Unit:
    name = CURRENCIES[sign]
    return Unit(Fraction(1, 100), (("dollar", 1),)) if name == "cent" else Unit(Fraction(1), ((name, 1),))


def known_phrase(tokens: list[Token]) -> Unit | None:
    """Tokens that are a unit and nothing else: `km/h`, `cm^2`, `square feet`, `m s^{-1}`, `miles per hour`."""
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
        found = _prefixed(token, tokens[index]) if index < len(tokens) else None
        if found is not None:
            index += 1
        elif token.kind == "word" or token.text == "Omega":
            found = lookup(token.text)
        if found is None:
            return None
        power, index = _power(tokens, index)
        if power == 0:
            return None
        total = sign * power * (power_word or 1)
        power_word, read = 1, True
        scale *= found[0] ** total
        for name, count in found[1].items():
            dims[name] = dims.get(name, 0) + count * total
    return Unit(scale, tuple(sorted((name, count) for name, count in dims.items() if count))) if read and not opened else None


def _prefixed(prefix: Token, unit: Token) -> tuple[Fraction, dict[str, int]] | None:
    """A prefix and a unit that are two tokens, one of them a Greek letter: `\\mu F`, `k\\Omega`."""
    if prefix.text == "mu" or (unit.text == "Omega" and prefix.text in _SI and not (unit.spaced and prefix.text in _table())):
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
    """The unit that a whole tail of tokens is: a known one, or a noun that is counted (`eggs`, `square units`)."""
    first = tokens[0]
    if first.kind not in ("word", "command") or first.text in ("per",):
        return None
    if (len(first.text) == 1 or first.kind == "command") and not first.spaced:  # 5m may be a product; 5 m is a length
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


def scaled(value: Value, scale: Fraction) -> Value:
    if scale == 1 or not isinstance(value, EXPRESSIONS):
        return value
    return Num(value.value * scale) if isinstance(value, Num) else Product((Num(scale), value))


def radians(quantity: Quantity) -> Value:
    if quantity.unit.dims != DEGREE.dims or not isinstance(quantity.value, EXPRESSIONS):
        return quantity.value
    return Product((quantity.value, Const("degree")))


def letter_unit(product: Product) -> Quantity | None:
    """`5m` reads as a product of 5 and m until it is compared with a length."""
    last = product.factors[-1]
    found = lookup(last.name) if isinstance(last, Sym) else None
    if found is None:
        return None
    rest = product.factors[:-1]
    amount = rest[0] if len(rest) == 1 else Product(rest)
    return Quantity(amount, Unit(found[0], tuple(sorted(found[1].items()))))
