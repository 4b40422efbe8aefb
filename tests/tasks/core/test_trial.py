"""A reward of the user's own is tried before anything is started on it."""

import palaestra as pal
import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.tasks.core.task import REGISTERED
from palaestra.tasks.core.trial import find_broken, refuse_broken
from palaestra.tasks.data.own import make_task
from palaestra.tasks.data.spec import DataSpec

KINDS = [{"question": f"{n}?", "answer": "7", "kind": "sums" if n < 50 else "poems"} for n in range(100)]


def make(*rewards):
    return make_task(DataSpec(KINDS, verify=pal.Rubric(*rewards)))


def test_what_judges_something_is_left_alone():
    def picky(completion, problem):
        return 1.0 if completion.text == problem.reference else int("x" * len(completion.text))

    def last_kind(completions, kind, **columns):
        return [1.0 if each == "poems" else None for each in kind]

    assert find_broken(make(picky)) == ""
    assert find_broken(make(last_kind)) == ""
    assert find_broken(make(pal.criteria.number(), pal.criteria.function(last_kind, low=0))) == ""


def test_one_bad_row_is_no_broken_reward():
    def first_fails(completion, problem):
        assert problem.text != "0?"
        return True

    assert find_broken(make(first_fails)) == ""


@pytest.mark.parametrize("place", [0, 1])
def test_what_fails_at_whatever_it_is_shown_is_named_with_its_line(place):
    def broken(completion, problem):
        return problem.metadata["nowhere"]

    rewards = [pal.criteria.number()]
    rewards.insert(place, broken)
    fault = find_broken(make(*rewards))
    assert fault.startswith("The check of broken (tests/tasks/core/test_trial.py, line ")
    assert "raised KeyError at line " in fault


def test_a_first_criterion_that_never_applies_is_told_but_not_a_later_one():
    def never(completions, **columns):
        return [None for _ in completions]

    assert "says None to all of 20 problems that were tried" in find_broken(make(never))
    assert find_broken(make(pal.criteria.number(), pal.criteria.function(never, low=0))) == ""


def test_no_problem_is_read_for_criteria_of_the_house():
    task = make_task(DataSpec(KINDS, prompt="question", answer="answer", verify="number"))
    assert find_broken(task) == ""
    assert not task.source._parts


def test_a_generator_that_makes_no_problem_is_a_sentence(monkeypatch):
    monkeypatch.setitem(REGISTERED, "stuck", None)  # forgotten again at the end

    @pal.task("stuck", rubric=pal.Rubric(pal.criteria.number()))
    def stuck(rng, level):
        raise ZeroDivisionError("no sum")

    with pytest.raises(UserError, match=r"can't make a problem: ZeroDivisionError at .*test_trial\.py, line"):
        refuse_broken(stuck)
