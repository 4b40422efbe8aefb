"""The rows of a run's files for who looks at them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.storage.rows import find_fault, read_completion, read_completions, write_episode
from palaestra.verifiers import Completion, Turn
from palaestra.verifiers.types import Usage


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_every_row_has_the_prompt_as_the_model_saw_it_which_is_written_once_a_group(tmp_path: Path):
    path = write(
        tmp_path / "rollouts.jsonl",
        {"step": 1, "id": "a", "rendered_prompt": "<s>a"}, {"step": 1, "id": "a"},
        {"step": 1, "id": "b", "rendered_prompt": "<s>b"}, {"step": 1, "id": "b"},
        {"step": 2, "id": "a", "rendered_prompt": "<s>A"}, {"step": 2, "id": "a"}, {"step": 3, "id": "a"},
    )  # fmt: skip
    rows = read_completions(path)
    assert [row.get("rendered_prompt") for row in rows] == ["<s>a"] * 2 + ["<s>b"] * 2 + ["<s>A"] * 2 + [None]
    assert [row["id"] for row in read_completions(path, step=2)] == ["a", "a"]


def test_a_last_line_that_was_cut_is_left_out_and_a_damaged_one_is_named(tmp_path: Path):
    path = write(tmp_path / "completions.jsonl", {"id": "a"}, {"id": "b"})
    path.write_text(path.read_text() + '{"id": "c"')
    assert [row["id"] for row in read_completions(path)] == ["a", "b"]
    path.write_text('{"id": "a"}\n{"id"\n')
    with pytest.raises(UserError, match="line 2 is damaged"):
        read_completions(path)
    path.write_text("[1]\n")
    with pytest.raises(UserError, match="line 1 is damaged"):
        read_completions(path)
    assert read_completions(tmp_path / "none.jsonl") == []


def make(**changes: object) -> dict:
    row = {
        "id": "a", "completion": "4", "finish_reason": "stop", "tokens": 3, "reward": 1.0, "passed": True,
        "abstained": False, "verdicts": {"number": {"status": "correct", "value": 1.0}},
    }  # fmt: skip
    return {**row, **changes}


def test_a_scored_completion_has_no_fault():
    assert find_fault(make()) == ""
    whole = make(
        step=1, sample=0, prompt_tokens=9, advantage=-0.5, shadow_reward=None, learned={"judge": 0.5}
    )
    assert find_fault(whole) == ""
    judged = {"status": "no_answer", "value": 0.0, "answer": None, "reason": "none", "seconds": 0.1}
    assert find_fault(make(verdicts={"number": judged})) == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": 17}, "'id' is no text"),
        ({"completion": None}, "'completion' is no text"),
        ({"tokens": "four"}, "'tokens' is no whole number"),
        ({"tokens": -4}, "'tokens' is no whole number"),
        ({"tokens": 2**63}, "'tokens' is no whole number"),
        ({"sample": "0"}, "'sample' is no whole number"),
        ({"sample": 0.5}, "'sample' is no whole number"),
        ({"step": True}, "'step' is no whole number"),
        ({"passed": "yes"}, "'passed' is neither"),
        ({"abstained": 0}, "'abstained' is neither"),
        ({"reward": float("nan")}, "'reward' is no finite number"),
        ({"reward": float("inf")}, "'reward' is no finite number"),
        ({"reward": True}, "'reward' is no finite number"),
        ({"reward": 10**400}, "'reward' is no finite number"),
        ({"advantage": "up"}, "'advantage' is no finite number"),
        ({"learned": {"judge": "high"}}, "'learned' holds no finite numbers"),
        ({"verdicts": []}, "'verdicts' are no table"),
        ({"verdicts": {"number": "correct"}}, "'number' has no status"),
        ({"verdicts": {"number": {"status": "brilliant", "value": 1.0}}}, "'number' has no status"),
        ({"verdicts": {"number": {"status": ["correct"], "value": 1.0}}}, "'number' has no status"),
        ({"verdicts": {"number": {"status": "correct", "value": "1"}}}, "'number' has no finite value"),
        ({"verdicts": {"number": {"status": "correct", "value": 1.0, "answer": 4}}}, "is no text"),
        (
            {"verdicts": {"t": {"status": "correct", "value": 1.0, "by_turn": 1.0}}},
            "no list of finite numbers",
        ),
        ({"verdicts": {"t": {"status": "correct", "value": 1.0, "by_turn": ["1"]}}}, "no list of finite"),
        ({"turns": [{"role": "policy", "text": "5", "reward": float("nan")}]}, "a reward that is no finite"),
        ({"turns": [{"role": "policy", "text": "5", "reward": None}]}, "a reward that is no finite"),
        ({"tokens_by_turn": [3, -1]}, "'tokens_by_turn' is no list"),
        ({"tokens_by_turn": 3}, "'tokens_by_turn' is no list"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(changes: dict, says: str):
    assert says in find_fault(make(**changes))


@pytest.mark.parametrize(
    "name", ["id", "completion", "finish_reason", "tokens", "reward", "passed", "verdicts"]
)
def test_what_a_row_lacks_is_said(name: str):
    row = make()
    del row[name]
    assert find_fault(row) == f"it has no {name!r}"


def test_an_episode_is_read_as_it_was_written():
    turns = (Turn("policy", "5", reward=-0.5), Turn("world", "higher", "tool"), Turn("policy", "7"))
    said = Completion("5\n7", finish_reason="timeout", turns=turns, state={"tries": 2}, fault="It took 9 s.")
    row = {**write_episode(said), "completion": "5\n7", "finish_reason": "timeout", "tokens": 4}
    assert read_completion(json.loads(json.dumps(row))) == replace(said, usage=Usage(4, 0))
    assert write_episode(Completion("5")) == {}
    whole = {**row, "id": "a", "passed": False, "abstained": False, "reward": 0.0, "verdicts": {}}
    assert find_fault(whole) == ""
    assert "no turn" in find_fault({**whole, "turns": [{"role": "user", "text": "5"}]})
    assert "no list" in find_fault({**whole, "turns": "5"})
