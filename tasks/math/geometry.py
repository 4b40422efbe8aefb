"""Areas and volumes from numbers, exactly; what has pi in it is asked for in terms of pi.

Level 1: a plate with a hole, a box without a lid. Level 2: a part of a ring, the surface of a cylinder.
Level 3: a cylinder with a cone, half balls or a frustum on it. Level 4: polygons of 4 to 6 corners by their
coordinates. Each kind has 10^6 problems or more, but for the boxes with 1.4 * 10^6 and the cylinders with
10^6.
"""

import random
from collections.abc import Callable
from fractions import Fraction

from ...verifiers import Criterion, Rubric, Verdict, answer_tag, math_equal
from ..common.answers import bounded, judge_number, strip_words
from ..common.worked import Posed, err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

UNITS = {"cm": "centimetres", "m": "metres", "mm": "millimetres", "km": "kilometres"}
IN_PI = " Give the exact value in terms of pi."


def is_measure(name: str = "measure") -> Criterion:
    """The answer is the reference's number, times pi where it is in terms of pi; the unit may be left out."""

    def equal(reference: dict, answer: str) -> Verdict:
        if not reference["pi"]:
            return judge_number(reference, answer)
        unit = reference["after"][0]  # with it, a length is no area; left out, it is not asked for
        return math_equal(f"{reference['answer']} {unit}", strip_words(answer, (), reference["after"]))

    return bounded(name, equal)


def list_units(unit: str, power: int) -> list[str]:
    """The ways to write a unit of length, area or volume."""
    short, long = unit, UNITS[unit]
    word = ("", "", "square ", "cubic ")[power]
    sign = "" if power == 1 else f"^{power}"
    raised = ("", "", "²", "³")[power]
    written = [f"{short}{sign}", f"{short}{raised}", f"{short}^{{{power}}}", f"{word}{long}", f"{word}units"]
    return [*dict.fromkeys([*written, f"{word}{short}"])]


def cut_plate(rng: random.Random, unit: str) -> Posed:
    if rng.random() < 0.5:
        a, b, height = rng.randint(10, 150), rng.randint(10, 150), rng.randint(10, 150)
        value = a * b + 2 * (a + b) * height
        steps = [f"{a} * {b} = {a * b}", f"2 * ({a} + {b}) * {height} = {2 * (a + b) * height}"]
        steps.append(f"{a * b} + {2 * (a + b) * height} = {value}")
        prompt = (
            f"A box without a lid has a base of {a} {unit} by {b} {unit} and is {height} {unit} high. "
            "What is the "
            f"area of its outside, its base included, in square {UNITS[unit]}?"
        )
        return Posed(prompt, Fraction(value), steps, f"box {min(a, b)} {max(a, b)} {height}")
    a, b = rng.randint(20, 150), rng.randint(20, 150)
    c, d = rng.randint(3, a - 5), rng.randint(3, b - 5)
    value = a * b - c * d
    steps = [f"{a} * {b} = {a * b}", f"{c} * {d} = {c * d}", f"{a * b} - {c * d} = {value}"]
    prompt = (
        f"A rectangular plate of {a} {unit} by {b} {unit} has a rectangular hole of {c} {unit} by {d} "
        f"{unit}. What "
        f"is the area of the plate without the hole, in square {UNITS[unit]}?"
    )
    return Posed(prompt, Fraction(value), steps, f"plate {sorted((a, b))} {sorted((c, d))}")


def draw_round(rng: random.Random, unit: str) -> Posed:
    if rng.random() < 0.5:
        (inner, outer), angle = sorted(rng.sample(range(2, 200), 2)), rng.randint(1, 359)
        ring = outer**2 - inner**2
        value = Fraction(ring * angle, 360)
        steps = [
            f"{outer}^2 - {inner}^2 = {outer**2} - {inner**2} = {ring}",
            f"{ring} * {angle} = {ring * angle}",
        ]
        steps.append(f"{ring * angle} / 360 = {value}")
        said = (
            f"Two circles about one point have radii {inner} {unit} and {outer} {unit}. Two rays from "
            "that point "
            f"make an angle of {angle} degrees. What is the area between the circles within this angle"
        )
        key = f"ring {inner} {outer} {angle}"
    else:
        radius, height = rng.randint(2, 999), rng.randint(2, 999)
        top, side = 2 * radius**2, 2 * radius * height
        value = Fraction(top + side)
        steps = [f"2 * {radius}^2 = {top}", f"2 * {radius} * {height} = {side}", f"{top} + {side} = {value}"]
        said = (
            f"A closed cylinder has radius {radius} {unit} and height {height} {unit}. What is the "
            "area of all of "
            "its surface"
        )
        key = f"cylinder {radius} {height}"
    return Posed(f"{said}, in square {UNITS[unit]}?", value, steps, key)


