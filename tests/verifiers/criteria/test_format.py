"""Criteria on form: the answer tag, and patterns whose matching stops at its time limit."""

import pytest
import regex
from palaestra.tasks import Problem
from palaestra.verifiers import Completion, Status, answer_tag, pattern


def verdict(criterion, text):
    return criterion.check(Completion(text), Problem("p", "1"))


@pytest.mark.parametrize(
    "text", ["<answer>1</answer>", "<think>x</think>\n<answer>1</answer>\n", "so <answer>1</answer>"]
)
def test_answer_tag_accepts(text):
    assert verdict(answer_tag(), text).correct


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "<answer></answer>",
        "<answer>1</answer>.",
        "<answer>1</answer>" * 2,
        "<think><answer>1</answer>",
    ],
)
def test_answer_tag_refuses(text):
    assert verdict(answer_tag(), text).status is Status.MALFORMED


def test_pattern_matches_the_whole_completion():
    assert verdict(pattern(r"<think>.*</think>\d+"), "<think>a\nb</think>12").correct
    assert verdict(pattern(r"\d+"), "12 and more").status is Status.MALFORMED


def test_a_pattern_that_backtracks_stops_at_its_time_limit_and_does_not_match():
    """Without one it would go on for ever."""
    endless = pattern(r"(?:a|aa|a.?)+$b", timeout_s=0.1)
    assert verdict(endless, "a" * 5_000).status is Status.MALFORMED


def test_a_malformed_pattern_is_refused_at_once():
    with pytest.raises(regex.error):
        pattern("(")
