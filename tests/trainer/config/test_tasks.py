"""The task that settings name: by its name, by a file, or by data of one's own; from flags and Python."""

import json
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.config.paths import list_code, make_paths_absolute
from palaestra.trainer.config.shared import PromptConfig
from palaestra.trainer.config.tasks import check_data, load_task, name_flags
from palaestra.trainer.config.train import TrainConfig

OWN = """
from palaestra.tasks import dataset_task
dataset_task("own", data="mine.jsonl", verify="math")
"""
REWARD = "def my_reward(completion, problem):\n    return 1.0\n"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, forget_tasks):
    monkeypatch.chdir(tmp_path)
    rows = [{"question": f"{n}?", "other": f"{n}!", "answer": str(n)} for n in range(80)]
    Path("mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("own.py").write_text(OWN)
    Path("reward.py").write_text(REWARD)


def settings(**said):
    return TrainConfig.of(**said).task


def test_without_a_name_it_is_the_data_else_addition():
    assert load_task(settings()).name == "addition"
    assert load_task(settings(task="gcd")).name == "gcd"
    assert load_task(settings(data="mine.jsonl")).name == "mine"
    assert load_task(settings(task="mine.jsonl")).name == "mine"
    assert load_task(EvalConfig.of(data="mine.jsonl", split="train").task).name == "mine"


def test_a_column_is_said_by_the_name_of_a_group_and_the_group_stays():
    config = TrainConfig.of(data="mine.jsonl", prompt="other", verify="math", system="Be brief.")
    assert (config.task.prompt, config.prompt.system) == ("other", "Be brief.")
    assert load_task(config.task).problem("train", 0).prompt.endswith("!")
    assert TrainConfig.of(prompt=PromptConfig(system="Hm.")).prompt.system == "Hm."
    assert (
        TrainConfig.of(**{"task.prompt": "other", "prompt": PromptConfig(system="Hm.")}).task.prompt
        == "other"
    )


def test_flags_change_how_a_task_file_reads_its_data_but_not_how_it_judges():
    task = load_task(settings(task="own.py", prompt="other", test_share=0.5))
    assert task.problem("train", 0).prompt.endswith("!")
    assert task.source.size("test") > 25
    with pytest.raises(UserError, match="--verify belongs to --data of your own; task own says itself"):
        load_task(settings(task="own.py", verify="exact"))
    with pytest.raises(
        UserError, match=r"has no column 'oter' \(--prompt\); it has .*\. Did you mean other\?"
    ):
        check_data(load_task(settings(task="own.py", prompt="oter")), ("train",))


def test_data_are_checked_before_anything_is_loaded_and_once():
    with pytest.raises(UserError, match="Did you mean question"):
        check_data(load_task(settings(data="mine.jsonl", prompt="qestion", verify="math")), ("train",))
    said: list[str] = []
    chosen = settings(data="mine.jsonl")
    check_data(load_task(chosen), ("train", "test"))
    check_data(load_task(chosen), ("train", "test"), said.append)
    assert said[0].startswith("mine.jsonl: train ")
    assert load_task(chosen) is load_task(make_paths_absolute(TrainConfig.of(data="mine.jsonl")).task)


def test_paths_are_kept_whole_and_flags_are_written_as_they_are_seen_from_here():
    config = make_paths_absolute(TrainConfig.of(data="mine.jsonl", verify="./reward.py:my_reward"))
    assert config.task.data == str(Path("mine.jsonl").absolute())
    assert config.task.verify == f"{Path('reward.py').absolute()}:my_reward"
    assert list_code(config.task) == ["auto", config.task.verify]
    assert list_code(settings(data="mine.jsonl", verify="math")) == ["auto"]
    assert make_paths_absolute(TrainConfig.of(task="mine.jsonl")).task.name == str(
        Path("mine.jsonl").absolute()
    )
    assert name_flags(settings(data="mine.jsonl", prompt="other", test_share=0.2)) == (
        "--data mine.jsonl --prompt other --test-share 0.2"
    )
    assert name_flags(settings()) == "--task addition"
    assert name_flags(settings(task="gcd")) == "--task gcd"


def test_an_empty_split_of_a_bundled_task_is_an_error_before_anything_is_loaded(tmp_path):
    (tmp_path / "test.jsonl").write_text("")
    with pytest.raises(UserError, match="holds no problem"):
        check_data(load_task(settings(task="gsm8k", data=str(tmp_path))), ("test",))
