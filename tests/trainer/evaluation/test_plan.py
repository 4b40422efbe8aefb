"""Which evaluations a command asks for."""

import json
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.evaluation.plan import find_models, list_evaluations


def plan(**settings) -> list[tuple]:
    asked = list_evaluations(EvalConfig.of(**{"model": "m", **settings}))
    return [(each.model.source, each.task.name, each.task.level, each.sampling.samples) for each in asked]


def test_tasks_and_models_are_lists_with_commas_and_a_task_may_have_its_level():
    assert plan(task="gsm8k") == [("m", "gsm8k", "all", 1)]
    assert plan(task="gsm8k, countdown:2", model="a/b,c") == [
        ("a/b", "gsm8k", "all", 1), ("a/b", "countdown", 2, 1),
        ("c", "gsm8k", "all", 1), ("c", "countdown", 2, 1),
    ]  # fmt: skip


def test_a_file_with_a_comma_in_its_name_is_one_task(tmp_path: Path):
    path = tmp_path / "a,b.py"
    path.touch()
    assert plan(task=path) == [("m", str(path), "all", 1)]


@pytest.mark.parametrize("suffix", [".toml", ".yaml"])
def test_a_suite_says_what_an_entry_has_of_its_own(tmp_path: Path, suffix: str):
    path = tmp_path / f"suite{suffix}"
    path.write_text(
        """
samples = 4
temperature = 0.7
evaluations = ["gsm8k", {task = "countdown:3", samples = 8}, {task = "gcd", level = 2}]
"""
        if suffix == ".toml"
        else """
samples: 4
temperature: 0.7
evaluations:
  - gsm8k
  - {task: "countdown:3", samples: 8}
  - task: gcd
    level: 2
"""
    )
    expected = [("m", "gsm8k", "all", 4), ("m", "countdown", 3, 8), ("m", "gcd", 2, 4)]
    assert plan(task=path, samples=1) == expected
    assert plan(task=f"{path},sorting")[-1] == ("m", "sorting", "all", 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("samples = 4", "a list 'evaluations'"),
        ("evaluations = []", "a list 'evaluations'"),
        ("evaluations = [{samples = 3}]", r"evaluation 1: give the name of a task"),
        ("evaluations = ['a', {task = 'b', smaples = 3}]", r"evaluation 2: there is no setting 'smaples'"),
        ("evaluations = ['a,b']", "is not one task"),
        ("evaluations = ['a', 'a']", "asked for twice"),
        ("evaluations = [3]", "give the name of a task"),
    ],
)
def test_a_suite_that_is_none_is_a_sentence(tmp_path: Path, text: str, says: str):
    path = tmp_path / "suite.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        plan(task=path)


def test_empty_names_and_repeated_ones_are_refused():
    with pytest.raises(UserError, match="--task gsm8k,: a name is empty"):
        plan(task="gsm8k,")
    with pytest.raises(UserError, match="gcd of m is asked for twice"):
        plan(task="gcd,gcd")


def make_run(folder: Path, rates: dict[int, float | None], finished: bool) -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "facts.json").write_text(json.dumps({"command": "train"}))
    for step, rate in rates.items():
        path = folder / f"checkpoints/step-{step:06d}"
        path.mkdir()
        (path / "trainer_info.json").write_text(json.dumps({"step": step, "pass_rate": rate}))
    if finished:
        (folder / "model").mkdir()
        (folder / "model/config.json").write_text("{}")
    return folder


def test_a_run_stands_for_its_checkpoints(tmp_path: Path):
    run = make_run(tmp_path / "r", {0: 0.9, 2: 0.5, 4: 0.7, 6: 0.6}, finished=True)
    found = {which: find_models(str(run), which) for which in ("last", "best", "all")}
    assert found["last"] == [str(run / "model")]
    assert found["best"] == [str(run / "checkpoints/step-000004")]
    assert [Path(path).name for path in found["all"]] == [f"step-00000{n}" for n in (0, 2, 4, 6)]
    stopped = make_run(tmp_path / "s", {0: 0.1, 2: None}, finished=False)
    assert find_models(str(stopped), "last") == [str(stopped / "checkpoints/step-000002")]
    assert find_models(str(stopped), "best") == [str(stopped / "checkpoints/step-000000")]
    assert plan(task="gcd", model=run, checkpoint="all")[1][0].endswith("step-000002")


def test_what_is_no_run_stands_for_itself_and_a_run_without_a_model_is_refused(tmp_path: Path):
    assert find_models("a/b", "all") == ["a/b"]
    (tmp_path / "facts.json").write_text(json.dumps({"command": "eval"}))
    assert find_models(str(tmp_path), "best") == [str(tmp_path)]
    empty = make_run(tmp_path / "r", {}, finished=False)
    for which in ("last", "best", "all"):
        with pytest.raises(UserError, match=r"holds no .* yet\. Give another --checkpoint"):
            find_models(str(empty), which)


def test_an_endpoint_knows_models_by_names_that_are_no_folders_here(tmp_path: Path):
    run = make_run(tmp_path / "r", {2: 0.5}, finished=True)
    assert plan(task="gcd", model=run, endpoint="http://a/v1") == [(str(run), "gcd", "all", 1)]
