"""How answer text is read: nothing raises, work grows with the length,
and what a task may ask for besides."""

import sys

import pytest
from cpu_time import cpu_seconds
from hypothesis import example, given, settings
from hypothesis import strategies as st
from labelled_pairs import load
from palaestra.verifiers import math_equal
from palaestra.verifiers.math import explain
from palaestra.verifiers.math.deciding.opaque import holds_application
from palaestra.verifiers.math.reading.read import read
from palaestra.verifiers.math.reading.text import normalise
from palaestra.verifiers.math.show import show
from palaestra.verifiers.math.values import Apply, Choice, Words
from read_text import read_text

PIECES = [
    "1", "12", ".5", ",", " ", "+", "-", "/", "^", "_", "=", "<", "(", ")", "[", "]", "{", "}", "|", "~", "!",
    "%", ":", "&", r"\frac", r"\sqrt", r"\{", r"\}", r"\left(", r"\right)", r"\pi", "x", "e", "f", "g'", "P",
    "I(0)", r"\infty", r"\cup", r"\pm", r"\ne", r"\gcd", r"\approx", r"\dot{x}", r"\frac{dx}{dt}", "A: ",
    " of an hour", "half ", r"\Omega", r"\mu", r"\begin{cases}", r"\end{cases}", r"\begin{vmatrix}",
    r"\end{vmatrix}", r"\\", r"\langle", r"\lfloor", r"\Pr", r"\mid", "٣", "²", "①", "፩", "\ud800", "\x00",
    r"\,", r"\!", "0.(3)", "1e5", "_{2}", "base 3", r"\max", r"\setminus", r"\pmod", " or ", " and ", r"\in",
    r"\mathbb{R}", "k integer", r"\text{", "cm", "°", "½", "...",
]  # fmt: skip
REFERENCES = [pair.reference for pair in load()]
SOUPS = st.lists(st.sampled_from(PIECES), max_size=16).map("".join)


@st.composite
def spoiled(draw):
    """A reference that was cut, repeated in part, or had something put into it."""
    text = draw(st.sampled_from(REFERENCES))
    for _ in range(draw(st.integers(1, 3))):
        at, size = draw(st.integers(0, len(text))), draw(st.integers(0, 6))
        middle = draw(st.sampled_from([*PIECES, text[at : at + size] * 3, ""]))
        text = text[:at] + middle + text[at + size :]
    return text[: draw(st.integers(1, 400))]


@settings(max_examples=1500, deadline=None)
@given(SOUPS | spoiled())
@example(r"(1,2)\cup[3,\pm e)")
@example(r"x \ne \pm 5")
@example(r"\gcd x")
@example(r"2:\pm 3")
@example(r"x\equiv\{1\}\pmod{\pm 2}")
@example("dy/d")
@example(r"\frac{dy}{d")
def test_no_text_raises_and_each_has_a_spelling(text):
    plain = normalise(text)
    assert plain is not None
    assert isinstance(show(read(plain)), str)


REPEATED = {
    "sets in sums": (r"\{", "1", r"\}+1"),
    "vectors in sums": (r"\langle ", "1", r"\rangle+1"),
    "mixed numbers above": (r"1\frac{", "1", "}{2}"),
    "mixed numbers below": (r"1\frac{1}{", "2", "}"),
    "applications in applications": ("f(", "x", ")"),
    "square brackets": ("2[", "1", "]"),
    "derivatives in derivatives": (r"\frac{d", "x", "}{dt}"),
}
RUNS = [
    "111,", "(111,", "111 ", "2 m ", "m/", "of a ", "one ", "one and ", "A: 1, ", "A: ", "f(x)", "f'(1)",
    "g(x+1)", "P(A|B)", "a[", "[x]", r"\frac{dx}{dt}", "d/", "x^2_", "x^{2}_0", r"\text{", r"\text{a}", "$ ",
    "answer is ", ":", "1 to ", "and ", "'", ";", "|x", r"\{x|", "{1},", r"\pm1,", "5 per ", r"\mu ",
    r"\Omega ", "(1,2)U", r"x\approx ", "-", "x if ", "1e5", "0.(1)", "~", r"\,", r"1,\! ", r"1\,", "1.(1",
    "x_{", r"\mathbf ", "half an hour and ",
]  # fmt: skip


