"""How much of a completion has been said before."""

import pytest
from palaestra import Completion, Problem, criteria
from palaestra.verifiers import Status

PLAIN = (
    "First we add seven to twelve, which makes nineteen. Then half of that is nine and a half, so it is odd."
)


def judge(text, **settings):
    return criteria.repetition(**settings).check(Completion(text), Problem("p"))


@pytest.mark.parametrize(
    "text", [PLAIN, "42", "one two", "我们把这两个数字相加，然后看看剩下的是什么。", "-" * 3]
)
def test_what_is_said_once_passes(text):
    assert judge(text).status is Status.CORRECT


@pytest.mark.parametrize(
    "text",
    [
        PLAIN * 4,
        "wait " * 100,
        "wait, " * 100,
        "ha" * 500,
        "a" * 100_000,
        "我们把这两个数字相加，" * 20,
        "ab-" * 300,
        "哈" * 18,
        "我们再看一下 " * 9,
        "THE end is near. the End Is near. " * 9,
        "!" * 200,
        PLAIN + " so on and on" * 60,
    ],
)
def test_a_loop_is_found_however_it_is_spelt(text):
    assert judge(text).status is Status.WRONG


def test_the_value_falls_in_a_straight_line_beyond_what_is_allowed():
    text = "a b c d " * 2  # two of three different pairs' places are taken again
    share = 1 - 4 / 7
    assert judge(text, words=2, most=0.2, ramp=0.5).value == pytest.approx(1 - (share - 0.2) / 0.5)
    assert judge(text, words=2, most=share).value == 1
    assert judge(text, words=2, most=0.2, ramp=0.1).status is Status.WRONG


def test_nothing_is_no_answer_and_settings_that_can_t_be_are_refused():
    assert judge(" \n").status is Status.NO_ANSWER
    for settings in ({"most": 1}, {"most": -0.1}, {"words": 1}, {"ramp": -1}):
        with pytest.raises(ValueError, match="a share is from 0"):
            criteria.repetition(**settings)
