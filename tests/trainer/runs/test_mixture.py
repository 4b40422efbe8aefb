"""A run on several tasks: what it says of each, and that it is resumed to the bit."""

import json
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.runs.checks import check_train
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train

from ..support.runs import SMALL, have_same_weights, say_nothing

MIXED = SMALL.but(
    task="addition:2,gcd@1:1", option=("addition.operands=2", "addition.digits=2"), mixture="progress",
    prompts_per_step=6, preflight_problems=0,
    **{"advantages.scale": "batch", "advantages.over": "task"},
)  # fmt: skip


def read_metrics(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(warm_model: Path, tmp_path_factory: pytest.TempPathFactory):
    said: list[str] = []
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(MIXED.but(model=str(warm_model), out=str(out)), say=said.append)
    return out, said


def test_each_task_has_its_own_metrics_and_pass_rate(whole):
    folder, said = whole
    lines = read_metrics(folder)
    for step in (line for line in lines if line["kind"] == "step"):
        assert sum(task["groups"] for task in step["tasks"].values()) == 6
        means = [task["reward"] * task["groups"] for task in step["tasks"].values()]
        assert sum(means) / 6 == pytest.approx(step["reward"], abs=1e-6)
    for evaluation in (line for line in lines if line["kind"] == "evaluation"):
        problems = {name: task["problems"] for name, task in evaluation["tasks"].items()}
        assert problems == {"addition": 7, "gcd@1": 3}
    assert sum(line.startswith("  gcd@1: ") for line in said) == 3
    facts = json.loads((folder / "facts.json").read_text())
    assert [task["name"] for task in facts["task"]["components"]] == ["addition", "gcd"]
    rollouts = (folder / "rollouts.jsonl").read_text().splitlines()
    prompts = {json.loads(line)["id"].partition("/")[0] for line in rollouts}
    assert prompts == {"addition", "gcd"}


def test_a_stopped_run_ends_in_the_same_bits(whole, warm_model, tmp_path):
    folder, _ = whole
    train(MIXED.but(model=str(warm_model), out=str(tmp_path / "run"), stop_after=2), say=say_nothing)
    resume(tmp_path / "run", {}, say=say_nothing)
    assert have_same_weights(tmp_path / "run" / "model", folder / "model")
    one, other = (
        [
            [line["reward"], line["prompts"], line["tasks"]]
            for line in read_metrics(path)
            if line["kind"] == "step"
        ]
        for path in (folder, tmp_path / "run")
    )
    assert one == other


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"task": "gcd", "mixture": "progress"}, "--mixture progress is of several tasks"),
     ({"task": "gcd", "advantages.scale": "batch", "advantages.over": "task"}, "of several tasks"),
     ({"task": "gcd,sorting", "advantages.over": "task"}, "would have no effect"),
     ({"task": "gcd,sorting", "level": 2}, "NAME@LEVEL"),
     ({"task": "gcd,sorting@99"}, "no level 99"),
     ({"task": "gcd,sortng"}, "Did you mean sorting"),
     ({"task": "gcd,sorting", "option": ("digits=3",)}, "gcd.digits=3"),
     ({"task": "gcd,sorting", "data": "x.jsonl"}, "--data belongs to one task"),
     ({"task": "gcd:2"}, "There is no task named"),
     ({"task": "gcd,sorting", "advantages.scale": "group",
       "advantages.aggregation": "normalise_then_sum"}, "one rubric")],
)  # fmt: skip
def test_what_makes_no_sense_of_several_tasks_is_refused_before_anything_is_loaded(settings, said):
    with pytest.raises(UserError, match=said):
        check_train(SMALL.but(option=()).but(**settings))


def test_data_sets_of_a_mixture_are_read_where_their_options_say(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    row = {"question": "What is a half?", "final_answer": "\\frac{1}{2}"}
    (tmp_path / "train.jsonl").write_text(json.dumps({**row, "difficulty": 1, "topic": ""}) + "\n")
    mixed = MIXED.but(task="deepmath,gcd@1", option=(f"deepmath.data={tmp_path}",), out=str(tmp_path / "run"))
    check_train(mixed)
    with pytest.raises(UserError, match=r"no file or folder /nowhere\. Give task deepmath data"):
        check_train(mixed.but(option=("deepmath.data=/nowhere",)))
    with pytest.raises(UserError, match=r"--option deepmath\.data=FOLDER"):
        check_train(mixed.but(option=()))
