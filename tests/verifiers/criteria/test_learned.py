"""A learned reward in a rubric: bounded, never `passed`, open until a reward model has spoken."""

import math

import pytest
from palaestra.tasks import Problem
from palaestra.verifiers import Completion, Rubric, answer_tag, learned, number
from palaestra.verifiers.criterion import CLIP

PROBLEM = Problem("What is 1 + 1?", "2")
RIGHT, WRONG = Completion("<answer>2</answer>"), Completion("<answer>3</answer>")


def test_until_a_reward_model_has_spoken_the_score_abstains():
    rubric = Rubric(number(), learned())
    score = rubric.score(RIGHT, PROBLEM)
    assert score.abstained
    assert "reward model" in score.parts["reward_model"].reason
    filled = rubric.fill(score, {"reward_model": 0.0})
    assert not filled.abstained
    assert filled.passed
    assert filled.learned == {"reward_model": 0.0}


@pytest.mark.parametrize(
    ("z", "value"), [(0.0, 0.5), (1.0, 1 / (1 + math.exp(-1))), (1e9, 1 / (1 + math.exp(-CLIP)))]
)
def test_the_logistic_shape_keeps_rewards_in_the_unit_interval(z: float, value: float):
    rubric = Rubric(number(weight=3), learned(weight=1))
    score = rubric.fill(rubric.score(RIGHT, PROBLEM), {"reward_model": z})
    assert score.reward == pytest.approx((3 + value) / 4)
    assert (rubric.least, rubric.most) == (0, 1)
    assert 0 < score.parts["reward_model"].value < 1


@pytest.mark.parametrize("z", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number_abstains(z: float):
    rubric = Rubric(learned())
    assert rubric.fill(rubric.score(RIGHT, PROBLEM), {"reward_model": z}).abstained


def test_nothing_passes_a_rubric_that_only_a_reward_model_judges():
    rubric = Rubric(learned(), answer_tag(weight=0.5))
    assert not rubric.verifiable
    assert not rubric.fill(rubric.score(RIGHT, PROBLEM), {"reward_model": 50.0}).passed
    assert "passed" not in rubric.describe()
    assert Rubric(number(), learned()).verifiable


def test_a_failed_gate_costs_the_least_reward_that_there_is():
    """With a linear learned reward 0 is the average answer; a failed gate must not pay as much."""
    rubric = Rubric(learned(shape="linear"), answer_tag(gate=True))
    bad_form = rubric.fill(rubric.score(Completion("2"), PROBLEM), {"reward_model": 3.0})
    bad_answer = rubric.fill(rubric.score(RIGHT, PROBLEM), {"reward_model": -3.0})
    assert bad_form.reward == rubric.least == -CLIP
    assert bad_answer.reward == -3.0
    assert rubric.fill(rubric.score(RIGHT, PROBLEM), {"reward_model": 99.0}).reward == rubric.most == CLIP


def test_the_values_of_a_learned_criterion_make_up_the_reward_with_the_others():
    rubric = Rubric(number(weight=3), learned(shape="linear"), answer_tag(gate=True))
    for text in ("<answer>6</answer>", "6"):  # the gate open, and closed
        score = rubric.fill(rubric.score(Completion(text), PROBLEM), {"reward_model": -0.7})
        made = sum(score.weights[name] * value for name, value in score.values.items())
        assert made == pytest.approx(score.reward)
        assert sum(score.weights.values()) == pytest.approx(1)
    assert score.values == {"number": 0.0, "reward_model": -CLIP}


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_share_mixes_a_learned_reward_into_a_verifiable_rubric(share: float):
    rubric = Rubric(number(), answer_tag(gate=True), answer_tag("form", weight=1.0)).with_learned(
        learned(), share
    )
    right, wrong = (
        rubric.fill(rubric.score(text, PROBLEM), {"reward_model": 0.0}) for text in (RIGHT, WRONG)
    )
    assert right.reward == pytest.approx((1 - share) * 1.0 + share * 0.5)
    assert wrong.reward == pytest.approx((1 - share) * 0.5 + share * 0.5)
    assert right.passed
    assert not wrong.passed
    formless = rubric.fill(rubric.score(Completion("2"), PROBLEM), {"reward_model": 0.0})
    assert formless.reward == pytest.approx(0.5 if share == 1 else 0.0), "at 1 the gate only measures"


def test_mistakes_are_sentences():
    with pytest.raises(ValueError, match="can't be a gate"):
        Rubric(number(), type(learned())("r", learned().check, gate=True, learned=learned().learned))
    with pytest.raises(ValueError, match="no learned criterion 'x'; it has reward_model"):
        Rubric(number(), learned()).fill(Rubric(number(), learned()).score(RIGHT, PROBLEM), {"x": 1.0})
    with pytest.raises(ValueError, match="give 0 to 1"):
        Rubric(number()).with_learned(learned(), 1.5)


def test_task_check_leaves_learned_criteria_out_and_holds_the_rest_to_everything():
    from dataclasses import replace

    from palaestra.tasks import get
    from palaestra.tasks.core import conformance
    from palaestra.tasks.core.proofs.prove import prove

    task = get("gcd")
    assert task.kind
    both = replace(task, rubric=Rubric(*task.rubric.criteria, learned(weight=2.0)))
    assert [finding for finding in prove(both, 5).findings if not finding.ok] == []
    assert len(conformance.check(both, 5)) == len(conformance.CHECKS)
    assert prove(both, 5).false_positives.total == prove(task, 5).false_positives.total > 100
    alone = replace(task, rubric=Rubric(learned()), solve=lambda problem: "anything")
    found = prove(alone, 5).findings
    assert {finding.name for finding in found} == {
        name for name, run in conformance.CHECKS.items() if run in conformance.OF_PROBLEMS
    }
    assert all(finding.ok for finding in found)
    with pytest.raises(ValueError, match="Every criterion"):
        alone.rubric.without_learned()
