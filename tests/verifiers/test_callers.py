"""Functions as people have them for TRL and for `verifiers` run unchanged, and can't be exploited by it."""

import asyncio
import doctest
import math
import random
import re

import pytest
from field_rewards import CASES, CHAT, Case
from palaestra.tasks import Problem
from palaestra.verifiers import Completion, Rubric, Status, answer_tag, functions
from palaestra.verifiers.callers import AnswerParser, Message, Messages
from palaestra.verifiers.functions import first_of, function


def score(reward, text="42", metadata=None, *, prompt="What is 40 + 2?", reference="42"):
    rubric = reward if isinstance(reward, Rubric) else Rubric(reward)
    return rubric.score(Completion(text), Problem(prompt, reference, metadata or {}))


def only(found):
    return next(iter(found.parts.values()))


@pytest.mark.parametrize("case", CASES, ids=lambda case: function(case.function).name)
def test_what_people_have_runs_unchanged(case: Case):
    found = Rubric(case.function).score(
        Completion(case.text, ids=case.ids), Problem(case.prompt, "42", case.metadata or {})
    )
    if case.expected is None:
        assert found.abstained
        assert "does not apply to this problem" in only(found).reason
        return
    assert found.reward == pytest.approx(case.expected, abs=1e-4)
    assert found.passed is (case.expected >= 1)
    assert not found.abstained


def test_the_number_itself_enters_the_reward_and_the_value_stays_in_its_range():
    found = score(lambda completions, **kwargs: [-3.5] * len(completions))
    assert (only(found).status, only(found).value, only(found).number, found.reward) == (
        Status.WRONG, 0, -3.5, -3.5,
    )  # fmt: skip
    assert found.values == {"<lambda>": -3.5}
    assert only(score(lambda completions, **kwargs: [0.25] * len(completions))).number is None


@pytest.mark.parametrize(
    "returned", [[math.nan], [math.inf], ["yes"], [[1.0]], [1.0, 0.0], [], 0.5, {"a": 1}, "1"]
)
def test_what_is_no_list_of_numbers_is_a_broken_criterion(returned):
    def odd(completions, **kwargs):
        return returned

    found = score(odd)
    assert found.abstained
    assert re.match(r"odd \(.*test_callers.py, line \d+\) returned ", only(found).reason)


def test_a_column_that_the_row_does_not_have_is_named():
    def asks(completions, difficulty, **kwargs):
        return [1.0]

    found = score(asks, metadata={"topic": "sums"})
    assert found.abstained
    assert "asks for 'difficulty', which is no column of the problem's row; there are" in only(found).reason
    assert "topic" in only(found).reason


@pytest.mark.parametrize(
    "wrong",
    [lambda text: True, lambda response, **kwargs: True, lambda: True, lambda text, ground_truth: True],
)
def test_an_unknown_signature_is_told_the_three_forms(wrong):
    with pytest.raises(
        TypeError, match=r"(?s)my_reward\(completion, problem\).*prompts, completions.*answer\)"
    ):
        Rubric(wrong)


def test_a_row_s_own_column_comes_before_the_reference():
    def echo(completions, answer, solution, **kwargs):
        return [float(pair == ("#### 42", "42")) for pair in zip(answer, solution, strict=True)]

    assert score(echo, metadata={"answer": "#### 42"}).passed
    assert not score(echo).passed


def test_arguments_given_by_name_come_first():
    def with_parser(completion, parser, scale):
        return parser(completion) * scale

    criterion = function(with_parser, parser=lambda _completion: 1, scale=0.5, weight=2.0, name="mine")
    assert (criterion.name, criterion.weight, score(criterion).reward) == ("mine", 2.0, 0.5)


def test_the_parser_finds_the_answer_as_the_criteria_do():
    def find(text):
        return AnswerParser().parse_answer([{"role": "assistant", "content": text}])

    assert find("<think>3</think> It is \\boxed{42}") == "42"
    assert find("<think>3</think> forty-two") == " forty-two"
    assert find("<answer>1</answer> or <answer>2</answer>") is None
    assert AnswerParser().parse_answer("#### 7") == "7"
    assert AnswerParser().parse_answer([]) == ""