def work(text: str) -> int:
    """How many calls reading a text takes."""
    count = 0

    def counted(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    plain = normalise(text) or "x"
    read(plain)
    sys.setprofile(counted)
    try:
        read(normalise(text) or "x")
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", REPEATED)
def test_nesting_twice_as_deep_is_at_most_about_twice_the_work(name):
    opening, middle, closing = REPEATED[name]
    works = [work(opening * depth + middle + closing * depth) for depth in (6, 12)]
    assert works[1] < 3.5 * works[0]


@pytest.mark.parametrize("piece", RUNS)
def test_a_text_twice_as_long_is_at_most_about_twice_the_work(piece):
    works = [work(piece * (length // len(piece))) for length in (1_900, 3_800)]
    assert works[1] < 2.4 * works[0] + 200


@pytest.mark.parametrize("piece", RUNS)
def test_the_longest_text_is_read_in_milliseconds(piece):
    text = piece * (4_000 // len(piece))
    assert cpu_seconds(lambda: read(normalise(text) or "x"), 0.05) < 0.05


def test_determinants_within_determinants_stay_small():
    text = r"\begin{vmatrix}a&b&c&d\\e&f&g&h\\1&2&3&4\\5&6&7&" * 9 + "1" + r"\end{vmatrix}" * 9
    assert isinstance(read_text(text), Words)
    assert math_equal(r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", "-2").correct


@pytest.mark.parametrize(
    "text",
    ["I(0)", "f(2)", "f'(0)", r"\Phi(x, y)", "P(X=3)", "P(A|B)", "E[X]", "f^{-1}(3)", "f(g(2))", "x(t)"],
)
def test_applications(text):
    assert isinstance(read_text(text), Apply)


@pytest.mark.parametrize(
    "text",
    [
        "x(x+1)",
        "2(3)",
        "n(n+1)/2",
        "k(k-1)",
        r"\pi(3)",
        "m(g+a)",
        "a(b+c)",
        "x(x-1)(x+2)",
        "P(1+r)^t",
        "e(e-1)",
    ],
)
def test_products(text):
    assert not holds_application(read_text(text))


def test_what_stands_behind_a_choice_counts_beside_it():
    assert read_text("(A) 42") == read_text("A. 42") == Choice("A", read_text("42"))
    assert read_text("A: 42") != read_text("A: 43")
    # as a name has a value: 42 alone is no answer
    assert read_text("A: 42") == Choice("A", read_text("42"), colon=True)


# -- what a task may ask for ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "answer", "equal"),
    [
        ("2516_8", "2516", True),
        ("2516_{8}", "2516", True),
        ("2516_8", "2516_8", True),
        ("2516_8", "1358", True),  # the number itself
        ("2516_8", "2517", False),
        ("2516_8", "2516_{10}", False),
        ("2516_8", "4724_8", False),
        ("1358", "2516", False),
        ("a_1", "a", False),
        ("A_1", "A", False),
        ("C_2", "C", False),
        ("1F_{16}", "1F", True),
        ("x_2 + 1", "x + 1", False),
        ("B4_{16}", "b4", True),
        ("B4_{16}", "4B", False),  # digits are no product
        ("1E5_{16}", "1E5", True),
        ("1E5_{16}", "100000", False),
        ("101_2", "100+1", False),
        ("n = 2516_8", "2,516", True),
    ],
)
def test_a_base_may_be_left_out_where_the_task_says_so(reference, answer, equal):
    assert math_equal(reference, answer, base_optional=True).correct is equal
    assert explain(reference, answer, base_optional=True).verdict.correct is equal
    if answer == "2516":
        assert not math_equal(reference, answer).correct


@pytest.mark.parametrize(
    ("reference", "answer", "figures", "equal"),
    [
        ("4.5e33", "4.49e33", 2, True),
        ("4.5e33", "4.56e33", 2, False),
        ("0.6", "0.604", 2, True),
        ("0.6", "0.64", 2, False),
        ("0.6", "0.64", 1, True),
        (r"6.67\times10^{-11}", r"6.674\times10^{-11}", 2, True),
        (r"6.67\times10^{-11}", r"6.6\times10^{-11}", 2, False),
        (r"6.67\times10^{-11}", "0", 2, False),
        ("1.5 m", "151 cm", 2, True),
        ("1.5 m", "156 cm", 2, False),
        ("x = 3.14", "3.1416", 2, True),
        ("1234", "1230", 2, False),
        ("42", "43", 2, False),
        ("0", "0.001", 2, False),
        ("I(0)", "0", 2, False),
        ("(1.5, 2)", "(1.51, 2)", 2, False),  # one number alone is rounded
    ],
)
def test_significant_figures(reference, answer, figures, equal):
    assert math_equal(reference, answer, significant_figures=figures).correct is equal
    assert math_equal(reference, reference, significant_figures=figures).correct


def test_significant_figures_are_a_number_of_them():
    with pytest.raises(ValueError, match="significant figures"):
        math_equal("1", "1", significant_figures=0)
