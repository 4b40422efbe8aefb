"""Values by conditions, set-builders and curves: what they are read as,
and how much work their comparison may take."""

import sys
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from palaestra.verifiers import Status, math_equal
from palaestra.verifiers.math import explain
from palaestra.verifiers.math.reading.read import read
from palaestra.verifiers.math.reading.text import normalise
from palaestra.verifiers.math.show import show
from palaestra.verifiers.math.values import Condition, Family, Named, Piecewise, RealSet, Sequence, Words
from read_text import read_text

SIGN = r"f(x)=\begin{cases} 1, & x>0 \\ 0, & x=0 \\ -1, & x<0 \end{cases}"
MANY = (
    r"\begin{cases}"
    + r"\\".join(rf"\sin^{{{k}}}(x^{k}), & {k}\le x<{k + 1}" for k in range(20))
    + r"\end{cases}"
)
PIECES = [
    r"\begin{cases}", r"\end{cases}", r"\begin{array}{l}", r"\end{array}",
    r"\\", "&", ",", ";", "x", "n", "^2", "1", "f(x)=", "a_n=",
    r"\text{ if }", " otherwise", " for ", " is even", " odd", r"\ge", "<", "0", r"\equiv 1 \pmod 2",
    r"n\in\mathbb{N}^*", "|", "(", ")",
    r"\mid", r"\{", r"\}", r"\mathbb{Z}", r"\in", "y", "=", r"\pm", r"\text{ or }", r"\ddot{x}", "k",
    "t(0,4]", "[", "]", r"\lvert", "/0",
]  # fmt: skip


def test_rows_are_read_as_conditions_on_one_variable():
    value = read_text(SIGN)
    assert isinstance(value, Named)
    assert isinstance(value.value, Piecewise)
    assert (value.value.name, value.value.whole) == ("x", False)
    assert all(isinstance(piece.condition, Condition) for piece in value.value.pieces)


def test_an_index_is_an_integer_and_its_domain_says_where_it_begins():
    value = read_text(r"a_n=\begin{cases}3,&n=1\\2n,&n\ge2\end{cases}(n\in\mathbb{N}^*)").value
    assert (value.whole, value.least) == (True, 1)


def test_remainders_are_conditions():
    first, second = read_text(r"1 \text{ if } 3\mid n, 2 \text{ otherwise}").pieces
    assert (first.condition.residues.modulus, first.condition.residues.remainders) == (3, (0,))
    assert second.condition is None


@pytest.mark.parametrize(
    "text", [r"\begin{cases} x^2, & x>0 \\ y, & y<0 \end{cases}", r"\begin{cases} 1 & \\ 2 & x>0 \end{cases}"]
)
def test_conditions_on_two_letters_and_rows_without_one_are_text(text):
    assert isinstance(read_text(text), Words)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (r"\{y\mid y>2\}", RealSet),
        (r"\{x\mid x=1,2\}", Sequence),
        (r"\{2k\mid k\in\mathbb{Z}\}", Family),
        (r"\{x\mid x\in A\cap B\}", Words),
    ],
)
def test_a_set_builder_is_the_set_it_says(text, kind):
    assert isinstance(read_text(text), kind)


def test_values_by_conditions_are_shown_with_them():
    assert show(read_text(r"\begin{cases} 1 & n \text{ even} \\ x & \text{otherwise}\end{cases}")) == (
        "1 if n ≡ 0 (mod 2) ∈ (-∞, ∞); x otherwise"
    )


@pytest.mark.parametrize("reference", [SIGN, MANY, r"x|x|", r"y=\pm x", r"m\ddot x=-kx", r"\{x\mid x>0\}"])
@settings(max_examples=150, deadline=None)
@given(text=st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
def test_no_answer_abstains(reference, text):
    assert math_equal(reference, text).status in (Status.CORRECT, Status.WRONG, Status.NO_ANSWER)


@pytest.mark.parametrize(
    "unit", ["x if x>0, ", r"\begin{cases}", r"1 & x>0 \\ ", r"\{x \lvert ", "n, ", " if ", "(", r"\{1\},"]
)
def test_reading_takes_work_linear_in_the_length(unit):
    def work(count):
        text = normalise("x if x=1 " + unit * count)
        calls = 0

        def count_line(_frame, _event, _arg):
            nonlocal calls
            calls += 1
            return count_line

        sys.settrace(count_line)
        try:
            read(text)
        finally:
            sys.settrace(None)
        return calls

    work(1)
    assert work(160) < 2.6 * work(80) + 2_000


def test_many_conditions_stay_within_the_budget_of_one_comparison():
    verdict = math_equal(MANY, MANY.replace("sin", "cos"))
    assert verdict.status is Status.WRONG


def test_numbers_are_compared_by_their_text_and_other_things_are_refused():
    assert math_equal(1, 1.0).correct
    assert math_equal(0.5, Fraction(1, 2)).correct
    assert math_equal([1, "2"], "1, 2").correct
    assert math_equal("1e-07", 1e-7).correct
    assert not math_equal(1, 0.5).correct
    assert explain(1, 0.5).answer == "1/2"
    for other in (None, True, {"answer": "1"}):
        with pytest.raises(TypeError, match="Texts and numbers are compared, and "):
            math_equal("1", other)
