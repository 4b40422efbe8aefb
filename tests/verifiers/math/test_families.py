"""What stands behind families: signs, clauses about parameters, values in turn."""

import pytest
from palaestra.verifiers import math_equal
from palaestra.verifiers.math.pipeline import show_text
from palaestra.verifiers.math.reading.declarations import declare, declare_words
from palaestra.verifiers.math.reading.lexer import tokens_of
from palaestra.verifiers.math.reading.parser import Parser
from palaestra.verifiers.math.reading.signs import choices
from palaestra.verifiers.math.values import Unreadable


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (r"\pm 1", 2),
        (r"(\pm 1, \pm 2)", 4),
        (r"(1 \pm 2, 1 \mp 2)", 2),
        (r"\pm(1, 2)", 2),
        (r"\pm 1 \pm 2 \pm 3 \pm 4", 16),
    ],
)
def test_signs_are_independent_unless_a_minus_plus_links_them(text, count):
    assert len(set(choices(Parser(tokens_of(text)).everything()))) == count


def test_more_signs_than_four_are_no_list_of_values():
    with pytest.raises(Unreadable, match="too many signs"):
        choices(Parser(tokens_of(r"(\pm 1, \pm 2, \pm 3, \pm 4, \pm 5)")).everything())


INTEGERS = r"k\pi, k \in \mathbb{Z}"


@pytest.mark.parametrize(
    "text",
    [
        r"k\pi (k\in\mathbb Z)",
        r"k\pi [ k \in \mathbb{Z} ]",
        r"k\pi where k \in Z",
        r"k\pi, for all k\in\mathbb{Z}",
        r"k\pi k \in Z",
        r"k\pi, k=0,\pm1,\pm2,\ldots",
        r"k\pi for k = 0, \pm 1, \dots",
        r"k\pi, k = \ldots, -1, 0, 1, \ldots",
    ],
)
def test_a_parameter_of_the_integers_is_said_in_one_spelling(text):
    assert declare(text) == INTEGERS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (r"2^k, k = 1, 2, 3, \ldots", r"2^k, k \ge 1, k \in \mathbb{Z}"),
        (r"2^k, k = 1, 2, \ldots, 9", r"2^k, 1 \le k \le 9, k \in \mathbb{Z}"),
        (r"2^k for k=0,1,2", r"2^k, k \in \{0, 1, 2\}"),
        (r"2^k, k \in \mathbb{Z}^+", r"2^k, k \in \mathbb{Z}, k > 0"),
        (r"2^k, k \in \mathbb{N}_0", r"2^k, k \in \mathbb{Z}, k \ge 0"),
        (r"2^k for integers k \ge 1", r"2^k, k \ge 1, k \in \mathbb{Z}"),
        (r"f(x)=cx for any constant c\in\mathbb{R}", r"f(x)=cx, c \in \mathbb{R}"),
        (r"f(x)=ax+b, a, b \in \mathbb{R}", r"f(x)=ax+b, a \in \mathbb{R}, b \in \mathbb{R}"),
    ],
)
def test_ranges_become_bounds_and_lists(text, said):
    assert declare(text) == said


@pytest.mark.parametrize(
    "text",
    [
        r"x > 0, x \in \mathbb{R}",  # the variable itself
        r"x = 5 for x > 0",
        r"x = 1, y = 2, 3",  # y is no parameter of x = 1
        r"x < 2 and x > 3",
        r"x \in Z",
        r"2k, k = 1, 3, 5, \ldots",  # no run of integers
        r"3, 4",
    ],
)
def test_what_says_nothing_of_a_parameter_stays(text):
    assert declare(text) == text


def test_signs_of_integers_in_words_are_bounds():
    assert declare_words("n^2 for any positive integer n") == r"n^2, n \in \mathbb{Z}, n > 0"
    assert declare_words("n^2 where n is a nonnegative integer") == r"n^2, n \in \mathbb{Z}, n \ge 0"
    assert declare_words("a_n = 2^n for all positive integers n") == "a_n = 2^n for all positive integers n"
    assert declare_words("5 positive integers n") == "5 positive integers n"


def test_only_a_bounded_tail_is_searched():
    far = r"k\pi (k \in \mathbb Z)" + " " * 200
    assert declare(far + "1") == far + "1"


def test_a_long_value_is_not_written_out_at_each_value_of_its_parameter():
    entries = ",".join(["k"] * 450)
    assert show_text(f"({entries}), k = 0, 1, \\ldots, 47").startswith("text")


def test_a_family_with_many_classes_equals_itself():
    classes = ", ".join(str(residue) for residue in range(100))
    assert math_equal(rf"n \equiv {classes} \pmod{{101}}", rf"n \equiv {classes} \pmod{{101}} ").correct
    assert not math_equal(rf"n \equiv {classes} \pmod{{101}}", rf"n \equiv {classes} \pmod{{103}}").correct
