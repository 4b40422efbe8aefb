"""What holds in many families: steps that are shown are true, order makes no new problem, answers may be
written otherwise."""

import re
from fractions import Fraction

import pytest
from palaestra.tasks import get
from palaestra.tasks.common.polynomials import order_factors
from palaestra.tasks.math.arithmetic import join, write_number
from palaestra.verifiers.arithmetic import evaluate

from .drawn import answer_of, draw

SHOWN = (  # tasks whose steps are sums and products of numbers
    *("antiderivatives", "arithmetic", "counting", "decimal_arithmetic", "definite_integrals", "derivatives"),
    *("diophantine", "divisor_functions", "geometry", "modular_arithmetic", "number_bases", "percentages"),
    *("prime_factors", "probability", "sequences", "unit_conversion"),
)


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
