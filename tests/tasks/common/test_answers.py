"""Numbers as people and models write them, alone, several, and by name."""

from fractions import Fraction

import pytest
from palaestra.tasks import Problem
from palaestra.tasks.common.answers import (
    read_assignments,
    read_number,
    read_numbers,
    strip_words,
    tidy,
    written_number,
)
from palaestra.verifiers import Completion, Status


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-4", "-4"),
        ("+4", "4"),
        ("- 4", "-4"),
        ("−4", "-4"),
        ("1,200", "1200"),
        ("2.50", "5/2"),
        ("-0", "0"),
        ("7/3", "7/3"),
        ("-7 / 3", "-7/3"),
        ("(-7)/3", "-7/3"),
        ("2 1/3", "7/3"),
        ("-2 1/3", "-7/3"),
        ("2 and 1/3", "7/3"),
        (r"\frac{7}{3}", "7/3"),
        (r"-\dfrac{7}{3}", "-7/3"),
        (r"\frac{-7}{3}", "-7/3"),
        (r"2\frac{1}{3}", "7/3"),
        ("$7$", "7"),
        (r"\(7\)", "7"),
        ("**7**", "7"),
        (r"\boxed{7}", "7"),
        ("7.", "7"),
    ],
)
def test_numbers_are_read(text, value):
    assert read_number(text) == Fraction(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "3 * 4",
        "3 + 4",
        "2^3",
        "1e5",
        "1/0",
        "0/0",
        "7/3/2",
        "1,20",
        "12 34",
        "--4",
        "nan",
        "٣",
        "½ 3",
    ],
)
def test_what_has_to_be_worked_out_is_no_number(text):
    assert read_number(text) is None


def test_lists_and_names_are_read():
    assert read_numbers("x = 3 or x = -1/2") == (3, Fraction(-1, 2))
    assert read_numbers("{1, 2, 2}") == (1, 2, 2)
    assert read_numbers("1, x + 1") is None
    assert read_numbers("1,,2") is None
    assert read_assignments("b = 2, a = 1", ("a", "b")) == {"a": 1, "b": 2}
    assert read_assignments("(a, b) = (1, 2)", ("a", "b")) == {"a": 1, "b": 2}
    for text in ("1", "1, 2, 3", "a = 1", "a = 1, a = 2", "a = 1, c = 2", "a = 1, 2", "a = b = 1"):
        assert read_assignments(text, ("a", "b")) is None, text


def test_names_and_units_around_a_number_are_stripped():
    assert strip_words("x = 5", ["x"], []) == "5"
    assert strip_words("The total is 5", ["the total"], []) == "5"
    assert strip_words("$5", ["$"], []) == "5"
    assert strip_words(r"5 \text{ m/s}", [], ["s", "m/s"]) == "5"
    assert strip_words("x5", ["x"], []) == "x5"
    assert tidy(r"$x = 3$, $y = 4$") == r"$x = 3$, $y = 4$"


def test_a_reference_that_is_no_number_is_an_error_and_not_the_completion_s():
    criterion = written_number()
    with pytest.raises(ValueError, match="not a number"):
        criterion.check(Completion("<answer>3</answer>"), Problem("?", "three"))
    long = criterion.check(Completion(f"<answer>{'3' * 500}</answer>"), Problem("?", "3"))
    assert long.status is Status.MALFORMED
    assert criterion.render({"answer": "3", "after": ["m"]}) == "<answer>3</answer>"
