"""The references of problems of counting, chance, geometry, units and time, found again from the words: by
enumeration, by the calendar of the standard library."""

import datetime as dt
import math
import re
from fractions import Fraction
from itertools import combinations, product

import sympy
from palaestra.tasks.math.dates import read_date

from .drawn import answer_of, draw


def test_counts_are_those_of_counting():
    for problem in draw("counting", count=60):
        kind, numbers = problem.key.split()[0], [int(each) for each in re.findall(r"\d+", problem.key)]
        if kind == "divisible":
            level, low, high, *divisors = numbers
            least = {1: lambda hits: hits >= 1, 2: lambda hits: hits == 1, 3: lambda hits: hits >= 1}[level]
            value = sum(least(sum(n % each == 0 for each in divisors)) for n in range(low, high + 1))
        elif kind == "committee":
            value = math.prod(math.comb(n, k) for n, k in zip(numbers[::2], numbers[1::2], strict=True))
        else:
            points = list(zip(numbers[::2], numbers[1::2], strict=True))
            value = count_paths(points[-1], set(points[1:-1]), kind == "around")
        assert int(problem.reference) == value, problem.text


def count_paths(end, marked, avoid):
    """Ways by adding up, field by field, apart by how many marked fields they have met."""
    ways = {(0, 0): [1] + [0] * len(marked)}
    for x, y in product(range(end[0] + 1), range(end[1] + 1)):
        if (x, y) != (0, 0):
            reached = [
                a + b
                for a, b in zip(
                    *(ways.get(p, [0] * (len(marked) + 1)) for p in ((x - 1, y), (x, y - 1))), strict=True
                )
            ]
            ways[x, y] = [0, *reached[:-1]] if (x, y) in marked else reached
    return ways[end][0 if avoid else len(marked)]


def test_probabilities_are_those_of_enumeration():
    for problem in draw("probability", levels=(1,)):
        asked, counts = problem.key.split()[1], [int(each) for each in re.findall(r"\d+", problem.key)]
        total = sum(counts)
        same = sum(Fraction(c, total) * Fraction(c - 1, total - 1) for c in counts)
        mixed = 2 * Fraction(counts[0], total) * Fraction(counts[1], total - 1)
        assert Fraction(problem.reference) == (same if asked == "same" else mixed)
        assert ("same" in problem.text) == (asked == "same")
    balls = [0] * 4 + [1] * 5 + [2] * 3
    drawn = [sorted(each) for each in combinations(balls, 4)]
    assert Fraction(sum(each == [0, 1, 1, 2] for each in drawn), len(drawn)) == Fraction(
        4 * 10 * 3, math.comb(12, 4)
    )
    for problem in draw("probability", levels=(2,)):
        numbers = [int(each) for each in re.findall(r"\d+", problem.key)]
        value = Fraction(1)
        total, left = sum(numbers[::2]), sum(numbers[1::2])
        for count, chosen in zip(numbers[::2], numbers[1::2], strict=True):  # one ball after the other
            for step in range(chosen):
                value *= Fraction(count - step, total) * Fraction(left, step + 1)
                total, left = total - 1, left - 1
        assert Fraction(problem.reference) == value, problem.text
    for problem in draw("probability", levels=(3,)):
        made = [int(each) for each in re.findall(r"made (\d+)", problem.text)]
        rates = [Fraction(each) for each in re.findall(r"faulty with probability (\d+/\d+)", problem.text)]
        asked = "ABCD".index(re.findall(r"machine ([ABCD])(?: made it)?\?", problem.text)[0])
        faulty = [count * rate for count, rate in zip(made, rates, strict=True)]
        assert Fraction(problem.reference) == faulty[asked] / sum(faulty)
    for problem in draw("probability", levels=(4,), count=10):
        p, q, trials, wanted = problem.key.split()[1:]
        p, q, total = Fraction(p), Fraction(q), Fraction(0)
        for hits in product((0, 1), repeat=int(trials)):
            if sum(hits) in (int(wanted), int(wanted) + 1):
                total += math.prod(p if hit else 1 - p for hit in hits)
        assert Fraction(problem.reference) == q * total


