"""Units of measurement by name and symbol; quantities of one dimension can be converted."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

from .values import EXPRESSIONS, Const, Num, Product, Quantity, Sym, Unit, Value

PREFIXES = {
    "k": 10**3,
    "c": Fraction(1, 100),
    "m": Fraction(1, 1000),
    "d": Fraction(1, 10),
    "M": 10**6,
    "G": 10**9,
    "n": Fraction(1, 10**9),
    "mu": Fraction(1, 10**6),
    "u": Fraction(1, 10**6),
    "p": Fraction(1, 10**12),
}
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
    "cup": (Fraction("0.0002365882365"), "m^3"), "acre": (Fraction("4046.8564224"), "m^2"),
    "hectare ha": (10000, "m^2"), "cc": (Fraction(1, 10**6), "m^3"), "mph": (Fraction("0.44704"), "m s^-1"),
    "kph kmh": (Fraction(5, 18), "m s^-1"), "Wh": (3600, "kg m^2 s^-2"), "kWh": (3600000, "kg m^2 s^-2"),
    "Nm": (1, "kg m^2 s^-2"), "erg": (Fraction(1, 10**7), "kg m^2 s^-2"),
    "dyn dyne": (Fraction(1, 10**5), "kg m s^-2"), "angstrom": (Fraction(1, 10**10), "m"),
    "atm atmosphere": (101325, "kg m^-1 s^-2"), "ly lightyear": (9460730472580800, "m"),
    "AU": (149597870700, "m"), "knot": (Fraction(1852, 3600), "m s^-1"), "kilohm": (1000, "kg m^2 s^-3 A^-2"),
    "megohm": (10**6, "kg m^2 s^-3 A^-2"), "rad radian": (1, "rad"), "K kelvin": (1, "K"),
    "dollar USD usd buck": (1, "dollar"), "cent": (Fraction(1, 100), "dollar"),
    "penny pennies": (Fraction(1, 100), "dollar"), "euro EUR": (1, "euro"), "rupee INR": (1, "rupee"),
    "yen": (1, "yen"), "unit": (1, "unit"),
}  # fmt: skip
DEGREE = Unit(Fraction(1), (("degree", 1),))
RADIAN = Unit(Fraction(1), (("rad", 1),))


@cache
def units_by_name() -> dict[str, tuple[Fraction, dict[str, int]]]:
    table: dict[str, tuple[Fraction, dict[str, int]]] = {}
    for symbol, (scale, dims, words) in _PREFIXED.items():
        parsed = _dims(dims)
        for name in (symbol, *words):
            table[name] = (Fraction(scale), parsed)
        for prefix, factor in PREFIXES.items():
            table[prefix + symbol] = (Fraction(scale) * factor, parsed)
        for word, prefix in _SI_WORDS.items():
            for name in words:
                table[word + name] = (Fraction(scale) * PREFIXES[prefix], parsed)
    for names, (scale, dims) in _PLAIN.items():
        for name in names.split():
            table[name] = (Fraction(scale), _dims(dims))
    del table["pm"]  # the afternoon
    return table


def _dims(text: str) -> dict[str, int]:
    return {name: int(power or 1) for name, _, power in (part.partition("^") for part in text.split())}


def lookup(word: str) -> tuple[Fraction, dict[str, int]] | None:
    """A unit by symbol or name, singular or plural; names in any case."""
    table = units_by_name()
    if word in table:
        return table[word]
    folded = word.lower() if len(word) > 2 else word
    for name in (folded, folded.removesuffix("s"), folded.removesuffix("es")):
        if len(name) > 1 and name in table:
            return table[name]
    return None


def scale_by(value: Value, scale: Fraction) -> Value:
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
    unit = lookup(last.name) if isinstance(last, Sym) else None
    if unit is None:
        return None
    rest = product.factors[:-1]
    amount = rest[0] if len(rest) == 1 else Product(rest)
    return Quantity(amount, Unit(unit[0], tuple(sorted(unit[1].items()))))
