"""A chat: lines in, completions and verdicts out; a line that makes no sense is a sentence, not an end."""

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.chat import ChatConfig
from palaestra.trainer.evaluation.chat import chat

SETTINGS = {"option": ("operands=2", "digits=1"), "max_new_tokens": 24, "threads": 1, "device": "cpu"}


def talk(model, *lines, **settings):
    said: list[str] = []
    chat(ChatConfig.of(model=str(model), **{**SETTINGS, **settings}), lines, said.append)
    return said


def test_problems_of_a_task(warm_model):
    said = talk(warm_model, "/problem 3", "/problem", "/again", "/samples 1", "2+3= => 5", task="addition")
    text = "\n".join(said)
    assert text.count("addition/test/0/1/3\n") == 1
    assert text.count("addition/test/0/1/4\n") == 2  # the next one, and again
    assert text.count("--- 1 of 2") == 3
    assert text.count("--- 1 of 1") == 1
    assert text.count("   number: ") == 7
    assert "passed, reward" in text


def test_the_same_lines_are_answered_alike_and_again_anew(warm_model):
    lines = ("2+3= => 5", "/again", "/again", "/again")
    first = talk(warm_model, *lines, task="addition", temperature=1.5, samples=4)
    assert first == talk(warm_model, *lines, task="addition", temperature=1.5, samples=4)
    answers = [first[place : place + 12] for place in range(1, len(first), 12)]
    assert len(answers) == 4
    assert any(answer != answers[0] for answer in answers)


def test_without_a_task_the_reference_is_judged_as_verify_does(warm_model):
    said = talk(warm_model, "2+3=", "2+3= => 5", option=())
    assert sum("math: " in line for line in said) == 2  # of the second line's two samples alone


def test_greedy_draws_one(warm_model):
    said = talk(warm_model, "2+3=", "/temperature 0", "2+3=", task="addition")
    assert sum(line.startswith("\n--- 1 of 1") for line in said) == 1
    assert (
        sum(line.startswith("\n--- 1 of 1") for line in talk(warm_model, "2+3=", temperature=0.0, option=()))
        == 1
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/nonsense", "There is no /nonsense"),
        ("/samples 0", "from 1 to 64"),
        ("/samples many", "from 1 to 64"),
        ("/temperature -1", "a number from 0"),
        ("/temperature nan", "a number from 0"),
        ("/problem x", "number of a test problem"),
        ("/again", "type one"),
        ("1" * 4000, "tokens; the model reads"),
    ],
)
def test_mistakes_are_sentences_and_the_chat_goes_on(warm_model, line, sentence):
    said = talk(warm_model, line, "/help", task="addition")
    assert any(sentence in part for part in said)
    assert any("/quit" in part for part in said[-1:])


def test_quit_ends_it_and_empty_lines_are_nothing(warm_model):
    said = talk(warm_model, "", "  ", "/quit", "2+3=", task="addition")
    assert len(said) == 1


def test_settings_are_checked_before_the_model_is_loaded(tmp_path):
    with pytest.raises(UserError, match="Say which model"):
        chat(ChatConfig.of(task="gcd"), [], print)
    with pytest.raises(UserError, match="one model on one task"):
        chat(ChatConfig.of(model="a,b"), [], print)
    with pytest.raises(UserError, match="no task named"):
        chat(ChatConfig.of(model="embedded", task="gdc"), [], print)
