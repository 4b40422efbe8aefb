"""Numbers as they are written out: what parses, what is refused, and that nothing raises."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from palaestra.verifiers import parse_rational


@given(st.fractions())
def test_a_fraction_survives_its_spelling(value):
    assert parse_rational(str(value)) == value


@given(st.integers())
def test_thousands_separators(value):
    assert parse_rational(f"{value:,}") == value


@given(st.text(max_size=50) | st.text("0123456789,./+-e ", max_size=50))
def test_never_raises(text):
    assert isinstance(parse_rational(text), Fraction | None)


@pytest.mark.parametrize(
    "text", ["", "1/0", "1,00", "1e3", "nan", "inf", "９", "²", "1.5/2", "--1", ".", "1_0", "9" * 5_000]
)
def test_refuses(text):
    assert parse_rational(text) is None