def test_a_function_that_reads_messages_gets_them_for_a_text_too():
    def reads_messages(completions, prompts, **kwargs):
        assert prompts[0][-1]["role"] == "user"
        return [float(completion[0]["content"] == "42") for completion in completions]

    criterion = function(reads_messages)
    assert score(criterion, "").parts["reads_messages"].status is Status.WRONG
    assert score(criterion).passed
    assert not score(criterion, "41").passed
    assert score(criterion, prompt=CHAT).passed


@pytest.mark.parametrize(
    "reads_text",
    [
        lambda completion, answer: answer in completion,
        lambda completion, answer: completion == answer,
        lambda completion, answer: completion.strip().endswith(answer),
        lambda completion, reference: bool(re.search(reference, completion)),
        lambda completion: len(completion) == 2 and completion != "41",
    ],
)
def test_a_function_that_reads_texts_gets_them_in_the_form_of_verifiers(reads_text):
    assert score(reads_text).passed
    assert score(reads_text, "41").reward == 0
    assert score(reads_text, prompt=CHAT).passed


def test_a_function_of_texts_gets_them_for_a_chat_too():
    def reads_texts(completions, prompts, **kwargs):
        return [float("42" in completion and "40 + 2" in prompts[0]) for completion in completions]

    assert score(reads_texts, prompt=CHAT).passed
    assert (
        score(
            lambda completions, **kwargs: [len(completion) for completion in completions], prompt=CHAT
        ).reward
        == 2
    )


def test_who_counts_messages_and_reads_them_gets_messages():
    def turns(completion, state):
        said = [message["content"] for message in completion if message["role"] == "assistant"]
        return float(len(completion) == len(state["trajectory"]) == 1 and bool(completion) and said == ["42"])

    assert score(turns).passed


def test_messages_that_are_taken_for_a_text_say_what_they_are():
    said = Messages([Message(role="assistant", content="42")])
    for ask in (lambda: "42" in said, lambda: said == "42", lambda: said != "42"):
        with pytest.raises(TypeError, match=r"its text is completion\[-1\]\['content'\]"):
            ask()
    assert said == [{"role": "assistant", "content": "42"}]
    assert {"role": "assistant", "content": "42"} in said


def test_a_text_that_breaks_a_function_of_texts_is_not_read_as_messages():
    def fragile(completions, **kwargs):
        return [float(len(completion) < {"42": 9}[completion]) for completion in completions]

    criterion = function(fragile)
    found = Rubric(criterion).score(Completion("43"), Problem("p", "42"))
    assert (found.abstained, found.reward) == (False, 0)
    assert only(found).status is Status.MALFORMED


# what a policy would do


def penalise(completions, **kwargs):
    """From -2 to 0; raises for what is no number."""
    return [-2.0 if int(completion) != 42 else 0.0 for completion in completions]


def test_raising_is_worth_no_more_than_a_wrong_answer():
    assert score(penalise, "41", reference="43").reward == -2
    assert score(penalise, "forty-two", reference="43").reward == -2  # as the harmless ones at worst
    bounded = function(penalise, low=-5)
    assert score(bounded, "forty-two").reward == -5
    assert score(bounded, "41").reward == -2


def test_the_line_that_raised_is_named():
    reason = only(score(penalise, "x")).reason
    line = penalise.__code__.co_firstlineno
    assert re.search(
        rf"penalise \(.*test_callers.py, line {line}\) raised ValueError at line {line + 2}: ", reason
    )


def test_a_gate_needs_the_least_to_be_known():
    with pytest.raises(ValueError, match=r"Say it: criteria.function\(penalise, low=0\), or lower"):
        Rubric(penalise, answer_tag(gate=True))
    low = score(function(penalise, low=-1), "41")
    assert (low.reward, low.abstained) == (-1, False)
    assert "returned -2, below the least that it may give, -1. Say its least" in only(low).reason
    known = Rubric(function(penalise, low=-2), answer_tag(gate=True))
    assert score(known, "42").reward == -2
    assert known.least == -2


def test_none_that_the_completion_brings_about_is_no_way_out():
    def shy(completions, **kwargs):
        return [None if "I" in completion else 1.0 for completion in completions]

    found = score(Rubric(answer_tag(weight=1.0), shy), "I <answer>1</answer>")
    assert found.parts["shy"].status is Status.MALFORMED
    assert found.reward == 0.5


