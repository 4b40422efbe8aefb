"""Extraction of the one final answer: each source, the order of several, think blocks, hostile text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from palaestra.verifiers import Status, extract

PIECES = [
    "<answer>",
    "</answer>",
    "<think>",
    "</think>",
    "\\boxed",
    "{",
    "}",
    "####",
    "\n",
    " ",
    "1",
    "-2/3",
    "\\",
    "é",
]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer> 42 </answer>", "42"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("so\n#### 1,000", "1,000"),
        ("<think>\\boxed{1}</think>\\boxed{2}", "2"),
        ("<answer>1</answer> \\boxed{1}", "1"),
        ("the line must begin with '####'.\n\n#### 9", "9"),
        ('it looks like "#### N".\n#### 9', "9"),
        ("I write “####” first\n#### 9", "9"),
        ("'#### 5'", "5"),  # a quotation counts where nothing else is marked
    ],
)
def test_finds_the_marked_answer(text, answer):
    assert extract(text).answer == answer


def test_last_number_only_when_the_policy_has_it():
    assert extract("3 then 4").answer is None
    assert extract("3 then 4", ("last_number",)).answer == "4"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", Status.NO_ANSWER),
        ("<answer></answer>", Status.NO_ANSWER),
        ("<think><answer>1</answer>", Status.NO_ANSWER),
        ("<answer>1", Status.MALFORMED),
        ("<answer><answer>1</answer></answer>", Status.MALFORMED),
        ("\\boxed{1", Status.MALFORMED),
        ("<answer>1</answer><answer>2</answer>", Status.WRONG),
        ("\\boxed{1} or \\boxed{2}", Status.WRONG),
    ],
)
def test_what_is_no_single_answer_has_a_typed_verdict(text, status):
    found = extract(text)
    assert found.answer is None
    assert found.failure is not None
    assert found.failure.status is status


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=200))
def test_gives_an_answer_or_a_failure_and_never_raises(text):
    found = extract(text, ("tag", "boxed", "hash", "last_number"))
    assert (found.answer is None) != (found.failure is None)
