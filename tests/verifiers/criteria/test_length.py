"""How long a completion is."""

import pytest
from palaestra.tasks import Problem
from palaestra.verifiers import Completion, Rubric, Status, exact
from palaestra.verifiers.criteria.length import length


def judge(text, **settings):
    return length(**settings).check(Completion(text), Problem("p"))


@pytest.mark.parametrize(
    ("words", "settings", "value"),
    [
        (10, {"most": 10}, 1),
        (11, {"most": 10}, 0),
        (15, {"most": 10, "ramp": 9}, 0.5),
        (20, {"most": 10, "ramp": 9}, 0),
        (3, {"most": 10, "least": 5, "ramp": 3}, 0.5),
        (5, {"least": 5}, 1),
    ],
)
def test_the_value_falls_in_a_straight_line_beyond_the_bounds(words, settings, value):
    verdict = judge("word " * words, **settings)
    assert verdict.value == pytest.approx(value)
    assert verdict.status is {0: Status.WRONG, 1: Status.CORRECT}.get(value, Status.PARTIAL)


def test_what_is_counted():
    assert judge("four", most=4, unit="characters").correct
    assert judge("fives", most=4, unit="characters").reason == "5 characters, 1 too many."
    thought = "<think>" + "long " * 99 + "</think>short"
    assert judge(thought, most=5, part="answer").correct
    assert not judge(thought, most=5).correct
    assert judge("<think>a", most=5, part="answer").status is Status.NO_ANSWER


@pytest.mark.parametrize(
    "settings",
    [{}, {"most": 3, "least": 4}, {"most": 3, "ramp": -1}, {"least": -1}, {"most": 3, "unit": "tokens"},
     {"most": 3, "part": "head"}],
)  # fmt: skip
def test_bounds_that_nothing_can_keep_are_refused(settings):
    with pytest.raises(ValueError, match=r"give a bound|units are"):
        length(**settings)


@pytest.mark.parametrize("text", ["", " \n", "<think>a long thought</think>  "])
def test_saying_nothing_is_not_brevity(text):
    assert judge(text, most=5, part="answer").status is Status.NO_ANSWER
    assert Rubric(exact(), length(5)).score(Completion(""), Problem("?", "1")).reward == 0
