"""Equality needs evidence: nothing is equal because it is small, large, or could not be told apart."""

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from palaestra.verifiers import Status, math_equal

SMALL_AND_LARGE = [
    r"\binom{2024}{1012}", r"2^{2023}\binom{2023}{2}", r"\frac{2019!}{2^{1009}}", "1/560!", "e^{-170}",
    "e^{-10^6}", "e^{10^9}", r"\sin(10^{-100})", r"10^{-100}\sin x", r"\left(1-\sqrt2\right)^{500}",
    r"\sin(10^{50})", r"\cos(10^{300})", "10^{-400}", r"e^{\pi\sqrt{163}}-262537412640768744",
    r"\sqrt{10^{80}+1}-10^{40}", r"\ln(1+10^{-90})", "1/10^{10^{10}}", "x^{-4000}", r"\frac{1}{2^{10^{12}}}",
    r"\frac{1}{\binom{3000}{1500}}", r"\arctan(10^{200})-\frac{\pi}{2}", r"1-\tanh(900)", "10^{-90}i",
    r"\frac{7}{(10^5)!}", r"1-\cos(10^{-100})", r"2^{10^{-300}}-1", r"\lfloor 10^{90}\pi\rfloor",
    r"\sqrt[1000]{2}-1",
]  # fmt: skip


@pytest.mark.parametrize("text", SMALL_AND_LARGE)
@pytest.mark.parametrize("answer", ["0", "1", "0.0", "0x", "10^{-1000}", r"\sqrt2-\sqrt2"])
def test_a_small_or_large_value_is_itself_alone(text, answer):
    assert math_equal(text, answer).status is Status.WRONG
    assert math_equal(answer, text).status is Status.WRONG
    assert math_equal(text, f"({text})\\cdot 1").correct
    assert not math_equal(text, f"({text})(1+10^{{-60}})").correct


APART = [
    ("2025!/1012!", "2025!/1013!"), ("e^{-200}", "e^{-201}"), ("x^{2023}+x^{-2023}", "x^{2023}"),
    ("1/2004!", "1/2006!"), ("10000!", "10000!+1"), ("10^{10^{12}}", "10^{10^{12}}+1"),
    (r"\pi+10^{-3000}", r"\pi"), (r"\pi+10^{-9000}", r"\pi"), (r"\cos(10^{-1000})", "1"),
    ("e^{10^{-1000}}", "1"), (r"\tanh(1000)", "1"), (r"(1+10^{-100})^{10^{100}}", "e"),
    (r"\sin(\tan(10^{-100}))", r"\tan(\sin(10^{-100}))"), (r"\sin(10^{-80})", "10^{-80}"),
    (r"\sqrt{x^2+10^{-90}}", "|x|"), (r"\frac{e^{2000}-e^{-2000}}{2}", r"\frac{e^{2000}}{2}"),
    (r"\pi", "3." + str(314159265358979323846264338327950288)[1:]),
    (r"(3+\sqrt7)^{300}", r"(3+\sqrt7)^{300}+(3-\sqrt7)^{300}"), (r"\ln(10^{100})", r"\ln(10^{100}+1)"),
    ("x", "x+10^{-300}"), ("10^{10^{100}}", "10^{10^{100}}+1"), ("10^{10^{100}}", "10^{10^{101}}"),
    ("9^{9^{9^9}}", "9^{9^{9^9}}-1"), (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5+2\sqrt6+10^{-200}}"),
    (r"\gcd(n,12)", r"\gcd(n,24)"), (r"\gcd(n,100!)", "n"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), APART)
def test_what_lies_close_is_not_equal(a, b):
    assert math_equal(a, b).status is Status.WRONG
    assert math_equal(b, a).status is Status.WRONG


