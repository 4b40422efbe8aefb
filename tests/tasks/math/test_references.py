"""The references of generated problems, found again by other means.

They are read from the prompt or the key, and worked out by sympy, the calendar of the standard library, or by
counting one by one.
"""

import datetime as dt
import math
import random
import re
from fractions import Fraction
from itertools import combinations, product

import pytest
import sympy
from palaestra.tasks import get
from palaestra.tasks.common.polynomials import order_factors
from palaestra.tasks.math.arithmetic import join, write_number
from palaestra.tasks.math.dates import read_date
from palaestra.verifiers.arithmetic import Grammar, evaluate

SHOWN = (  # tasks whose steps are sums and products of numbers
    *("antiderivatives", "arithmetic", "counting", "decimal_arithmetic", "definite_integrals", "derivatives"),
    *("diophantine", "divisor_functions", "geometry", "modular_arithmetic", "number_bases", "percentages"),
    *("prime_factors", "probability", "sequences", "unit_conversion"),
)
X = sympy.Symbol("x")
DRAWN = 15


def draw(name: str, levels=None, count: int = DRAWN):
    source, rng = get(name).source, random.Random(f"references {name}")
    return [
        source.generate(rng, level) for level in levels or range(1, source.levels + 1) for _ in range(count)
    ]


def answer_of(problem) -> str:
    return problem.reference["answer"] if isinstance(problem.reference, dict) else problem.reference


def read_sympy(text: str):
    """Our own text: `3x^2 (x + 1)` as sympy has it."""
    transformations = (
        *sympy.parsing.sympy_parser.standard_transformations,
        sympy.parsing.sympy_parser.implicit_multiplication,
        sympy.parsing.sympy_parser.convert_xor,
    )
    names = {"x": X, "y": sympy.Symbol("y"), "n": sympy.Symbol("n"), "e": sympy.E, "C": 0, "ln": sympy.log}
    text = re.sub(r"(?<=[\dx)])(?=e\^|sin|cos|ln)", "*", text).replace("xy", "x*y")
    return sympy.parsing.sympy_parser.parse_expr(text, names, transformations)


def test_arithmetic_is_evaluated():
    for problem in draw("arithmetic"):
        text = problem.metadata["expression"]
        assert evaluate(text, Grammar(max_digits=9)).value == int(problem.reference)
        assert text in problem.text


def test_fractions_are_evaluated():
    for problem in draw("fraction_arithmetic"):
        text = re.sub(r"(?<![/(\d])(\d+/\d+)(?![\d)])", r"(\1)", problem.metadata["expression"])
        assert problem.metadata["expression"] in problem.text
        assert evaluate(text, Grammar(max_digits=9)).value == Fraction(problem.reference), problem.text


def test_decimals_are_evaluated_and_rounded():
    for problem in draw("decimal_arithmetic"):
        scaled = re.sub(
            r"(\d+)\.(\d+)", lambda m: f"({m[1]}{m[2]}/{10 ** len(m[2])})", problem.metadata["expression"]
        )
        assert problem.metadata["expression"] in problem.text
        value = evaluate(scaled).value
        if "Round" in problem.text:
            assert abs(value - Fraction(problem.reference)) < Fraction(1, 200)
            assert re.fullmatch(r"-?\d+(\.\d{1,2})?", problem.reference)
        else:
            assert value == Fraction(problem.reference)


def test_percentages_follow_from_the_words():
    for problem in draw("percentages"):
        numbers = [
            Fraction(number) for number in re.findall(r"\d+(?:\.\d+)?(?!\d*%)(?![\d.]*%)", problem.text)
        ]
        shares = [int(number) for number in re.findall(r"(\d+)%", problem.text)]
        signs = [
            1 if word in ("rises", "rose") else -1
            for word in re.findall(r"rises|falls|rose|fell", problem.text)
        ]
        (start,) = numbers
        if not signs:
            value = start * shares[0] / 100
        elif "before" in problem.text:
            value = start / (1 + Fraction(signs[0] * shares[0], 100))
        else:
            value = start
            for sign, share in zip(signs, shares, strict=True):
                value *= 1 + Fraction(sign * share, 100)
        assert value == Fraction(answer_of(problem)), problem.text


def test_percentages_take_the_unit_of_their_story_and_no_other():
    task = get("percentages")
    written = {
        "euros": ("{} euros", "€{}", "{} EUR"),
        "dollars": ("{} dollars", "${}", "{} USD"),
        "kilograms": ("{} kg", "{} kilograms"),
    }
    asked = set()
    for problem in draw("percentages"):
        for unit, forms in written.items():
            expected = unit in problem.text
            asked |= {unit} if expected else set()
            for form in forms:
                score = task.score(f"<answer>{form.format(answer_of(problem))}</answer>", problem)
                assert score.passed == expected, (problem.text, form)
    assert asked == {*written}


