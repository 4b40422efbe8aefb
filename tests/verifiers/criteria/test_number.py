"""Exact numbers: what is equal, and that nothing raises."""

import pytest
from palaestra.tasks import Problem
from palaestra.verifiers import Completion, Rubric, Status, exact, number


@pytest.mark.parametrize(
    ("reference", "answer", "status"),
    [
        ("1/2", "0.50", Status.CORRECT),
        ("1000", "1,000", Status.CORRECT),
        ("42", '"42"', Status.CORRECT),
        ("42", "`42`", Status.CORRECT),
        ("42", "```\n42\n```", Status.CORRECT),
        ("42", '"43"', Status.WRONG),
        ("42", '"42" or "43"', Status.NO_ANSWER),
        ("1/3", "0.33", Status.WRONG),
        ("-4", "4", Status.WRONG),
        ("4", "four", Status.NO_ANSWER),
    ],
)
def test_number(reference, answer, status):
    score = Rubric(number()).score(Completion(f"<answer>{answer}</answer>"), Problem("p", reference))
    assert score.parts["number"].status is status


def test_a_reference_that_is_no_number_is_the_tasks_fault_and_abstains_with_the_reason():
    score = Rubric(number()).score(Completion("<answer>1</answer>"), Problem("p", "one"))
    assert score.abstained
    assert "'one' is not a number" in score.parts["number"].reason


def test_exact_forgives_white_space_alone():
    rubric = Rubric(exact())
    assert rubric.score(Completion("<answer> a  b </answer>"), Problem("p", "a b")).passed
    assert not rubric.score(Completion("<answer>A b</answer>"), Problem("p", "a b")).passed


@pytest.mark.parametrize(
    ("answer", "passes"),
    [("$18", True), ("18 dollars", True), ("1,8", False), ("18 or 19", False), ("18.0", True)],
)
def test_a_lenient_evaluation_takes_the_one_number_of_an_answer(answer, passes):
    problem = Problem("p", "18")
    completion = Completion(f"The answer is {answer}.")
    assert Rubric(number()).lenient().score(completion, problem).passed is passes
    assert not Rubric(number()).score(completion, problem).passed
    assert not Rubric(number()).score(Completion("<answer>$18</answer>"), problem).passed
