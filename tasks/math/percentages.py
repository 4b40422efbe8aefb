"""Percentages in words: a share, a change, the value before a change, several changes in turn.

Levels 1 to 4 are these. Percentages are whole, amounts have two decimals at most, and results are exact.
Amounts go to 20,000 and beyond, so that each level has more than 10^6 problems.
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
    """before, after: what may stand on that side of a number of it."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """text: with gaps for the numbers.  unit: in which it asks for its answer."""

    text: str
    unit: Unit = Unit()


EUROS = Unit(("€",), ("euros", "euro", "€", "EUR"))
DOLLARS = Unit(("$",), ("dollars", "dollar", "$", "USD"))
KILOGRAMS = Unit((), ("kilograms", "kilogram", "kg"))
SHARES = (
    Story("What is {p}% of {n}?"),
    Story("A club has {n} euros and spends {p}% of that. How many euros does it spend?", EUROS),
    Story("{p}% of a sum of {n} dollars is paid in cash. How many dollars is that?", DOLLARS),
)
CHANGES = (
    Story("A price of {n} euros {rises} by {p}%. What is the new price in euros?", EUROS),
    Story(
        "Something costs {n} dollars, and its price {rises} by {p}%. How many dollars does it cost now?",
        DOLLARS,
    ),
    Story("A number is {n}. It {rises} by {p}%. What is it then?"),
)
REVERSED = (
    Story(
        "After its price {rose} by {p}%, an article costs {n} euros. How many euros did it cost before?",
        EUROS,
    ),
    Story("A quantity {rose} by {p}% and is {n} now. What was it before?"),
    Story("A salary {rose} by {p}% to {n} dollars. How many dollars was it before?", DOLLARS),
)
TURNS = (
    Story("A share costs {n} euros. Its price {listed}. What is its price then, in euros?", EUROS),
    Story("A stock of {n} kilograms {listed}. How many kilograms is it then?", KILOGRAMS),
    Story("A number is {n}. It {listed}. What is it then?"),
)
EXACT = " Give the exact number."


@dataclass(frozen=True, slots=True)
class Told:
    """A question, and the unit of its answer."""

    posed: Posed
    unit: Unit


def change(value: Fraction, percent: int, up: bool) -> tuple[Fraction, str]:
    """A value after a change by some per cent, and the step that shows it."""
    share = Fraction(100 + percent if up else 100 - percent, 100)
    return value * share, f"{write_decimal(value)} * {write_decimal(share)} = {write_decimal(value * share)}"


def tell(
    rng: random.Random,
    stories: tuple[Story, ...],
    said: dict[str, str],
    value: Fraction,
    steps: list[str],
    key: str,
) -> Told:
    """One of the stories, with what it says in its gaps."""
    story = rng.choice(stories)
    return Told(Posed(story.text.format(**said), value, steps, key), story.unit)


def ask_once(rng: random.Random, level: int) -> Told:
    """A share (level 1), the value after a change (2), or before it (3)."""
    percent, up, amount = rng.randint(2, 98), rng.random() < 0.5, Fraction(rng.randrange(101, 30_000))
    rises, rose = ("rises", "rose") if up else ("falls", "fell")
    said = {"p": str(percent), "n": str(amount), "rises": rises, "rose": rose}
    if level == 3:
        after, step = change(amount, percent, up)
        whole = 100 + percent if up else 100 - percent
        one = write_decimal(after / whole)
        said["n"] = write_decimal(after)
        steps = [
            f"{said['n']} is {whole}%",
            f"1% is {said['n']} / {whole} = {one}",
            f"{one} * 100 = {amount}",
            f"check: {step}",
        ]
        return tell(rng, REVERSED, said, amount, steps, f"before {percent} {up} {amount}")
    share, hundredth = amount * percent / 100, write_decimal(amount / 100)
    steps = [f"{amount} / 100 = {hundredth}", f"{hundredth} * {percent} = {write_decimal(share)}"]
    if level == 1:
        return tell(rng, SHARES, said, share, steps, f"share {percent} {amount}")
    value, sign = (amount + share, "+") if up else (amount - share, "-")
    steps.append(f"{amount} {sign} {write_decimal(share)} = {write_decimal(value)}")
    return tell(rng, CHANGES, said, value, steps, f"change {percent} {up} {amount}")


def ask_turns(rng: random.Random, turns: int) -> Told:
    """Several changes in turn."""
    start = Fraction(rng.randrange(1_000, 100_000))
    value, steps, said = start, [], []
    for _ in range(turns):
        percent, up = 5 * rng.randint(1, 19), rng.random() < 0.5
        value, step = change(value, percent, up)
        steps.append(step)
        said.append(f"{'rises' if up else 'falls'} by {percent}%")
    listed = ", then ".join(said)
    return tell(rng, TURNS, {"n": str(start), "listed": listed}, value, steps, f"turns {start} {listed}")


@task(
    "percentages",
    rubric=Rubric(written_number(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=70),
    licence="Apache-2.0",
)
def percentages(rng: random.Random, level: int) -> Problem:
    """Percentages in words: a share, a change, the value before a change, four changes in turn."""
    told = ask_turns(rng, 4) if level == 4 else ask_once(rng, level)
    posed, unit = told.posed, told.unit
    reference = {
        "answer": write_decimal(posed.value),
        "before": list(unit.before),
        "after": list(unit.after),
    }
    return Problem(posed.prompt + EXACT, reference, {"steps": posed.steps}, key=posed.key)