def test_equations_are_solved():
    for problem in draw("linear_equations"):
        left, right = map(read_sympy, problem.key.split("="))
        assert sympy.solve(left - right, X) == [sympy.Rational(answer_of(problem))], problem.text
    for problem in draw("polynomial_equations"):
        left, right = map(read_sympy, problem.key.split("="))
        found = {read_sympy(root) for root in problem.reference["solutions"]}
        real = sympy.Poly(left - right, X).real_roots()
        assert {sympy.nsimplify(sympy.simplify(root)) for root in found} == {
            sympy.simplify(root) for root in real
        }


def test_systems_and_diophantine_equations_hold_for_their_references():
    for problem in draw("linear_systems"):
        values = dict(part.split(" = ") for part in answer_of(problem).split(", "))
        for line in problem.text.split("\n")[1:-1]:
            for name, value in values.items():
                line = re.sub(rf"(\d*){name}", lambda m, value=value: f"{m[1] or 1}*({value})", line)
            left, right = line.split(" = ")
            assert evaluate(left).value == int(right), problem.text
        matrix = sympy.Matrix([row[:-1] for row in problem.reference["rows"]])
        assert matrix.det() != 0
    for problem in draw("diophantine"):
        a, b, total = map(int, re.findall(r"(\d+)x \+ (\d+)y = (\d+)", problem.text)[0])
        x, y = map(int, re.findall(r"-?\d+", answer_of(problem)))
        assert a * x + b * y == total
        assert ("positive" in problem.text) == problem.reference["positive"]
        assert not problem.reference["positive"] or min(x, y) > 0


def test_polynomials_are_those_of_sympy():
    for problem in draw("expand"):
        assert sympy.expand(read_sympy(problem.key)) == sympy.expand(read_sympy(answer_of(problem))), (
            problem.text
        )
    for problem in draw("factor"):
        whole = sympy.expand(read_sympy(problem.key))
        assert whole == sympy.expand(read_sympy(answer_of(problem)))
        _, factors = sympy.factor_list(whole)
        assert sum(count for _, count in factors) == problem.reference["count"], problem.text
    for problem in draw("antiderivatives"):
        assert sympy.expand(sympy.diff(read_sympy(answer_of(problem)), X) - read_sympy(problem.key)) == 0
    for problem in draw("definite_integrals"):
        text, low, high = problem.key.rsplit(" ", 2)
        value = sympy.integrate(sympy.expand(read_sympy(text)), (X, int(low), int(high)))
        assert value == sympy.Rational(problem.reference), problem.text


def test_derivatives_are_those_of_sympy():
    for problem in draw("derivatives", count=8):
        ours, theirs = read_sympy(problem.reference), sympy.diff(read_sympy(problem.key), X)
        for point in (sympy.Rational(1, 3), sympy.Rational(7, 5)):
            gap = sympy.N((ours - theirs).subs(X, point), 30)
            assert abs(gap) < 1e-15 * (1 + abs(sympy.N(theirs.subs(X, point), 30))), problem.text


def holds(text: str, x: Fraction) -> bool:
    """An inequality at a point where nothing is divided by 0."""
    text = re.sub(r"\|([^|]*)\|", r"abs(\1)", text).replace("^", "**")
    text = re.sub(r"(\d)\s*(?=[x(])", r"\1*", text)
    return eval(text, {"x": x, "abs": abs, "__builtins__": {}})


def test_inequalities_hold_where_their_references_say():
    for problem in draw("inequalities"):
        ends = [Fraction(end) for end in re.findall(r"-?\d+(?:/\d+)?", answer_of(problem))]
        tried = {end + Fraction(shift, 1000) for end in ends for shift in (-1, 0, 1)} | {
            Fraction(-(10**6)),
            Fraction(10**6),
        }
        for x in tried:
            try:
                expected = holds(problem.key, x)
            except ZeroDivisionError:  # nothing holds at a pole
                expected = False
            said = re.sub(r"-?\d+/\d+", lambda m: f"Fraction('{m[0]}')", answer_of(problem))
            found = eval(said, {"x": x, "Fraction": Fraction, "__builtins__": {}})
            assert expected == found, (problem.text, answer_of(problem), x)


def test_remainders_are_the_least():
    for problem in draw("modular_arithmetic"):
        if problem.key.startswith("1/"):
            a, modulus = map(int, re.findall(r"\d+", problem.key)[1:])
            assert int(problem.reference) == pow(a, -1, modulus)
            continue
        text, modulus = problem.key.split(" mod ")
        value = eval(
            re.sub(r"(\d+)\^(\d+)", rf"pow(\1, \2, {modulus})", text), {"pow": pow, "__builtins__": {}}
        )
        assert int(problem.reference) == value % int(modulus), problem.text
    for problem in draw("remainders"):
        pairs = [tuple(map(int, pair.split(" mod "))) for pair in problem.key.split(", ")]
        whole = math.lcm(*(modulus for _, modulus in pairs))
        value = int(problem.reference)
        assert 0 <= value < whole
        assert all(value % modulus == remainder for remainder, modulus in pairs)
        assert all(str(number) in problem.text for pair in pairs for number in pair)


