"""Episodes in a file: judged as in training, rows of ours and of a stranger; what is not known abstains."""

import json
import math
from pathlib import Path

import palaestra as pal
import pytest
from palaestra.tasks import DataError
from palaestra.tasks.core.rowfiles import Row
from palaestra.trainer.config.shared import TaskConfig
from palaestra.trainer.evaluation.offline import score_file
from palaestra.trainer.evaluation.records import make_record
from palaestra.trainer.evaluation.said import Untold, read_completions_of, read_said, write_said
from palaestra.trainer.evaluation.scoring import Completed, score_in_order
from palaestra.verifiers.types import Unavailable

GUESS = pal.tasks.get("number_guess")
PROBLEMS = [GUESS.problem("test", index) for index in range(3)]


def play(problem: pal.Problem, *said: str) -> pal.Completion:
    def player(_problem):
        for each in said:  # noqa: UP028 - a tuple takes nothing that is sent
            yield each

    return pal.play(GUESS, problem, player if said else None)


def score(tmp_path: Path, *rows: dict, task: object = GUESS, **more: object):
    path = tmp_path / "said.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept: list[dict] = []
    return score_file(task, path, keep=kept.append, **more), kept


def list_kinds() -> list[pal.Completion]:
    """Episodes won, lost, cut at their first turn, and failed by what was said and by the world."""
    won, lost = play(PROBLEMS[0]), play(PROBLEMS[0], "1", "x", "2")
    one = (pal.Turn("policy", "<answer>"),)
    ends = [
        ("length", None, ""),
        ("raised", None, "no"),
        ("unavailable", None, "gone"),
        ("timeout", None, ""),
    ]
    return [
        won,
        lost,
        *(pal.Completion(one[0].text, turns=one, finish_reason=r, fault=f) for r, _, f in ends),
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_that_a_run_wrote_are_judged_as_in_training(tmp_path, workers):
    said = list_kinds() * (1 if workers == 1 else 100)
    expected = [GUESS.score(each, PROBLEMS[0]) for each in said]
    rows = [make_record(PROBLEMS[0], each, found) for each, found in zip(said, expected, strict=True)]
    task = GUESS if workers == 1 else TaskConfig(name="number_guess")
    scores, kept = score(tmp_path, *rows, task=task, workers=workers)
    assert scores.completions == len(said)
    for row, found in zip(kept, expected, strict=True):
        assert (row["reward"], row["passed"], row["abstained"]) == (
            found.reward,
            found.passed,
            found.abstained,
        )
        for name, part in found.parts.items():
            assert (row["parts"][name]["status"], row["parts"][name]["reason"]) == (part.status, part.reason)


def test_a_strangers_turns_and_chats_are_judged_with_their_state(tmp_path):
    won = play(PROBLEMS[1])
    turns = [{"role": turn.role, "text": turn.text} for turn in won.turns]
    roles = {"policy": "assistant", "world": "user"}
    chat = [{"role": roles[turn.role], "content": turn.text} for turn in won.turns]
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROBLEMS[1].text}]
    rows = [
        {"id": PROBLEMS[1].id, "turns": turns, "state": won.state},
        {"id": PROBLEMS[1].id, "completion": [*prompt, *chat], "state": won.state},
        {"id": PROBLEMS[1].id, "completions": [chat, [*prompt, *chat]], "state": won.state},
        {"id": PROBLEMS[1].id, "turns": turns, "completion": won.text, "state": won.state},
    ]
    scores, kept = score(tmp_path, *rows)
    assert scores.passed == scores.completions == 5
    assert all(row["reward"] == GUESS.score(won, PROBLEMS[1]).reward for row in kept)


def test_what_is_not_known_abstains_where_the_rubric_reads_it(tmp_path):
    won = play(PROBLEMS[1])
    turns = [{"role": turn.role, "text": turn.text} for turn in won.turns]
    rows = [{"id": PROBLEMS[1].id, "turns": turns}, {"id": PROBLEMS[1].id, "completion": won.text}]
    scores, kept = score(tmp_path, *rows)
    assert scores.abstained == 1.0
    assert all("give `state`" in row["parts"]["reached"]["reason"] for row in kept)
    calculator = pal.tasks.get("calculator")
    problem = calculator.problem("test", 0)
    answer = f"<answer>{problem.reference}</answer>"
    scores, _ = score(tmp_path, {"id": problem.id, "completion": answer}, task=calculator)
    assert (scores.passed, scores.abstained) == (1, 0.0)  # its answer is judged, and it is there


def test_a_text_with_a_state_does_not_say_that_there_were_no_turns():
    won = play(PROBLEMS[1])
    row = Row({"completion": won.text, "state": won.state}, "line 1")
    [said] = read_completions_of(row, "auto", episodes=True)
    assert GUESS.score(said, PROBLEMS[1]).passed
    assert pal.Rubric(pal.criteria.turn_rewards()).score(said, PROBLEMS[1]).abstained