def test_a_criterion_that_does_not_apply_is_left_out_of_the_mean():
    def hard(completions, level, **kwargs):
        return [0.0 if each > 3 else None for each in level]

    rubric = Rubric(answer_tag(weight=1.0), function(hard, weight=3.0))
    easy = score(rubric, "<answer>42</answer>", {"level": 1})
    assert (easy.reward, easy.weights, easy.abstained) == (1.0, {"answer_tag": 1.0}, False)
    assert easy.parts["hard"].status is Status.NOT_APPLICABLE
    assert score(rubric, "<answer>42</answer>", {"level": 5}).reward == 0.25
    gated = Rubric(answer_tag(weight=1.0), function(hard, gate=True, low=0))
    assert score(gated, "<answer>42</answer>", {"level": 1}).reward == 1.0
    assert score(gated, "<answer>42</answer>", {"level": 5}).reward == 0.0


def test_the_first_that_applies_decides():
    def sums(completions, task, **kwargs):
        return [
            float("42" in text) if kind == "sums" else None
            for text, kind in zip(completions, task, strict=True)
        ]

    def poems(completions, task, **kwargs):
        return [
            float("rose" in text) if kind == "poems" else None
            for text, kind in zip(completions, task, strict=True)
        ]

    rubric = Rubric(first_of(sums, poems))
    assert score(rubric, "42", {"task": "sums"}).passed
    assert score(rubric, "a rose", {"task": "poems"}).passed
    assert not score(rubric, "42", {"task": "poems"}).passed
    assert score(rubric, "42", {"task": "other"}).abstained
    with pytest.raises(ValueError, match="nothing to choose from"):
        first_of()


def test_a_function_of_the_step_is_refused_with_a_reason():
    def warm_up(completions, trainer_state, **kwargs):
        return [1.0 if trainer_state.global_step > 10 else 0.0]

    found = score(warm_up)
    assert found.abstained
    assert "trainer_state.global_step is not known: a reward is the same at every step" in only(found).reason


@pytest.mark.parametrize("low", [0.5, math.nan, -math.inf])
def test_a_least_that_can_not_be_is_refused(low):
    with pytest.raises(ValueError, match="no least number"):
        function(penalise, low=low)


def test_coroutines_are_awaited_inside_a_running_loop_too():
    async def reward(completion, answer):
        await asyncio.sleep(0)
        return 1.0

    async def notebook():
        return score(reward).reward

    assert asyncio.run(notebook()) == 1.0
    assert score(reward).reward == 1.0


def test_a_function_that_compares_completions_is_refused():
    def shortest(completions, **kwargs):
        best = min(map(len, completions))
        return [float(len(completion) == best) for completion in completions]

    found = score(shortest)
    assert found.abstained
    assert (
        "compares the completions of a batch with each other, and here it gets one at a time"
        in only(found).reason
    )
    assert (
        score(lambda completions, **kwargs: [1 / len(completion) for completion in completions]).reward == 0.5
    )

    def shortest_message(completions, **kwargs):
        return shortest([completion[0]["content"] for completion in completions])

    assert "compares the completions of a batch" in only(score(shortest_message)).reason


def test_a_function_that_draws_lots_compares_nothing():
    rng = random.Random(0)
    assert not score(lambda completions, **kwargs: [rng.random() for _ in completions]).abstained


def test_the_examples_of_the_docstrings_run():
    assert doctest.testmod(functions).failed == 0


def test_a_function_of_one_s_own_has_no_least():
    with pytest.raises(ValueError, match="takes a completion and a problem, and gives 0 to 1"):
        function(lambda completion, problem: 0, low=-1)


def test_another_number_of_rewards_than_completions_is_found_out_by_two():
    def lone(completions, **kwargs):
        return [1.0]

    found = score(lone)
    assert found.abstained
    assert "returned 1 reward for 2 completions. Return a list with a number for each" in only(found).reason


@pytest.mark.parametrize(
    "asks",
    [lambda said: said[-1] == "42", lambda said: said[-1] != "42", lambda said: said.count("42"),
     lambda said: said.index("42"), lambda said: sum(each == "." for each in said)],
)  # fmt: skip
def test_a_message_that_is_taken_for_a_text_says_what_it_is(asks):
    said = Messages([Message(role="assistant", content="42")])
    with pytest.raises(TypeError, match="content"):
        asks(said)
    assert said[0] == {"role": "assistant", "content": "42"}
    assert said.count({"role": "assistant", "content": "42"}) == 1