def test_primes_and_divisors_are_those_of_sympy():
    for problem in draw("prime_factors"):
        assert dict(problem.reference["primes"]) == sympy.factorint(int(problem.key))
        assert problem.key in problem.text
    for problem in draw("divisor_functions"):
        kind, a, b = problem.key.split()
        a, b = int(a), int(b)
        if kind == "multiple":
            value = math.lcm(a, b)
        elif kind == "sum":
            value = sum(sympy.divisors(a)) + sum(sympy.divisors(b))
        else:
            value = sympy.totient(a) * sympy.totient(b)
        assert int(problem.reference) == value
        words = {"multiple": "divide|multiple", "sum": "divisors", "coprime": "coprime|totient"}
        assert re.search(words[kind], problem.text)


def test_numerals_are_read_by_python():
    for problem in draw("number_bases"):
        value = int(answer_of(problem), problem.reference["base"])
        if " in " in problem.key:
            a, sign, b, _, _ = problem.key.split()
            assert value == (int(a) + int(b) if sign == "+" else int(a) * int(b))
        else:
            assert value == int(problem.key.split()[0])
        shown = re.findall(r"\b(?=\w*\d)[0-9a-z]+\b", problem.text.split(" Digits")[0])
        assert str(problem.reference["base"]) in shown


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


def test_terms_of_sequences_are_counted_out():
    for problem in draw("sequences", levels=(1, 2)):
        shown = [int(each) for each in re.findall(r"-?\d+(?=,)|(?<=, )-?\d+", problem.text.split(". ")[0])]
        terms = shown[: 4 if "arithmetic" in problem.key else 5]
        place = int(re.findall(r"number (\d+)", problem.text)[0])
        value = sympy.interpolate(terms, place)
        assert value == int(problem.reference), problem.text
    n = sympy.Symbol("n")
    for problem in draw("sequences", levels=(4,)):
        formula = re.search(r"(?:sum of|sequence is) (.+?)(?: over|, for)", problem.text)[1]
        count = int(re.search(r"(?:from 1 to|its first) (\d+)", problem.text)[1])
        assert sum(read_sympy(formula).subs(n, k) for k in range(1, count + 1)) == int(problem.reference)
    for problem in draw("sequences", levels=(3,)):
        p, q, added, a, b, place = map(int, problem.key.split()[1:])
        for _ in range(place - 2):
            a, b = b, p * b + q * a + added
        assert b == int(problem.reference)


@pytest.mark.parametrize("name", SHOWN)
def test_the_steps_that_are_shown_are_true(name):
    """Every `a + b = c` of a demonstration."""
    checked = 0
    for problem in draw(name):
        for step in problem.metadata["steps"]:
            for left, value in re.findall(r"^((?:[\d(). -]|[+*/])+) = (-?\d+(?:\.\d+|/\d+)?)$", step):
                text = re.sub(r"(\d+)\.(\d+)", lambda m: f"({m[1]}{m[2]}/{10 ** len(m[2])})", left)
                assert evaluate(text).value == Fraction(value), step
                checked += 1
    assert checked >= 15


def test_the_order_of_what_is_added_or_multiplied_makes_no_new_problem():
    one, two, three = (write_number(number) for number in (4, 7, 9))
    same = [
        join("+", join("+", one, two), three),
        join("+", three, join("+", two, one)),
        join("+", two, join("+", one, three)),
    ]
    assert len({term.key for term in same}) == 1
    assert join("-", join("-", one, two), three).key == join("-", one, join("+", three, two)).key
    assert join("-", one, two).key != join("-", two, one).key
    assert join("*", join("+", one, two), three).key == join("*", three, join("+", two, one)).key
    assert join("*", join("+", one, two), three).key != join("+", one, join("*", two, three)).key
    assert order_factors("(x + 2)(x - 1)") == order_factors("(x - 1)(x + 2)") == "(x + 2)(x - 1)"
    for text in ("(x + 2)^2(x - 1)", "x + 1", "(x + 1)(x)(x)", "(x + 2)(x - 1) - (x)(x)"):
        assert order_factors(text) == text


@pytest.mark.parametrize(
    "name",
    ["clocks", "number_bases", "prime_factors", "linear_systems", "diophantine", "polynomial_equations"],
)
def test_a_reference_that_is_written_otherwise_passes(name):
    task = get(name)
    rewrite = task.rubric.correctness.rewrite
    for problem in draw(name):
        others = [text for text in rewrite(answer_of(problem)) if text != answer_of(problem)]
        assert others
        for text in others:
            assert task.score(f"<answer>{text}</answer>", problem).passed, text
