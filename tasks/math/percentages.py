"""Percentages in words: a share, a change, the value before a change, several changes in turn.

Levels 1 to 4 are these. Percentages are whole, amounts have two decimals at most, and results are exact.
Amounts go to 20,000 and beyond, so that each level has more than 10^6 problems.
"""

import random
from fractions import Fraction

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.numbers import write_decimal
from ..common.worked import show_work
from ..core.problem import Problem
from ..core.task import task

SHARES = (
    "What is {p}% of {n}?",
    "A club has {n} euros and spends {p}% of that. How many euros does it spend?",
    "{p}% of a sum of {n} dollars is paid in cash. How many dollars is that?",
)
CHANGES = (
    "A price of {n} euros {rises} by {p}%. What is the new price in euros?",
    "Something costs {n} dollars, and its price {rises} by {p}%. How many dollars does it cost now?",
    "A number is {n}. It {rises} by {p}%. What is it then?",
)
REVERSED = (
    "After its price {rose} by {p}%, an article costs {n} euros. How many euros did it cost before?",
    "A quantity {rose} by {p}% and is {n} now. What was it before?",
    "A salary {rose} by {p}% to {n} dollars. How many dollars was it before?",
)
EXACT = " Give the exact number."
SHOWN = {"before": ("$", "€"), "after": ("euros", "euro", "dollars", "€", "$", "EUR", "USD")}


def change(value: Fraction, percent: int, up: bool) -> tuple[Fraction, str]:
    """A value after a change by some per cent, and the step that shows it."""
    share = Fraction(100 + percent if up else 100 - percent, 100)
    return value * share, f"{write_decimal(value)} * {write_decimal(share)} = {write_decimal(value * share)}"


def ask_turns(rng: random.Random, turns: int) -> tuple[str, Fraction, list[str], str]:
    """Several changes in turn: prompt, answer, steps, key."""
    start = Fraction(rng.randrange(1_000, 100_000))
    value, steps, said = start, [], []
    for _ in range(turns):
        percent, up = 5 * rng.randint(1, 19), rng.random() < 0.5
        value, step = change(value, percent, up)
        steps.append(step)
        said.append(f"{'rises' if up else 'falls'} by {percent}%")
    listed = ", then ".join(said)
    opening = rng.choice(
        ("A share costs {} euros. Its price", "A stock of {} kilograms", "A number is {}. It")
    )
    asked = {"A share": "What is its price then, in euros?", "A stock": "How many kilograms is it then?"}
    ending = asked.get(opening[:7], "What is it then?")
    return f"{opening.format(start)} {listed}. {ending}", value, steps, f"turns {start} {listed}"


@task(
    "percentages",
    rubric=Rubric(written_number(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    licence="Apache-2.0",
)
def percentages(rng: random.Random, level: int) -> Problem:
    """Percentages in words: a share, a change, the value before a change, three changes in turn."""
    percent, up = rng.randint(2, 98), rng.random() < 0.5
    amount = Fraction(rng.randrange(101, 30_000))
    said = {"p": percent, "n": amount, "rises": "rises" if up else "falls", "rose": "rose" if up else "fell"}
    if level == 1:
        value = amount * percent / 100
        steps = [f"{amount} / 100 = {write_decimal(amount / 100)}"]
        steps.append(f"{write_decimal(amount / 100)} * {percent} = {write_decimal(value)}")
        prompt, key = rng.choice(SHARES).format(**said), f"share {percent} {amount}"
    elif level == 2:
        difference = amount * percent / 100
        value = amount + difference if up else amount - difference
        sign = "+" if up else "-"
        steps = [f"{amount} / 100 = {write_decimal(amount / 100)}"]
        steps.append(f"{write_decimal(amount / 100)} * {percent} = {write_decimal(difference)}")
        steps.append(f"{amount} {sign} {write_decimal(difference)} = {write_decimal(value)}")
        prompt, key = rng.choice(CHANGES).format(**said), f"change {percent} {up} {amount}"
    elif level == 3:
        value = amount
        after, step = change(value, percent, up)
        share = 100 + percent if up else 100 - percent
        steps = [f"{write_decimal(after)} is {share}%", f"1% is {write_decimal(after)} / {share} = "]
        steps[1] += write_decimal(after / share)
        steps += [f"{write_decimal(after / share)} * 100 = {write_decimal(value)}", f"check: {step}"]
        said["n"] = write_decimal(after)
        prompt, key = rng.choice(REVERSED).format(**said), f"before {percent} {up} {amount}"
    else:
        prompt, value, steps, key = ask_turns(rng, 3)
    unit = {"before": SHOWN["before"], "after": (*SHOWN["after"], "kilograms", "kg")}
    return Problem(prompt + EXACT, {"answer": write_decimal(value), **unit}, {"steps": steps}, key=key)