def draw_polygon(rng: random.Random, unit: str) -> Posed:
    """A polygon whose two extreme corners lie on one line, and the others below and above of it in order."""
    count, base = rng.randint(4, 6), rng.randint(-20, 20)
    below = rng.randint(1, count - 3)
    across = rng.sample(range(-40, 41), count)
    left, right = min(across), max(across)
    inner = [x for x in across if x not in (left, right)]
    low, high = sorted(inner[:below]), sorted(inner[below:], reverse=True)
    corners = [(left, base), *((x, base - rng.randint(1, 40)) for x in low)]
    corners += [(right, base), *((x, base + rng.randint(1, 40)) for x in high)]
    pairs = list(zip(corners, [*corners[1:], corners[0]], strict=True))
    terms = [x * v - u * y for (x, y), (u, v) in pairs]
    value = Fraction(abs(sum(terms)), 2)
    steps = [f"{x}*({v}) - {u}*({y}) = {x * v - u * y}" for (x, y), (u, v) in pairs]
    steps.append(f"{abs(sum(terms))}/2 = {value}")
    listed = ", ".join(map(str, corners))
    prompt = (
        f"A polygon has the corners {listed}, in this order around it. One unit of the coordinates is "
        f"one {unit}. "
        f"What is its area in square {UNITS[unit]}?"
    )
    return Posed(prompt, value, steps, f"polygon {corners}")


def draw_body(rng: random.Random, unit: str) -> Posed:
    """A cylinder with something on top."""
    kind, radius, height = rng.choice(("cone", "ball", "frustum")), rng.randint(3, 120), rng.randint(3, 300)
    tip, top = rng.randint(3, 300), rng.randint(1, radius - 1)
    cylinder = radius * radius * height
    steps, key = [f"{radius}^2 * {height} = {cylinder}"], f"{kind} {radius} {height} {tip}"
    if kind == "cone":
        added = Fraction(radius**2 * tip, 3)
        steps += [f"{radius}^2 * {tip} = {radius**2 * tip}", f"{radius**2 * tip} / 3 = {added}"]
        said = f"has a cone of the same radius on top, which is {tip} {unit} high"
    elif kind == "ball":
        added, key = Fraction(2 * radius**3 * tip, 3), f"{key} balls"
        steps += [f"2 * {radius}^3 / 3 = {Fraction(2 * radius**3, 3)}", f"times {tip}: {added}"]
        said = f"carries {tip} half balls of the same radius, one on the other"
    else:
        squares = radius**2 + radius * top + top**2
        added, key = Fraction(squares * tip, 3), f"{key} {top}"
        steps += [f"{radius}^2 + {radius} * {top} + {top}^2 = {squares}", f"{squares} * {tip} / 3 = {added}"]
        said = f"goes on as a frustum of a cone, {tip} {unit} high, with a radius of {top} {unit} at its top"
    steps.append(f"{cylinder} + {added} = {cylinder + added}")
    opening = rng.choice(
        (
            "A cylinder of radius {} {unit} and height {} {unit}",
            "A pillar, a cylinder with radius {} {unit} and height {} {unit},",
        )
    )
    prompt = (
        f"{opening.format(radius, height, unit=unit)} {said}. What is the total volume, in cubic "
        f"{UNITS[unit]}?"
    )
    return Posed(prompt, cylinder + added, steps, key)


KINDS: tuple[Callable[[random.Random, str], Posed], ...] = (cut_plate, draw_round, draw_body, draw_polygon)


@task(
    "geometry",
    rubric=Rubric(is_measure(), answer_tag(weight=0.1)),
    levels=len(KINDS),
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=80),
    licence="Apache-2.0",
)
def geometry(rng: random.Random, level: int) -> Problem:
    """Areas and volumes from numbers: plates and boxes, circles, polygons, bodies of several parts."""
    unit, in_pi = rng.choice((*UNITS,)), level in (2, 3)
    posed = KINDS[level - 1](rng, unit)
    value = Fraction(posed.value)
    answer = f"{value.numerator}pi" if value.denominator == 1 else f"{value.numerator}pi/{value.denominator}"
    return Problem(
        posed.prompt + (IN_PI if in_pi else " Give the exact number."),
        {
            "answer": answer if in_pi else str(value),
            "pi": in_pi,
            "after": list_units(unit, 3 if level == 3 else 2),
        },
        {"steps": posed.steps},
        key=posed.key,
    )
