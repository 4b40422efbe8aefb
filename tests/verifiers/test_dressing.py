"""What dresses a whole answer is taken off, and nothing else."""

import pytest
from palaestra.tasks import Problem
from palaestra.verifiers import Completion, Rubric, Status, exact, math_answer
from palaestra.verifiers.quotations import undress


@pytest.mark.parametrize(
    ("answer", "bare"),
    [
        ('"42"', "42"),
        ("'42'", "42"),
        ("“42”", "42"),
        ("`x^2 + 1`", "x^2 + 1"),
        ("```\n42\n```", "42"),
        ("```text\n42\n```", "42"),
        ("~~~\nx + 1\n~~~", "x + 1"),
        ('`"42"`', "42"),
    ],
)
def test_what_encloses_the_whole_is_taken_off(answer, bare):
    assert undress(answer) == bare


@pytest.mark.parametrize(
    "answer",
    [
        '"a" or "b"',
        "f'(x)",
        "5'10\"",
        '""',
        "'",
        "```\n42",
        "```\n1\n```\n2\n```",
        "`1` or `2`",
        "'1",
        "```",
        "~" * 100,
        "42",
    ],
)
def test_what_does_not_stays(answer):
    assert undress(answer) == answer


@pytest.mark.parametrize("answer", ['"42"', "'42'", "`42`", "\n```\n42\n```\n"])
def test_exact_text_keeps_its_dress_and_mathematics_loses_it(answer):
    completion = Completion(f"<answer>{answer}</answer>")
    problem = Problem("?", "42")
    assert Rubric(math_answer()).score(completion, problem).parts["math"].status is Status.CORRECT
    assert Rubric(exact()).score(completion, problem).parts["exact"].status is Status.WRONG