TOGETHER = [
    (r"\binom{2023}{2}", "2045253"), ("2024!/2023!", "2024"), (r"\sqrt{2}+\sqrt{3}-\sqrt{5+2\sqrt{6}}", "0"),
    (r"2^{2023}\binom{2023}{2}", r"2^{2022}\cdot 2023\cdot 2022"), ("2e^{-10^6}", r"\frac{2}{e^{10^6}}"),
    ("3000!+2999!", r"3001\cdot 2999!"), ("10^{10^{100}}", r"2^{10^{100}}\cdot 5^{10^{100}}"),
    ("(10^6)!/(10^6-1)!", "10^6"), ("2^{30000}-1", r"(2^{15000}-1)(2^{15000}+1)"),
    ("10^{10^{10^{10}}}+x", "x+10^{10^{10^{10}}}"), (r"\sqrt{12}", r"2\sqrt3"),
    (r"\sqrt[3]{20+14\sqrt2}", r"2+\sqrt2"),
    (r"\cos\frac{\pi}{7}-\cos\frac{2\pi}{7}+\cos\frac{3\pi}{7}", r"\frac12"),
    (r"\arctan 1+\arctan 2+\arctan 3", r"\pi"), (r"16\arctan\frac15-4\arctan\frac1{239}", r"\pi"),
    (r"e^{i\pi}+1", "0"), (r"\sqrt{\sqrt{2}+\sqrt{3}-\sqrt{5+2\sqrt{6}}}", "0"),
    (r"\ln\frac{e^{900}}{2}", r"900-\ln 2"), (r"\sin(10^{50}\pi)", "0"),
    (r"\sin\frac{\pi}{12}", r"\frac{\sqrt6-\sqrt2}{4}"), ("n!/(n-2)!", "n(n-1)"),
    (r"\binom{n}{2}", r"\frac{n(n-1)}{2}"), (r"(\frac12)!", r"\frac{\sqrt{\pi}}{2}"),
    (r"\lfloor\sqrt{10^{60}+1}\rfloor", "10^{30}"), (r"\binom{5}{7}", "0"),
    (r"\left(\frac{1+\sqrt5}{2}\right)^{100}+\left(\frac{1-\sqrt5}{2}\right)^{100}", "792070839848372253127"),
    (r"\log_2 8", "3"), ("(-8)^{1/3}", "-2"), (r"\gcd(6,4)", "2"), ("7!!", "105"),
    (r"x^{1000}-x^{1000}+1", "1"), (r"\sqrt{2+\sqrt{2+\sqrt2}}", r"2\cos\frac{\pi}{16}"),
    (r"\frac{1}{\sqrt2-1}", r"\sqrt2+1"), (r"10^{300}\sqrt8", r"2\cdot10^{300}\sqrt2"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), TOGETHER)
def test_what_is_equal_is_shown_equal(a, b):
    assert math_equal(a, b).correct
    assert math_equal(b, a).correct


PIECEWISE = [
    (r"\lfloor x\rfloor", r"\lceil x\rceil-1", False), (r"\lfloor x\rfloor+1", r"\lceil x\rceil", False),
    (r"\lfloor x+\frac{1}{10^9}\rfloor", r"\lfloor x\rfloor", False),
    (r"\lfloor x/7\rfloor", r"\lceil x/7\rceil-1", False),
    (r"\lfloor 2x\rfloor", r"\lfloor x\rfloor+\lfloor x+\frac12\rfloor", True),
    (r"\lfloor -x\rfloor", r"-\lceil x\rceil", True), (r"\lfloor x\rfloor+\lfloor -x\rfloor", "-1", False),
    (r"\sqrt{x^2}", "x", False), (r"\sqrt{x^2}", "|x|", True), (r"|x-5000|", "5000-x", False),
    (r"|x-10^{10}|", "10^{10}-x", False), (r"\sqrt{(x-7000)^2}", "7000-x", False), (r"\max(x,5)", "x", False),
    (r"\max(x,0)", r"\frac{x+|x|}{2}", True), (r"\max(0,x^2-10^{20})", "0", False),
    (r"\operatorname{sgn}(x)^2", "1", False), (r"x\cdot\operatorname{sgn}(x)", "|x|", True),
    (r"\lfloor x^2\rfloor", r"\lceil x^2\rceil-1", False), (r"\min(x,y)", r"\frac{x+y-|x-y|}{2}", True),
    (r"\min(x,y)", "x", False), (r"|x|+|y|", "|x+y|", False), (r"|xy|", "|x||y|", True),
    (r"\lfloor x+y\rfloor", r"\lfloor x\rfloor+\lfloor y\rfloor", False),
    (r"|x-2|+|x-2.001|", "|2x-4.001|", False),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "same"), PIECEWISE)
