"""A list of small checks: what passes, what is paid, and that each check runs once."""

import pytest
from palaestra import Completion, Problem, Rubric, criteria
from palaestra.verifiers.types import Status, Unavailable

EMAIL = Problem("Invite Ada for 12 May.", "12 May")


def names_date(completion, problem):
    return problem.reference in completion.text


CHECKS = {
    "date": names_date,
    "short": criteria.length(12, least=1),
    "calm": lambda completion, _problem: "!" not in completion.text,
}


def score(text, *others, **settings):
    return Rubric(criteria.checklist(CHECKS, **settings), *others).score(Completion(text), EMAIL)


def test_it_passes_where_all_checks_do_and_pays_for_each():
    good = score("Come on 12 May.")
    assert (good.passed, good.reward, good.criterion) == (True, 1.0, "checklist")
    loud = score("Come on 12 May!", weights={"date": 2})
    assert (loud.passed, loud.reward) == (False, 0.75)
    assert loud.parts["checklist"].reason == "Failed: calm."
    assert {name: part.correct for name, part in loud.parts.items()} == {
        "checklist": False, "date": True, "short": True, "calm": False,
    }  # fmt: skip
    assert loud.weights == {"checklist": 0.0, "date": 0.5, "short": 0.25, "calm": 0.25}


def test_needed_checks_alone_decide_what_passes():
    loud = score("Come on 12 May!", needed=["date", "short"])
    assert loud.passed
    assert loud.reward == pytest.approx(2 / 3)
    assert not score("Come soon.", needed=["date", "short"]).passed


def test_a_gated_list_is_all_or_nothing():
    assert score("Come on 12 May!", gate=True).reward == 0
    assert score("Come on 12 May.", gate=True).reward == 1
    part = score("Come on 12 May!", gate=True, needed=["date"])
    assert (part.passed, part.reward) == (True, pytest.approx(2 / 3))
    none = score("Come soon.", gate=True, needed=["date"])
    assert (none.passed, none.reward) == (False, 0.0)


def test_a_check_that_is_a_gate_stays_one():
    rubric = Rubric(criteria.checklist({**CHECKS, "tagged": criteria.answer_tag(gate=True)}))
    got = rubric.score(Completion("Come on 12 May."), EMAIL)
    assert (got.reward, got.passed) == (0.0, False)


def test_beside_another_criterion_it_has_its_weight():
    rubric = Rubric(criteria.exact(weight=3), criteria.checklist(CHECKS, weight=1))
    got = rubric.score(Completion("<answer>12 May</answer>!"), EMAIL)
    assert (got.passed, got.reward, got.criterion) == (True, pytest.approx((3 + 2 / 3) / 4), "exact")


def test_each_check_runs_once():
    ran = []
    rubric = Rubric(criteria.checklist({"one": lambda _c, _p: ran.append(1) or True}))
    assert rubric.score(Completion("x"), EMAIL).passed
    assert ran == [1]
    listed = rubric.criteria[0]  # by itself it runs them
    assert listed.check(Completion("x"), EMAIL).correct
    assert ran == [1, 1]


def test_a_broken_check_abstains_and_one_that_does_not_apply_is_left_out():
    def broken(completion, problem):
        raise Unavailable("down")

    got = Rubric(criteria.checklist({**CHECKS, "broken": broken})).score(Completion("x"), EMAIL)
    assert got.abstained
    assert "down" in got.parts["checklist"].reason

    def skips(completions, **kwargs):
        return [None for _ in completions]

    some = Rubric(criteria.checklist({**CHECKS, "skips": criteria.function(skips, low=0)}))
    assert some.score(Completion("12 May"), EMAIL).passed
    none = Rubric(criteria.checklist({"skips": criteria.function(skips, low=0)}))
    assert none.score(Completion("12 May"), EMAIL).abstained


def test_no_completion_gains_by_making_a_check_raise():
    def fragile(completion, problem):
        return 1 / len(completion.text) <= 1

    got = Rubric(criteria.checklist({**CHECKS, "fragile": fragile})).score(Completion(""), EMAIL)
    assert (got.parts["fragile"].status, got.abstained, got.passed) == (Status.MALFORMED, False, False)


@pytest.mark.parametrize(
    ("checks", "settings", "said"),
    [({}, {}, "asks for nothing"),
     (CHECKS, {"needed": []}, "asks for nothing"),
     (CHECKS, {"needed": ["dates"]}, "'dates', which is no check"),
     (CHECKS, {"weights": {"dates": 1}}, "'dates', which is no check"),
     (CHECKS, {"weights": {"date": -1}}, "weight -1"),
     (CHECKS, {"weights": {"date": 0, "short": 0, "calm": 0}}, "weight 0 or is a gate"),
     (CHECKS, {"name": "calm"}, "the name of its list"),
     ({"model": criteria.learned()}, {}, "judges by others")],
)  # fmt: skip
def test_a_list_that_means_nothing_is_refused(checks, settings, said):
    with pytest.raises(ValueError, match=said):
        criteria.checklist(checks, **settings)


def test_a_list_without_its_checks_is_refused():
    with pytest.raises(ValueError, match="judges by 'date'"):
        Rubric(criteria.checklist(CHECKS)[0])


def test_weights_change_without_what_passes():
    rubric = Rubric(criteria.checklist(CHECKS)).weigh({"calm": 0})
    got = rubric.score(Completion("Come on 12 May!"), EMAIL)
    assert (got.reward, got.passed) == (1.0, False)
