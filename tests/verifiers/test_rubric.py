"""The rubric: weights, gates, abstention, and that no completion can bring an abstention about."""

from dataclasses import replace

import pytest
from palaestra.tasks import Problem
from palaestra.verifiers import (
    Completion,
    Criterion,
    Rubric,
    Score,
    Status,
    Verdict,
    answer_criterion,
    number,
)
from palaestra.verifiers.types import Unavailable, correct, error, malformed, partial, timeout, wrong

PROBLEM = Problem("p", "r")


def says(name, verdict, weight=1.0, gate=False):
    return Criterion(name, lambda completion, problem: verdict, weight, gate)


def score(*criteria):
    return Rubric(*criteria).score(Completion("x"), PROBLEM)


def test_the_reward_is_the_weighted_mean_and_passed_the_first_criterion_alone():
    got = score(says("a", wrong()), says("b", correct(), weight=0.5), says("c", partial(0.5), weight=0.5))
    assert got.reward == pytest.approx(0.375)
    assert not got.passed
    assert score(says("a", correct()), says("b", wrong(), weight=3)).reward == 0.25
    assert score(says("a", correct()), says("b", wrong(), weight=3)).passed


def test_a_closed_gate_takes_the_reward_and_not_the_pass():
    got = score(says("a", correct()), says("g", malformed(), gate=True))
    assert (got.reward, got.passed, got.abstained) == (0.0, True, False)
    assert score(says("a", correct()), says("g", correct(), gate=True)).reward == 1


def test_a_score_says_what_its_reward_is_made_of():
    """The weights sum to 1, and weight times value to the reward: with a closed gate too."""
    parts = (says("a", wrong()), says("b", correct(), weight=0.5), says("c", partial(0.5), weight=0.5))
    got = score(*parts)
    assert (got.values, got.weights) == ({"a": 0.0, "b": 1.0, "c": 0.5}, {"a": 0.5, "b": 0.25, "c": 0.25})
    closed = score(*parts, says("g", malformed(), gate=True))
    assert closed.values == {"a": 0.0, "b": 0.0, "c": 0.0}
    for one in (got, closed):
        made = sum(one.weights[name] * value for name, value in one.values.items())
        assert made == pytest.approx(one.reward)
    abstained = score(says("a", correct()), says("b", error("down")))
    assert (abstained.values, abstained.weights) == ({}, {})


def test_the_verdict_on_correctness_is_found_by_name_in_whatever_order_the_parts_stand():
    rubric = Rubric(says("a", wrong("7")), says("b", correct()), says("c", partial(0.5)))
    got = rubric.score(Completion("x"), PROBLEM)
    turned = replace(got, parts=dict(reversed(got.parts.items())))
    assert got.correctness is not None
    assert turned.correctness == got.correctness
    assert got.correctness.answer == "7"
    assert [criterion.name for criterion in rubric.others] == ["b", "c"]
    assert score(says("a", wrong("7")), says("b", error("down"))).correctness is not None
    assert Score(1.0, True, {"a": correct()}).correctness is None


def test_an_error_anywhere_abstains():
    got = score(says("a", correct()), says("b", error("down")))
    assert (got.reward, got.passed, got.abstained) == (0.0, False, True)


def test_a_check_that_a_completion_makes_too_dear_counts_against_it():
    got = score(says("a", timeout()), says("b", correct()))
    assert (got.reward, got.passed, got.abstained) == (0.5, False, False)


def raises(failure):
    raise failure


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def whole(completion, problem):
    """Somebody's first check: it raises on all that is no number, and its author gave it no `render`."""
    return correct() if float(completion.text) == float(problem.reference) else wrong()


def echoed(reference, answer):
    return correct() if answer == reference else raises(KeyError(answer)) if answer != "0" else wrong()


@pytest.mark.parametrize(
    "failure", [ValueError("\ud800"), MemoryError(), RecursionError(), Unspeakable(), OSError(24, "files")]
)
@pytest.mark.parametrize("render", [str, None])
def test_what_only_this_completion_makes_a_check_raise_counts_against_it(failure, render):
    def check(completion, problem):
        return raises(failure) if "boom" in completion.text else correct()

    rubric = Rubric(Criterion("c", check, render=render))
    got = rubric.score(Completion("boom"), PROBLEM)
    assert not got.abstained
    assert got.parts["c"].status is Status.MALFORMED
    assert type(failure).__name__ in got.parts["c"].reason
    assert rubric.score(Completion("calm"), PROBLEM).passed


@pytest.mark.parametrize("text", ["", "abc", "9" * 5_000, "\ud800", "nan", "1e999"])
@pytest.mark.parametrize("criterion", [Criterion("c", whole), answer_criterion("c", echoed)])
def test_a_careless_check_gives_no_way_out(criterion, text):
    problem = Problem("p", "7")
    assert not Rubric(criterion).score(Completion(text), problem).abstained
    assert not Rubric(criterion).score(Completion(f"<answer>{text}</answer>"), problem).abstained


@pytest.mark.parametrize(
    ("criterion", "reference"),
    [
        (Criterion("c", lambda completion, problem: raises(RuntimeError("down"))), "r"),
        (Criterion("c", lambda completion, problem: raises(RuntimeError("down")), render=str), "r"),
        (Criterion("c", lambda completion, problem: None), "r"),
        (
            Criterion(
                "c",
                lambda completion, problem: (
                    raises(Unavailable("no worker")) if "x" in completion.text else correct()
                ),
            ),
            "r",
        ),
        (
            Criterion(
                "c", lambda completion, problem: wrong() if completion.text == "0" else problem.reference["n"]
            ),
            {},
        ),
        (
            answer_criterion(
                "c", lambda reference, answer: raises(KeyError("n")), render=lambda reference: reference["n"]
            ),
            {},
        ),
        (number(), "one"),
        pytest.param(number(), 10**5_000, id="a reference that str() refuses"),
    ],
)
def test_what_fails_on_a_harmless_completion_too_abstains(criterion, reference):
    got = Rubric(criterion).score(Completion("<answer>x</answer>"), Problem("p", reference))
    assert got.abstained
    assert got.parts["c" if "c" in got.parts else "number"].reason


def test_a_check_is_tried_on_few_harmless_completions():
    seen = []

    def check(completion, problem):
        seen.append(completion.text)
        raise ValueError

    assert Rubric(Criterion("c", check)).score(Completion("x"), PROBLEM).abstained
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("make", "says_"),
    [
        (lambda: Rubric(says("a", correct()), says("a", correct())), "share a name"),
        (lambda: Rubric(says("a", correct(), gate=True)), "can't be a gate"),
        (lambda: Rubric(says("a", correct(), weight=0)), "sum to 0"),
        (lambda: says("a", correct(), weight=-1), "weight -1"),
        (lambda: Verdict(Status.CORRECT, 0.5), "has a value in"),
        (lambda: Verdict(Status.WRONG, 0.1), "has a value in"),
        (lambda: partial(1.5), "has a value in"),
    ],
)
def test_misuse_is_a_sentence(make, says_):
    with pytest.raises(ValueError, match=says_):
        make()
