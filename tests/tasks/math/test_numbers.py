"""The references of problems about numbers, found again by other means: Python's own arithmetic, sympy."""

import math
import re
from fractions import Fraction

import sympy
from palaestra.tasks import get
from palaestra.verifiers.arithmetic import Grammar, evaluate

from .drawn import answer_of, draw, read_sympy


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
