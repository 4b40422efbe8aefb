"""Arithmetic without `eval`: exact values, and what each grammar refuses."""

from fractions import Fraction

import pytest
from palaestra.verifiers.arithmetic import Grammar, NotArithmetic, evaluate


@pytest.mark.parametrize(
    ("text", "value", "numbers"),
    [
        ("1 + 2*3", 7, (1, 2, 3)),
        ("(1+2)*3", 9, (1, 2, 3)),
        ("8/(3-8/3)", 24, (8, 3, 8, 3)),
        ("-2 − 3", -5, (2, 3)),
        ("6 ÷ 4 × 2", 3, (6, 4, 2)),
        ("10 - 4 - 3", 3, (10, 4, 3)),
        ("1/3", Fraction(1, 3), (1, 3)),
    ],
)
def test_arithmetic_is_exact(text, value, numbers):
    found = evaluate(text)
    assert found.value == value
    assert found.numbers == numbers


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "2 ** 3",
        "2 // 3",
        "1e9",
        "1.5",
        "x",
        "abs(1)",
        "1 2",
        "(1",
        "1)",
        "1/0",
        "1/(2-2)",
        "(" * 100 + "1" + ")" * 100,
        "9" * 31,
        "1+" * 600 + "1",
        "__import__('os')",
        "1; 2",
        "١ + ١",
        "-" * 200 + "1",
    ],
)
def test_what_is_no_arithmetic_is_refused(text):
    with pytest.raises(NotArithmetic):
        evaluate(text)


@pytest.mark.parametrize(
    ("text", "grammar"),
    [
        ("1+2", Grammar(max_chars=2)),
        ("((1))", Grammar(max_depth=1)),
        ("--1", Grammar(max_depth=1)),
        ("100", Grammar(max_digits=2)),
        ("-1", Grammar(unary=False)),
        ("2*-1", Grammar(unary=False)),
        ("2×3", Grammar(plain=True)),
        ("2−1", Grammar(plain=True)),
        ("2\n+1", Grammar(plain=True)),
        ("2+1\u00a0", Grammar(plain=True)),
        ("1/0", Grammar(plain=True)),
    ],
)
def test_a_grammar_refuses_what_it_leaves_out(text, grammar):
    with pytest.raises(NotArithmetic):
        evaluate(text, grammar)


def test_at_its_limits_a_grammar_still_reads():
    assert (
        evaluate("((12))", Grammar(max_chars=6, max_depth=2, max_digits=2, unary=False, plain=True)).value
        == 12
    )
