"""Answers of puzzles, read within bounds; a check that says what is wrong."""

import random

import pytest
from palaestra.tasks import Problem
from palaestra.tasks.common.puzzles import (
    Unreadable,
    err_by_step,
    puzzle,
    read_bits,
    read_names,
    read_numbers,
    read_values,
    split_words,
)
from palaestra.verifiers import Completion, Status


def find_fault(reference, answer):
    if answer == "unreadable":
        raise Unreadable("Say it otherwise.")
    return "" if answer in reference["right"] else "Not this one."


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("a", Status.CORRECT),
        ("b", Status.CORRECT),
        ("`b`", Status.CORRECT),
        ("c", Status.WRONG),
        ("unreadable", Status.MALFORMED),
        ("a" * 21, Status.MALFORMED),
    ],
)
def test_every_answer_without_a_fault_is_right(answer, status):
    criterion = puzzle("p", find_fault, max_chars=20)
    problem = Problem("", {"right": ["a", "b"], "solution": "a"})
    assert criterion.check(Completion(f"<answer>{answer}</answer>"), problem).status is status


def test_lists_are_read_in_several_forms():
    for text in ("A B C", "A, B, C", "[A; B; C]", "A -> B -> C", "A\nB\nC", "a \u2192 b \u2192 c"):
        assert read_names(text, "ABC") == ["A", "B", "C"], text
        assert len(split_words(text)) == 3
    assert read_numbers("[1, -2, +3]") == [1, -2, 3]
    for text in ("", "1.5", "1 two", "\u0661", "1_0", "9" * 19):
        with pytest.raises(Unreadable):
            read_numbers(text)
    with pytest.raises(Unreadable, match="no list of A, B"):
        read_names("A D", "AB")


def test_rows_of_bits_are_read_apart_or_not():
    assert read_bits("0110") == read_bits("0, 1, 1, 0") == read_bits("01\n10") == "0110"
    for text in ("", "012", "0x1", "-1", "٠١", "0;1"):
        with pytest.raises(Unreadable):
            read_bits(text)


def test_values_are_read_once_for_each_name():
    values = {"1": 1, "0": 0}
    for text in ("A=1 B=0", "b: 0, a: 1", "A = 1\nB = 0"):
        assert read_values(text, "AB", values) == {"A": 1, "B": 0}, text
    for text, says in {
        "A=1": "B has no value",
        "A=1 B=0 A=1": "A has two values",
        "A=1 B=2": "none of A, B",
        "A=1 B=0 C=1": "none of A, B",
        "AB=1": "none of A, B",
    }.items():
        with pytest.raises(Unreadable, match=says):
            read_values(text, "AB", values)


def test_a_solver_that_errs_solves_less_of_what_takes_longer():
    attempt = err_by_step(lambda problem: "right", lambda problem: problem.reference, every=10)
    solved = [
        sum(attempt(Problem("", work), random.Random(seed)) == "right" for seed in range(300))
        for work in (0, 5, 20)
    ]
    assert solved[0] == 300
    assert solved[0] > solved[1] > solved[2] > 0
