"""Properties that hold for any text and any number."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_pairs import load
from palaestra.verifiers import Status, Verdict, math_equal

PIECES = [
    "1", "2", "0", "12", ".5", ",", " ", "+", "-", "*", "/", "^", "_", "=", "<", ">", "(", ")", "[", "]", "{",
    "}", "|", r"\frac", r"\sqrt", r"\{", r"\}", r"\left(", r"\right)", r"\pi", "x", "y", "i", "e", r"\infty",
    r"\cup", r"\in", "%", r"\%", "$", r"\$", "!", r"\pm", r"\text{", "cm", " or ", " and ", r"\sin", r"\log",
    ":", r"\begin{pmatrix}", "&", r"\\", r"\end{pmatrix}", "°", "½", "√", "²", "−", "...", r"\overline{",
    r"\mathbb{R}", "A", "yes", r"\binom", "mod",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=60)
RATIONALS = st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=999)
REFERENCES = [pair.reference for pair in load()]


@settings(max_examples=600, deadline=None)
@given(TEXTS, TEXTS)
def test_never_raises_and_is_symmetric_on_any_text(a, b):
    verdict = math_equal(a, b)
    assert isinstance(verdict, Verdict)
    assert verdict.status in (Status.CORRECT, Status.WRONG, Status.NO_ANSWER)
    assert verdict.correct == math_equal(b, a).correct


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_spacing_and_styling_do_not_matter(text):
    dressed = f"  ${text}$ " if "$" not in text else f" {text} "
    assert math_equal("7", dressed).correct == math_equal("7", text).correct


@pytest.mark.parametrize(
    "dress", ["${}$", r"\({}\)", r"\boxed{{{}}}", r"\displaystyle {}", " {} ", r"\,{}\;", r"\mathbf{{{}}}"]
)
def test_a_dress_does_not_change_a_reference(dress):
    plain = [text for text in REFERENCES if "$" not in text and not text.startswith("\\frac{1}{0}")]
    plain = [text for text in plain if "mathbf" not in dress or "{" not in text]
    assert [text for text in plain if not math_equal(text, dress.format(text)).correct] == []


def spellings(value: Fraction) -> list[str]:
    sign, n, d = "-" if value < 0 else "", abs(value.numerator), value.denominator
    found = [
        f"{sign}{n}/{d}",
        rf"{sign}\frac{{{n}}}{{{d}}}",
        rf"\dfrac{{{sign}{n}}}{{{d}}}",
        f"{sign}{3 * n}/{3 * d}",
    ]
    whole, rest = divmod(n, d)
    if whole and rest:
        found += [rf"{sign}{whole}\frac{{{rest}}}{{{d}}}", f"{sign}{whole} {rest}/{d}"]
    if d == 1:
        found += [f"{sign}{n}", f"{sign}{n:,}", f"{sign}{n}.0", f"{sign}{n}e0", f"−{n}" if sign else f"+{n}"]
    return found


@settings(max_examples=200, deadline=None)
@given(RATIONALS)
def test_a_rational_is_one_number_in_every_spelling(value):
    first, *others = spellings(value)
    assert [other for other in others if not math_equal(first, other).correct] == []


@settings(max_examples=200, deadline=None)
@given(RATIONALS, st.fractions(min_value=Fraction(1, 10**12), max_value=5, max_denominator=10**12))
def test_a_perturbed_number_is_never_equal(value, step):
    for reference in spellings(value):
        for answer in spellings(value + step):
            assert not math_equal(reference, answer).correct


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 400), st.integers(10, 60))
def test_a_perturbed_irrational_is_never_equal(n, digits):
    for reference in (rf"\sqrt{{{n}}}+\sqrt{{{n + 1}}}", rf"\pi^{{{n}}}", rf"\sin {n}", rf"\ln {n}"):
        assert not math_equal(reference, rf"{reference}+10^{{-{digits}}}").correct
        assert not math_equal(reference, rf"({reference})(1+10^{{-{digits}}})").correct


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=5), st.integers(-9, 9))
def test_a_product_of_factors_equals_its_expansion_and_no_other(roots, shift):
    coefficients = [1]
    for root in roots:
        coefficients = [a - root * b for a, b in zip([*coefficients, 0], [0, *coefficients], strict=True)]
    degree = len(roots)
    expanded = "+".join(f"({c})x^{{{degree - k}}}" for k, c in enumerate(coefficients))
    product = "".join(f"(x-({root}))" for root in roots)
    assert math_equal(product, expanded).correct
    assert math_equal(product, f"{expanded}+({shift})").correct == (shift == 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=2, max_size=6, unique=True), st.randoms())
def test_order_counts_in_tuples_and_not_in_sets(items, rng):
    mixed = list(items)
    rng.shuffle(mixed)
    one, other = (", ".join(map(str, each)) for each in (items, mixed))
    assert math_equal(rf"\{{{one}\}}", rf"\{{{other}\}}").correct
    assert math_equal(one, other).correct
    assert math_equal(f"({one})", f"({other})").correct == (items == mixed)


def test_tolerance_is_a_share_of_the_reference_and_only_on_request():
    assert not math_equal("3.14159", "3.14").correct
    assert math_equal("3.14159", "3.14", tolerance=0.01).correct
    assert math_equal("100", "104", tolerance=0.04).correct
    assert not math_equal("100", "104.01", tolerance=0.04).correct
    assert math_equal(r"\pi", "3.1", tolerance=0.02).correct
    assert math_equal("0", "0.001", absolute=0.01).correct
    with pytest.raises(ValueError, match="tolerance"):
        math_equal("1", "1", tolerance=-1.0)


def test_a_list_of_references_asks_for_all_or_any():
    assert math_equal(("1", "2"), "2, 1").correct
    assert not math_equal(("1", "2"), "1").correct
    assert math_equal(("1", "2"), "2", accept="any").correct
    assert not math_equal(("1", "2"), "3", accept="any").correct
