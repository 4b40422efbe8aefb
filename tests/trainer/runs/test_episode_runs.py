"""Whole runs on a task with episodes: repeated to the bit, gone on with, ahead of the updates, measured."""

import json
from pathlib import Path

import pytest
from palaestra.tasks import UserError, get
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.evaluation.run import evaluate_model
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train

from ..support.runs import SMALL, have_same_weights, say_nothing
from ..support.server import answer, serve
from ..support.taught import teach

EXAMPLE = Path(__file__).parents[3] / "examples" / "own_episode.py"
SETTINGS = {
    **{"task": str(EXAMPLE), "option": (), "max_new_tokens": 60, "steps": 3},
    **{"eval_problems": 4, "eval_samples": 1, "preflight_problems": 0, "eval_every": 0, "save_every": 1},
    "rows": 8,  # half of a step's episodes: turns join others on their way
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a model that guesses right now and then."""
    return str(teach(get(str(EXAMPLE)), tmp_path_factory.mktemp("player")))


@pytest.fixture(scope="module")
def whole(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begin(model, tmp_path_factory.mktemp("episodes") / "whole")


def begin(model: str, out: Path, **settings: object) -> Path:
    train(SMALL.but(model=model, out=str(out), **(SETTINGS | settings)), say=say_nothing)
    return out


def read_rows(file: Path) -> list[dict]:
    """Completions with all that is known of them, but for the time."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows:
        row.pop("seconds", None)
        for verdict in row["verdicts"].values():
            verdict.pop("seconds")
    return rows


def test_a_run_is_repeated_and_gone_on_with_to_the_bit(model: str, whole: Path, tmp_path: Path):
    rows = read_rows(whole / "rollouts.jsonl")
    assert len({row["reward"] for row in rows}) > 1
    assert max(len(row["turns"]) for row in rows) > 4
    counts = [row.get("tokens_by_turn", [row["tokens"]]) for row in rows]
    assert [sum(each) for each in counts] == [len(row["token_ids"]) for row in rows]
    assert [sum(each[::2]) for each in counts] == [row["tokens"] for row in rows]
    again, parts = begin(model, tmp_path / "again"), begin(model, tmp_path / "parts", stop_after=2)
    resume(parts, {}, say_nothing)
    for other in (again, parts):
        assert read_rows(other / "rollouts.jsonl") == rows
        assert have_same_weights(other / "model", whole / "model")


def test_sampling_one_step_ahead_draws_what_its_weights_draw(model: str, whole: Path, tmp_path: Path):
    ahead, again = (begin(model, tmp_path / name, staleness=1) for name in ("ahead", "again"))
    rows = read_rows(ahead / "rollouts.jsonl")
    assert read_rows(again / "rollouts.jsonl") == rows
    assert have_same_weights(ahead / "model", again / "model")
    assert {(row["step"], row["version"]) for row in rows} == {(1, 0), (2, 0), (3, 1)}
    drawn = [
        [row["token_ids"] for row in each if row["step"] == 1]
        for each in (rows, read_rows(whole / "rollouts.jsonl"))
    ]
    assert drawn[0] == drawn[1]


def test_an_endpoint_hears_the_world_in_its_messages(tmp_path: Path):
    """It halves, by nothing but what it is sent; its tokens are counted by what it says of them."""

    def halve(body: dict) -> dict:
        first, *rest = body["messages"]
        low, high = 1, int(first["content"].partition(" to ")[2].partition(".")[0])
        for said, heard in zip(rest[::2], rest[1::2], strict=True):
            assert (said["role"], heard["role"]) == ("assistant", "user")
            guess = int(said["content"])
            low, high = (guess + 1, high) if heard["content"] == "higher" else (low, guess - 1)
        return answer(body, str((low + high) // 2))

    with serve(reply=halve) as server:
        settings = {"task": str(EXAMPLE), "problems": 6, "max_new_tokens": 80, "out": str(tmp_path / "out")}
        config = EvalConfig.of(endpoint=server.url, model="halving", **settings)
        with pytest.raises(UserError, match=r"own_guess has episodes.* take --api chat"):
            evaluate_model(config.but(api="completions"), say=say_nothing)
        assert not server.bodies
        evaluate_model(config, say=say_nothing)
    rows = read_rows(tmp_path / "out" / "completions.jsonl")
    assert all(row["passed"] for row in rows)
    assert max(len(row["turns"]) for row in rows) > 4
    said = [sum(turn["role"] == "policy" for turn in row["turns"]) for row in rows]
    assert [row["tokens"] for row in rows] == [7 * turns for turns in said]
    assert {body["max_tokens"] for body in server.bodies} == {8}


def test_an_evaluation_that_was_cut_goes_on_with_the_same_episodes(whole: Path, tmp_path: Path):
    def measure(name: str) -> list[dict]:
        out = str(tmp_path / name)
        model = {"model": str(whole / "model"), "device": "cpu", "threads": 1, "temperature": 1.0}
        settings = {"task": str(EXAMPLE), "problems": 4, "samples": 4, "max_new_tokens": 60, "out": out}
        evaluate_model(EvalConfig.of(**model, **settings), say=say_nothing)
        return sorted(
            read_rows(tmp_path / name / "completions.jsonl"), key=lambda row: (row["id"], row["sample"])
        )

    rows = measure("whole")
    assert any(len(row["turns"]) > 2 for row in rows)
    file = tmp_path / "whole" / "completions.jsonl"
    cut = tmp_path / "cut"
    cut.mkdir()
    for each in file.parent.iterdir():
        if each.is_file() and each.name != "summary.json":
            (cut / each.name).write_bytes(each.read_bytes())
    (cut / file.name).write_text("".join(file.read_text().splitlines(keepends=True)[:7]))
    assert measure("cut") == rows