def test_what_is_null_in_a_row_is_as_if_it_were_not_there():
    rest = {"voice": None, "reward": None}  # as Parquet has it where another row has a value
    turns = [{"role": "policy", "text": "a", **rest}, {"role": "world", "text": "b", **rest}]
    row = {"turns": turns, "state": {"reward": 1}, "finish_reason": None, "fault": None, "completion": None}
    [said] = read_completions_of(Row(row, "line 1"), "auto", episodes=True)
    assert [(turn.role, turn.text, turn.voice) for turn in said.turns] == [
        ("policy", "a", "user"),
        ("world", "b", "user"),
    ]
    assert (said.finish_reason, said.fault) == ("stop", "")
    assert pal.Rubric(pal.criteria.reached()).score(said, PROBLEMS[0]).passed
    assert pal.Rubric(pal.criteria.turn_rewards()).score(said, PROBLEMS[0]).abstained


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_turns_earned_abstains_where_a_row_does_not_say_it(told, workers):
    rubric = pal.Rubric(pal.criteria.turn_rewards())
    reward = {"reward": 0.5} if told else {}
    turns = [{"role": "policy", "text": "a", **reward}, {"role": "world", "text": "b"}]
    rows = [{"turns": turns}, {"turns": turns, "state": {}}, {"turns": turns, "verdicts": {}}]
    for row in rows:
        [said] = read_completions_of(Row(row, "line 1"), "auto", episodes=True)
        if workers == 2:
            said = read_said(json.loads(json.dumps(write_said(said))))
        score = rubric.score(said, PROBLEMS[0])
        assert (score.abstained, score.reward) == (not told and "verdicts" not in row, 0.5 * told)
        assert [(turn.role, turn.text) for turn in said.turns] == [("policy", "a"), ("world", "b")]
        assert "text='a'" in repr(said.turns)
        judged = pal.Rubric(pal.criteria.turn_rewards(lambda _said, _problem: [1.0])).score(said, PROBLEMS[0])
        assert judged.passed  # by a function that reads none of them


@pytest.mark.parametrize("lost", [["state"], ["state", "turns"]])
def test_no_way_to_read_what_is_lost_finds_anything(lost):
    one = (pal.Turn("policy", "a"), pal.Turn("world", "b"))
    said = Untold(lost, text="a", turns=() if "turns" in lost else one)
    reads = [
        lambda each, _: each.state == "found",
        lambda each, _: isinstance(each.state, dict),
        lambda each, _: getattr(each, "state", None) is None,
        lambda each, _: hasattr(each, "state"),
        lambda each, _: bool(json.dumps(each.state)),
    ]
    for read in reads:
        assert pal.Rubric(read).score(said, PROBLEMS[0]).abstained
    assert pal.Rubric(lambda each, _: len(each.turns) == 2).score(said, PROBLEMS[0]).abstained is (
        len(lost) == 2
    )
    assert not pal.Rubric(lambda each, _: each.text == "a").score(said, PROBLEMS[0]).abstained
    with pytest.raises(Unavailable, match="give"):
        read_said(json.loads(json.dumps(write_said(said)))).state  # noqa: B018


def test_what_a_worker_reads_is_what_was_written():
    for each in [*list_kinds(), pal.Completion("a"), pal.Completion("a", finish_reason="length")]:
        assert read_said(json.loads(json.dumps(write_said(each)))) == each
    assert write_said(pal.Completion("a")) == "a"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"turns": "text"}, "line 1: its 'turns' are no list.*policy or world"),
        ({"turns": [{"role": "assistant", "text": "a"}]}, "no turn of the policy or of the world"),
        ({"turns": [{"role": "policy", "text": 1}]}, "no turn of the policy"),
        ({"turns": [{"role": "policy", "text": "a"}], "completion": "b"}, "not what its turns say"),
        ({"turns": [{"role": "policy", "text": "a"}], "finish_reason": 1}, "is no text"),
        ({"turns": [{"role": "policy", "text": "a"}], "state": math.nan}, "its state is no plain data"),
        ({"state": 1}, "no completion and no completions"),
        ({"completion": 7}, "which is no text"),
    ],
)
def test_a_bad_row_names_its_line(tmp_path, row, says):
    with pytest.raises(DataError, match=says):
        score(tmp_path, {"id": PROBLEMS[0].id, **row})


def test_a_single_turn_task_reads_the_text_of_a_chat_as_before(tmp_path):
    gcd = pal.tasks.get("gcd")
    problem = gcd.problem("test", 0)
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": gcd.solution(problem)}]
    scores, _ = score(tmp_path, {"id": problem.id, "completion": chat}, task=gcd)
    assert (scores.passed, scores.abstained) == (1, 0.0)
    [found] = score_in_order(gcd, [Completed(pal.Completion(gcd.solution(problem)), problem)])
    assert found["passed"]
