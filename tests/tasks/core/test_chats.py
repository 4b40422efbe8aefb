"""Chats of problems and of rows; what TRL is handed."""

import pytest
from palaestra.tasks import Problem, task
from palaestra.tasks.adapters.datasets import as_dataset
from palaestra.tasks.core.chats import add_instruction, chat, read_messages
from palaestra.tasks.core.errors import DataError
from palaestra.tasks.core.registry import REGISTERED
from palaestra.tasks.core.rowfiles import Row
from palaestra.verifiers import Rubric, number

ASK, ANSWER = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}
PARTS = {"role": "user", "content": [{"type": "text", "text": "Q1 "}, {"type": "text", "text": "Q2"}]}


def test_a_chat_of_parts_is_one_of_texts_and_keeps_what_else_it_holds():
    assert read_messages([{**PARTS, "name": "Ann"}], "x") == [
        {"role": "user", "content": "Q1 Q2", "name": "Ann"}
    ]
    assert Problem([PARTS, ANSWER]).text == "Q1 Q2\nA"
    assert chat(Row({}, "rows.jsonl, line 3"), [{**PARTS, "name": "Ann"}]) == [
        {"role": "user", "content": "Q1 Q2"}
    ]


@pytest.mark.parametrize(
    "value", ["hello", [], None, [ASK, "x"], [{"role": "user"}], [{**ASK, "role": None}]]
)
def test_a_row_that_is_no_chat_is_a_sentence_with_its_place(value):
    with pytest.raises(DataError, match=r"^rows.jsonl, line 3: a chat is a list of messages"):
        chat(Row({}, "rows.jsonl, line 3"), value)
    if not isinstance(value, str):
        with pytest.raises(DataError, match=r"^Problem a/b/1: a chat"):
            _ = Problem(value, id="a/b/1").text


def test_the_instruction_is_added_to_a_copy_of_the_users_last_message():
    messages = [dict(ASK), dict(ANSWER), dict(ASK), dict(ANSWER)]
    told = add_instruction(messages, "I", "\n", "x")
    assert [message["content"] for message in told] == ["Q", "A", "Q\nI", "A"]
    assert messages[2] == ASK
    with pytest.raises(DataError, match=r"^x: its chat has no message of the user"):
        add_instruction([ANSWER], "I", "\n", "x")
    assert add_instruction([ANSWER], "", "\n", "x") == [ANSWER]


def test_a_data_set_gets_the_instruction_in_the_users_turn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(REGISTERED, "begun", None)  # taken away again afterwards

    @task("begun", rubric=Rubric(number()), instruction="I")
    def begun(rng, level):
        yield Problem([ASK, ANSWER], "1", key=str(rng.random()))

    (row,) = as_dataset(begun, count=1)
    assert [message["content"] for message in row["prompt"]] == ["Q\n\nI", "A"]