def test_areas_and_volumes_follow_from_the_words():
    for problem in draw("geometry", levels=(1, 2, 3)):
        numbers = [int(each) for each in re.findall(r"\d+", problem.text)]
        value = sympy.Rational(answer_of(problem).replace("pi", ""))
        if "hole" in problem.text:
            a, b, c, d = numbers
            expected = a * b - c * d
        elif "lid" in problem.text:
            a, b, c = numbers
            expected = a * b + 2 * a * c + 2 * b * c
        elif "circles" in problem.text:
            inner, outer, angle = numbers
            expected = sympy.Rational(angle, 360) * (outer**2 - inner**2)
        elif "closed" in problem.text:
            radius, height = numbers
            expected = 2 * radius * height + 2 * radius**2
        else:
            radius, height, tip, *rest = numbers
            t = sympy.Symbol("t")
            top = rest[0] if rest else 0
            at = radius + (sympy.Integer(top) - radius) * t / tip
            ball = sympy.Rational(2, 3) * radius**3 * tip
            added = ball if "balls" in problem.text else sympy.integrate(at**2, (t, 0, tip))
            expected = radius**2 * height + added
        assert value == expected, problem.text
    for problem in draw("geometry", levels=(4,)):
        corners = [sympy.Point(*map(int, pair)) for pair in re.findall(r"\((-?\d+), (-?\d+)\)", problem.text)]
        polygon = sympy.Polygon(*corners)
        assert abs(polygon.area) == sympy.Rational(answer_of(problem)), problem.text
    sides = polygon.sides
    assert not any(
        one.intersection(two) for one, two in combinations(sides, 2) if not {*one.points} & {*two.points}
    )


def test_conversions_follow_from_the_factors_that_are_said():
    metres = {"millimetres": 1000, "centimetres": 100, "metres": 1, "kilometres": Fraction(1, 1000)}
    seen = 0
    for problem in draw("unit_conversion", levels=(1, 3), count=100):
        amount, old, new = problem.key.replace(" to ", " ").split()
        value = Fraction(answer_of(problem))
        said = re.search(r"1 \w+ is ([\d.]+) (centimetres|metres|kilometres)", problem.text)
        names = {"mm": "millimetres", "cm": "centimetres", "m": "metres", "km": "kilometres"}
        if new in names and (said or old in names):
            base = Fraction(said[1]) / metres[said[2]] if said else 1 / Fraction(metres[names[old]])
            assert value == Fraction(amount) * base * metres[names[new]], problem.text
            seen += 1
    assert seen > 30
    day = {"s": 86400, "min": 1440, "h": 24, "d": 1}
    for problem in draw("unit_conversion", levels=(1,), count=100):
        amount, old, new = problem.key.replace(" to ", " ").split()
        if old in day:
            assert Fraction(answer_of(problem)) == Fraction(amount) * day[new] / day[old]


def test_dates_are_those_of_the_calendar():
    for problem in draw("dates"):
        kind, *rest = problem.key.split()
        start = dt.date.fromisoformat(rest[0])
        if kind == "between":
            assert int(answer_of(problem)) == dt.date.fromisoformat(rest[1]).toordinal() - start.toordinal()
        elif kind == "after":
            assert read_date(answer_of(problem)).toordinal() == start.toordinal() + int(rest[1])
        else:
            end = read_date(answer_of(problem))
            days = range(start.toordinal() + 1, end.toordinal() + 1)
            assert sum(dt.date.fromordinal(day).weekday() < 5 for day in days) == int(rest[1])
            assert end.weekday() < 5
            assert start.weekday() < 5


def test_times_are_those_of_time_zones():
    def aware(text, offset):
        hours, minutes = map(int, text.split(":"))
        return dt.datetime(2001, 6, 5, hours, minutes, tzinfo=dt.timezone(offset))

    def read_offset(text):
        sign, hours, minutes = re.fullmatch(r"UTC([+-])(\d+)(?::(\d+))?", text).groups()
        return dt.timedelta(hours=int(hours), minutes=int(minutes or 0)) * (1 if sign == "+" else -1)

    def read_spans(text):
        found = re.findall(r"(?:(\d+) hours? ?)?(?:(\d+) minutes?)?", text)
        return [dt.timedelta(hours=int(h or 0), minutes=int(m or 0)) for h, m in found if h or m]

    for problem in draw("clocks"):
        offsets = dict(re.findall(r"(\w+) (?:is )?at (UTC[+-][\d:]+)", problem.text))
        (start,) = re.findall(r"(?<![+-])\b\d\d:\d\d\b", problem.text.split(" Answer")[0])
        back = -1 if re.search(r"ago|before", problem.text) else 1
        first, *_, last = [*offsets.values()] or ["UTC+0"] * 2
        now = aware(start, read_offset(first)) + back * sum(read_spans(problem.text), dt.timedelta())
        assert now.astimezone(dt.timezone(read_offset(last))).strftime("%H:%M") == answer_of(problem), (
            problem.text
        )
