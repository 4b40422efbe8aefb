"""Where an evaluation is kept: never over another one, never over a run."""

import json
import shutil
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.engines.base import Sampling
from palaestra.trainer.evaluation import run
from palaestra.trainer.evaluation.run import evaluate_model

from ..support.runs import make_listening_engine, say_nothing

TWO = EvalConfig.of(
    task="addition", option=("operands=2", "digits=1"), problems=2, max_new_tokens=4, device="cpu", threads=1
)


def test_evaluations_of_the_models_of_two_runs_lie_side_by_side_and_a_second_one_gets_a_number(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("r7", "r8"):
        shutil.copytree(warm_model, tmp_path / name / "model")
    shutil.copytree(warm_model, tmp_path / "r8/checkpoints/step-000004")
    asked = ["r7/model", "r8/model", "r8/checkpoints/step-000004", "r8/model"]
    folders = [str(evaluate_model(TWO.but(model=model), say=say_nothing).folder) for model in asked]
    names = ["addition-r7", "addition-r8", "addition-r8-step-000004", "addition-r8-2"]
    assert folders == [f"runs/eval-{name}" for name in names]
    summaries = [json.loads(Path(folder, "summary.json").read_text()) for folder in folders]
    assert [summary["model"] for summary in summaries] == asked
    assert all(Path(folder, "completions.jsonl").read_text().count("\n") == 2 for folder in folders)


def test_a_folder_that_holds_something_is_refused_and_left_as_it_is(warm_model: Path, tmp_path: Path):
    (tmp_path / "r9").mkdir()
    (tmp_path / "r9/config.json").write_text("a run's")
    with pytest.raises(UserError, match=r"r9 is not empty\. Give another --out\."):
        evaluate_model(TWO.but(model=warm_model, out=tmp_path / "r9"), say=say_nothing)
    assert (tmp_path / "r9/config.json").read_text() == "a run's"
    assert [path.name for path in (tmp_path / "r9").iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": "./nowhere"}, "no model folder"),
        ({"level": 99}, "no level 99"),
        ({"model": ""}, "which model"),
    ],
)
def test_a_mistake_is_found_before_a_folder_is_made(
    warm_model: Path, tmp_path: Path, change: dict, says: str
):
    config = TWO.but(**{"model": str(warm_model), "out": str(tmp_path / "new"), **change})
    with pytest.raises(UserError, match=says):
        evaluate_model(config, say=say_nothing)
    assert not (tmp_path / "new").exists()


def test_an_evaluation_is_drawn_as_its_settings_say(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[Sampling] = []
    monkeypatch.setattr(run, "LocalEngine", make_listening_engine(asked))
    settings = {"temperature": 0.7, "top_k": 9, "top_p": 0.9, "min_p": 0.05, "stop": ("x",)}
    evaluate_model(TWO.but(model=warm_model, out=tmp_path / "new", **settings), say=say_nothing)
    assert asked == [Sampling(**settings, max_new_tokens=4)]
