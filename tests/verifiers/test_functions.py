"""A plain function is a criterion: what it may return, and what a wrong one is told."""

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from palaestra import tasks
from palaestra.tasks import Problem, UserError, get
from palaestra.tasks.core.conformance import check
from palaestra.verifiers import Completion, Criterion, Rubric, Status, Verdict, exact, number
from palaestra.verifiers.functions import first_of, function

PROBLEM = Problem(prompt="What is 40 + 2?", reference="42")


def score(function, text="42"):
    return Rubric(function).score(Completion(text), PROBLEM)


@pytest.mark.parametrize(
    ("returned", "status", "value"),
    [
        (True, Status.CORRECT, 1),
        (1, Status.CORRECT, 1),
        (1.0, Status.CORRECT, 1),
        (np.float32(1), Status.CORRECT, 1),
        (0.7, Status.PARTIAL, 0.7),
        (Fraction(1, 4), Status.PARTIAL, 0.25),
        (False, Status.WRONG, 0),
        (0, Status.WRONG, 0),
        (Verdict(Status.NO_ANSWER, 0.0, None, "none"), Status.NO_ANSWER, 0),
    ],
)
def test_what_a_function_returns_becomes_a_verdict(returned, status, value):
    found = score(lambda _completion, _problem: returned)
    verdict = next(iter(found.parts.values()))
    assert (verdict.status, verdict.value, found.reward) == (status, value, value)
    assert found.passed is (status is Status.CORRECT)
    assert not found.abstained


def test_it_reads_the_completion_and_the_problem_and_keeps_its_name():
    def says_the_reference(completion, problem):
        return problem.reference in completion.text

    rubric = Rubric(says_the_reference, number(weight=0.5))
    assert [criterion.name for criterion in rubric.criteria] == ["says_the_reference", "number"]
    assert rubric.score(Completion("It is 42."), PROBLEM).passed
    assert not rubric.score(Completion("It is 41."), PROBLEM).passed


class Judge:
    def __call__(self, completion, problem):
        return completion.text == problem.reference


def test_objects_that_can_be_called_and_criteria_are_taken():
    assert function(Judge()).name == "Judge"
    assert score(Judge()).passed
    made = Criterion("mine", lambda *_: Verdict(Status.CORRECT, 1.0))
    assert Rubric(made).criteria == (made,)


@pytest.mark.parametrize("returned", [1.5, -0.1, float("nan"), None, "yes", [1]])
def test_what_is_no_reward_is_a_broken_criterion(returned):
    found = score(lambda _completion, _problem: returned)
    assert found.abstained
    assert "no number from 0 to 1" in next(iter(found.parts.values())).reason


@pytest.mark.parametrize(("returned", "said"), [(7, "7"), (None, "None")])
def test_its_author_is_told_what_it_returned_and_what_it_may(returned, said):
    def my_reward(_completion, _problem):
        return returned

    line = my_reward.__code__.co_firstlineno
    sentence = (
        f"my_reward ({function(my_reward).place}) returned {said}, which is no Verdict, no bool and no "
        "number from 0 to 1."
    )
    assert f"test_functions.py, line {line})" in sentence
    verdict = score(my_reward).parts["my_reward"]
    assert (verdict.status, verdict.reason) == (Status.ERROR, sentence)
    with pytest.raises(UserError, match=re.escape(sentence)):
        tasks.score(replace(get("gcd"), rubric=Rubric(my_reward)), "42", PROBLEM)
    task = replace(get("gcd"), rubric=Rubric(my_reward), solve=lambda problem: str(problem.reference))
    finding = next(found for found in check(task, 2) if "the solution has" in found.name)
    assert finding.advice.endswith(f": {sentence}")


def test_a_branch_without_a_return_counts_against_the_completion_and_is_named_to_who_scores_by_hand():
    def forgetful(completion, problem):
        return True if completion.text == problem.reference else None

    found = score(forgetful, "43")
    assert (found.abstained, found.parts["forgetful"].status) == (False, Status.MALFORMED)
    with pytest.raises(UserError, match=r"forgetful \(.*test_functions.py, line \d+\) returned None, which"):
        tasks.score(replace(get("gcd"), rubric=Rubric(forgetful)), "43", PROBLEM)


def test_a_criterion_names_what_its_check_returned_and_a_rubric_has_one():
    verdict = score(Criterion("mine", lambda *_: True)).parts["mine"]
    assert verdict.reason == "mine returned bool, which is no Verdict."
    with pytest.raises(ValueError, match="A rubric has no criterion; give one"):
        Rubric()


def test_an_exception_that_one_completion_brings_about_counts_against_it():
    def fragile(completion, problem):
        return int(completion.text) == int(problem.reference)

    assert score(fragile).passed
    found = score(fragile, "forty-two")
    assert not found.abstained
    assert found.reward == 0


@pytest.mark.parametrize("wrong", [lambda: True, lambda text: True, lambda a, b, c: True])
def test_a_wrong_signature_is_told_the_right_one(wrong):
    with pytest.raises(TypeError, match=r"def my_reward\(completion, problem\)"):
        Rubric(wrong)


def test_what_can_not_be_called_is_told_so():
    with pytest.raises(TypeError, match="str is no criterion and no function"):
        Rubric("number")


def parse_or_skip(completions, **_columns):
    """As TRL's own accuracy reward: None for what it can't read."""
    return [None if "<answer>" not in text else float("<answer>42</answer>" in text) for text in completions]


def polite(completions, **_columns):
    return [1.0 if "please" in text else 0.2 for text in completions]


def test_a_completion_does_not_choose_its_judge():
    rubric = Rubric(first_of(parse_or_skip, polite))
    dodged = rubric.score(Completion("please"), Problem("6 * 7?", "42"))
    assert (dodged.reward, dodged.passed, dodged.abstained) == (0, False, False)
    assert rubric.score(Completion("<answer>42</answer>"), Problem("6 * 7?", "42")).reward == 1


@pytest.mark.parametrize(
    "form",
    [
        "<think>",
        "</think>\n",
        "<thinking>",
        "<reasoning>\n",
        "```",
        "```json",
        "Answer:",
        "**",
        "Step 1",
        '"answer"',
    ],
)
def test_leaving_out_a_form_is_no_way_out_of_a_criterion(form):
    def needs(completions, **_columns):
        return [None if form not in text else 0.1 for text in completions]

    rubric, problem = Rubric(exact(), needs), Problem("6 * 7?", "42")
    without = rubric.score(Completion("<answer>42</answer>"), problem)
    assert without.parts["needs"].status is Status.MALFORMED
    assert without.reward <= 0.5


def test_a_criterion_that_does_not_apply_to_a_problem_is_asked_once_for_all_its_completions():
    asked = []

    def poems(completions, kind, **_columns):
        asked.extend(completions)
        return [None if each != "poem" else 1.0 for each in kind]

    rubric, problem = Rubric(exact(), poems), Problem("6 * 7?", "42", {"kind": "sum"})
    first = rubric.score(Completion("<answer>42</answer>"), problem)
    assert (first.reward, first.parts["poems"].status) == (1, Status.NOT_APPLICABLE)
    before = len(asked)
    assert rubric.score(Completion("<answer>42</answer> again"), problem).reward == 1
    assert len(asked) == before + 1


def test_a_function_says_whether_several_answers_may_be_right():
    def any_way(_completion, _problem):
        return True

    one, several = function(any_way), function(any_way, "several", several=True)
    assert (one.several, several.several) == (False, True)
    assert (first_of(one, several).several, first_of(one).several) == (True, False)
