"""The name of an evaluation's folder, and what may lie in it."""

import json
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.evaluation.folder import (
    choose_folders,
    find_begun,
    name_evaluation,
    name_model,
    name_models,
)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "eval-gsm8k-r7"),
        ({"samples": 8, "temperature": 0.7}, "eval-gsm8k-r7-8samples-t0.7"),
        ({"split": "train", "extraction": "lenient"}, "eval-gsm8k-r7-train-lenient"),
        ({"data": "here/mine.jsonl", "top_p": 0.9}, "eval-gsm8k-r7-mine-top_p-0.9"),
        ({"endpoint": "http://a:8000/v1", "retries": 3}, "eval-gsm8k-r7-at-a-8000"),
        ({"threads": 2, "device": "cpu", "rows": 3}, "eval-gsm8k-r7"),
    ],
    ids=["default", "sampled", "split", "data", "endpoint", "what changes no completion"],
)
def test_the_name_tells_what_is_not_the_default(settings: dict, name: str):
    assert name_evaluation(EvalConfig.of(**settings), "gsm8k", "r7") == name


def test_a_task_of_own_data_is_named_once():
    config = EvalConfig.of(data="here/mine.jsonl", answer="gold")
    assert name_evaluation(config, "mine", "r7") == "eval-mine-r7-answer-gold"


def test_texts_in_a_name_are_short_and_of_plain_characters():
    texts = {
        "stop": ("</answer>", "\n\n"),
        "system": "Answer/../with care. " * 20,
        "option": ["a=../../b"] * 30,
    }
    name = name_evaluation(EvalConfig.of(**texts), "a/b", "m n")
    assert name.startswith("eval-a-b-m-n-a..-..-b-")
    assert len(name) < 200
    assert "/" not in name
    other = name_evaluation(EvalConfig.of(**texts, seed=1), "a/b", "m n")
    assert other != name


def test_a_model_is_named_by_its_run(tmp_path: Path):
    for name in ("r8/model", "r8/checkpoints/step-000004", "own"):
        (tmp_path / name).mkdir(parents=True)
    named = [name_model(str(tmp_path / name)) for name in ("r8/model", "r8/checkpoints/step-000004", "own")]
    assert named == ["r8", "r8-step-000004", "own"]
    assert name_model("Qwen/Qwen2.5-0.5B") == "Qwen2.5-0.5B"


def test_models_that_are_called_alike_are_told_apart(tmp_path: Path):
    runs = [tmp_path / name / "r7/model" for name in "ab"]
    for run in runs:
        run.mkdir(parents=True)
    sources = [*map(str, runs), "org1/x", "org2/x", "org2/y"]
    assert list(name_models(sources).values()) == ["a/r7/model", "b/r7/model", "org1/x", "org2/x", "y"]


def test_every_evaluation_of_a_command_has_a_folder_of_its_own():
    models = [EvalConfig.of(model=model, out="o") for model in ("org1/x", "org2/x")]
    assert [folder.name for folder in choose_folders(models, ["gcd", "gcd"])] == [
        "eval-gcd-org1-x", "eval-gcd-org2-x",
    ]  # fmt: skip
    data = [EvalConfig.of(model="x", data=f"{name}/mine.jsonl", out="o") for name in "ab"]
    first, second = choose_folders(data, ["mine", "mine"])
    assert first.name.startswith("eval-mine-x-")
    assert second.name.startswith("eval-mine-x-")
    assert first != second
    assert choose_folders(data[:1], ["mine"]) == [Path("o")]
    alike = [EvalConfig.of(model="x", out="o", threads=threads) for threads in (1, 2)]
    with pytest.raises(UserError, match=r"eval-gcd-x-\w+ is asked for twice"):
        choose_folders(alike, ["gcd", "gcd"])


def test_a_folder_in_which_nothing_was_done_yet_is_free(tmp_path: Path):
    assert find_begun(tmp_path / "none") is None
    (tmp_path / "completions.jsonl").touch()
    (tmp_path / "sources").mkdir()
    (tmp_path / ".facts.json.partial").write_text("{")
    assert find_begun(tmp_path) is None
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "vllm.log").write_text("INFO up")
    assert find_begun(tmp_path) is None
    (tmp_path / "completions.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match="holds no evaluation"):
        find_begun(tmp_path)
    (tmp_path / "facts.json").write_text(json.dumps({"command": "train", "identity": {}}))
    with pytest.raises(UserError, match="holds no evaluation"):
        find_begun(tmp_path)
    (tmp_path / "facts.json").write_text(json.dumps({"command": "eval", "identity": {"odd": 1}}))
    with pytest.raises(UserError, match=r"facts\.json is damaged"):
        find_begun(tmp_path)
