"""Quantities in other units: every factor is exact, and those that are no powers of ten are said.

Level 1: metric lengths, masses, volumes; times. Level 2: speeds, areas and volumes in cubed units. Level 3:
inches, feet, miles, pounds, gallons to metric units. Level 4: rates of two units, as miles per hour to metres
per second. Amounts go to 99,999 with one decimal, so that each pair of units has 10^6.
"""

import random
from dataclasses import dataclass
from fractions import Fraction

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.numbers import write_decimal
from ..common.worked import Posed, err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task


@dataclass(frozen=True, slots=True)
class Unit:
    """size: how many of the quantity's base units it is.  known: what a prompt has to say about it, or ""."""

    name: str
    short: str
    size: Fraction
    known: str = ""


# kind | name | sign | size in the kind's base unit | what a prompt has to say about it, if anything
_TABLE = """
length | millimetres | mm | 1/1000
length | centimetres | cm | 1/100
length | metres | m | 1
length | kilometres | km | 1000
mass | milligrams | mg | 1/1000
mass | grams | g | 1
mass | kilograms | kg | 1000
mass | tonnes | t | 1000000 | 1 tonne is 1000 kilograms
volume | millilitres | ml | 1/1000
volume | centilitres | cl | 1/100
volume | litres | l | 1
time | seconds | s | 1
time | minutes | min | 60
time | hours | h | 3600
time | days | d | 86400 | 1 day is 24 hours
speed | metres per second | m/s | 1
speed | kilometres per hour | km/h | 5/18
speed | metres per minute | m/min | 1/60
area | square millimetres | mm^2 | 1/1000000
area | square centimetres | cm^2 | 1/10000
area | square metres | m^2 | 1
area | hectares | ha | 10000 | 1 hectare is 10000 square metres
area | square kilometres | km^2 | 1000000
space | cubic centimetres | cm^3 | 1/1000
space | litres | l | 1 | 1 litre is 1 cubic decimetre
space | cubic metres | m^3 | 1000
foreign length | inches | in | 0.0254 | 1 inch is 2.54 centimetres
foreign length | feet | ft | 0.3048 | 1 foot is 0.3048 metres
foreign length | yards | yd | 0.9144 | 1 yard is 0.9144 metres
foreign length | miles | mi | 1609.344 | 1 mile is 1.609344 kilometres
foreign mass | pounds | lb | 453.59237 | 1 pound is 0.45359237 kilograms
foreign mass | ounces | oz | 28.349523125 | 1 ounce is 28.349523125 grams
foreign volume | US gallons | gal | 3.785411784 | 1 US gallon is 3.785411784 litres
foreign volume | US pints | pt | 0.473176473 | 1 US pint is 0.473176473 litres
"""
_ROWS = [line.split(" | ") for line in _TABLE.strip().splitlines()]
UNITS = {
    kind: tuple(
        Unit(name, short, Fraction(size), *known) for of, name, short, size, *known in _ROWS if of == kind
    )
    for kind in dict.fromkeys(row[0] for row in _ROWS)
}
PAIRS = {  # by level: units to convert from, and to
    1: (("length", "length"), ("mass", "mass"), ("volume", "volume"), ("time", "time")),
    2: (("speed", "speed"), ("area", "area"), ("space", "space")),
    3: (("foreign length", "length"), ("foreign mass", "mass"), ("foreign volume", "volume")),
}
RATES = (  # what is measured, over what
    (UNITS["foreign length"], UNITS["length"][2:], UNITS["time"][:3], "moves"),
    (UNITS["foreign mass"], UNITS["mass"][1:3], UNITS["time"][:3], "uses up"),
    (UNITS["foreign volume"], UNITS["volume"][::2], UNITS["time"][:3], "pumps"),
)
PLACES = 14
ASK = (
    "Convert {n} {old} to {new}.",
    "How many {new} are {n} {old}?",
    "Express {n} {old} in {new}.",
)


def write_exact(value: Fraction) -> str:
    """As a decimal where it has one of at most PLACES places, else as a fraction."""
    return write_decimal(value) if 10**PLACES % value.denominator == 0 else str(value)


@dataclass(frozen=True, slots=True)
class Conversion:
    """units: what may stand behind the answer."""

    posed: Posed
    units: tuple[str, ...]


def ask_rate(rng: random.Random, amount: Fraction) -> Conversion:
    """So much in some time, as a rate of two other units."""
    given, wanted, times, does = rng.choice(RATES)
    old, new, (span, per) = rng.choice(given), rng.choice(wanted), rng.sample(times, 2)
    duration = rng.randint(2, 60)
    factor, seconds = old.size / new.size, Fraction(span.size) / per.size
    total, spent = amount * factor, duration * seconds
    value = total / spent
    prompt = (
        f"A machine {does} {write_decimal(amount)} {old.name} in {duration} {span.name}. How many "
        f"{new.name} is that "
        f"per {per.name[:-1]}, on average? ({old.known}.)"
    )
    steps = [
        f"{write_decimal(amount)} {old.name} = {write_exact(total)} {new.name}",
        f"{duration} {span.name} = {write_exact(spent)} {per.name}",
        f"{write_exact(total)} / ({write_exact(spent)}) = {write_exact(value)}",
    ]
    units = (f"{new.name} per {per.name[:-1]}", f"{new.short}/{per.short}", new.name)
    key = f"rate {amount} {old.short} {new.short} {duration} {span.short} {per.short}"
    return Conversion(Posed(prompt, value, steps, key), units)


def convert(rng: random.Random, amount: Fraction, level: int) -> Conversion:
    """A quantity in another unit of its kind."""
    given, wanted = (UNITS[kind] for kind in rng.choice(PAIRS[level]))
    old, new = rng.choice(given), rng.choice(wanted)
    while old is new:
        new = rng.choice(wanted)
    factor, shown = old.size / new.size, write_decimal(amount)
    value = amount * factor
    known = "; ".join(unit.known for unit in (old, new) if unit.known)
    prompt = rng.choice(ASK).format(n=shown, old=old.name, new=new.name) + (f" ({known}.)" if known else "")
    steps = [f"1 {old.short} = {write_exact(factor)} {new.short}"]
    steps.append(f"{shown} * {write_exact(factor)} = {write_exact(value)}")
    return Conversion(
        Posed(prompt, value, steps, f"{amount} {old.short} to {new.short}"), (new.name, new.short)
    )


@task(
    "unit_conversion",
    rubric=Rubric(written_number(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=70),
    licence="Apache-2.0",
)
def unit_conversion(rng: random.Random, level: int) -> Problem:
    """Quantities in other units: metric, squared and cubed ones and speeds, inches to gallons, rates."""
    amount = Fraction(rng.randrange(11, 999_999), 10)
    drawn = ask_rate(rng, amount) if level == 4 else convert(rng, amount, level)
    reference = {"answer": write_exact(Fraction(drawn.posed.value)), "after": list(drawn.units)}
    prompt = f"{drawn.posed.prompt} Give the exact number, as a decimal or a fraction."
    return Problem(prompt, reference, {"steps": drawn.posed.steps}, key=drawn.posed.key)