def test_steps_and_corners_are_looked_at(a, b, same):
    assert math_equal(a, b).correct is same
    assert math_equal(b, a).correct is same


WHOLE = [
    (r"(-1)^n", r"\cos(n\pi)", True), (r"(-1)^{2n}", "1", True),
    (r"\frac{1+(-1)^n}{2}", r"\cos^2\frac{n\pi}{2}", True), (r"(-1)^n", r"(-1)^{\lfloor n/2\rfloor}", False),
    (r"(-1)^n|x|", r"(-1)^n x", False), (r"(-2)^n", r"(-1)^n 2^{|n|}", False), (r"(-1)^n", "1", False),
    (r"(-1)^n x", r"\cos(n\pi)x", True), (r"\gcd(m,n)+|x|", r"\gcd(n,m)+x", False),
    (r"\gcd(a,b)\operatorname{lcm}(a,b)", r"ab", True), (r"\gcd(n^2,n)", "n", True),
    (r"\gcd(n,n+1)", "1", True), (r"\gcd(n,n+2)", "1", False),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "same"), WHOLE)
def test_integers_are_tried_where_only_integers_make_sense(a, b, same):
    assert math_equal(a, b).correct is same
    assert math_equal(b, a).correct is same


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 1500))
def test_no_small_power_is_zero_and_neighbours_differ(k):
    for base in ("e", "10", r"\pi", r"(\sqrt2-1)", "2"):
        assert not math_equal(f"{base}^{{-{k}}}", "0").correct
        assert not math_equal(f"{base}^{{-{k}}}", f"{base}^{{-{k + 1}}}").correct
        assert math_equal(f"{base}^{{-{k}}}", rf"\frac{{1}}{{{base}^{{{k}}}}}").correct


def product_of(rng: random.Random) -> tuple[str, Fraction]:
    """A product of factorials, binomials and powers with its exact value."""
    text, value = [], Fraction(1)
    for _ in range(rng.randint(1, 4)):
        kind = rng.randrange(4)
        n = rng.choice((rng.randint(1, 12), rng.randint(1, 300), rng.randint(1, 2100)))
        k = rng.randint(0, n)
        small = rng.randint(2, 40)
        exponent = rng.randint(0, 400)
        piece, its = (
            (f"{n}!", math.factorial(n)),
            (rf"\binom{{{n}}}{{{k}}}", math.comb(n, k)),
            (f"{small}^{{{exponent}}}", small**exponent),
            (f"{n}", n),
        )[kind]
        if rng.random() < 0.4:
            text.append(rf"\frac{{1}}{{{piece}}}")
            value /= its
        else:
            text.append(piece)
            value *= its
    return r"\cdot ".join(text), value


def test_products_against_exact_integers():
    rng = random.Random(7)
    for _ in range(150):
        (a, x), (b, y) = product_of(rng), product_of(rng)
        assert math_equal(a, b).correct is (x == y), (a, b)
        n = rng.randint(1, 2000)
        assert math_equal(rf"{a}\cdot {n}!", rf"{a}\cdot {n}\cdot {n - 1}!").correct
        assert not math_equal(a, "0").correct
        if x.denominator == 1 and x.numerator.bit_length() < 3_000:
            assert math_equal(a, str(x)).correct
            assert not math_equal(a, str(x + rng.choice((-1, 1)))).correct
        for step in ("1", "10^{-50}", rf"\frac{{1}}{{{n}!}}"):
            assert not math_equal(a, f"{a}+{step}").correct
            assert not math_equal(a, f"{a}-{step}").correct


def test_ends_of_intervals_and_ratios_need_evidence():
    assert not math_equal("(0,10^{-100})", r"\emptyset").correct
    assert not math_equal(r"(0,1)\cup(1+10^{-80},2)", r"(0,1)\cup(1,2)").correct
    assert not math_equal(r"(0,\sqrt2)\cup(\sqrt2+10^{-70},2)", r"(0,\sqrt2)\cup(\sqrt2,2)").correct
    assert math_equal(r"(0,\sqrt8]\cup(2\sqrt2,3)", "(0,3)").correct
    assert not math_equal("3:4", "0:0").correct
    assert math_equal("0:4", "0:8").correct
    assert not math_equal("e^{-300}:1", "0:1").correct
