"""The start of a run: cheap mistakes are found before anything is loaded; a failed start leaves nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.reward_model import RewardModelConfig
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.reward_models import run as reward_models
from palaestra.trainer.reward_models.run import fit_to_comparisons
from palaestra.trainer.runs import setup
from palaestra.trainer.runs.setup import train
from palaestra.trainer.sft import run as sft_run
from palaestra.trainer.sft.run import sft
from palaestra.trainer.storage.starts import begin_folder

from ..support.runs import SMALL, say_nothing


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading a model fails the test."""

    def load(*_arguments: object, **_named: object) -> None:
        raise AssertionError("a model was loaded")

    for module in (setup, sft_run, reward_models):
        monkeypatch.setattr(module, "load_policy_of", load)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"log": ("nosuch",)}, "no logger 'nosuch'"),
        ({"reward_model": ("./nowhere",)}, "no reward model in ./nowhere"),
        ({"reward_model": ("not/a/model",)}, "no reward model in not/a/model"),
        ({"algorithm": "ppo", "ppo.critic_model": "./nowhere"}, "no model folder ./nowhere"),
        ({"model": "./nowhere"}, "no model folder ./nowhere"),
        ({"level": 99}, "no level 99"),
        ({"overlong_cache": 25}, "--overlong-cache 25 is more than --max-new-tokens 24"),
        ({"preset": "dapo", "overlong_cache": 4, "max_new_tokens": 3}, "4 is more than --max-new-tokens 3"),
        ({"minibatches": 17}, "--minibatches 17 is more than a step's 16 completions"),
        ({"preset": "dapo", "prompts_per_step": 3}, "--minibatches 16 is more than a step's 12 completions"),
        ({"algorithm": "ppo", "group_size": 1, "minibatches": 5}, r"--prompts-per-step 4 x --group-size 1"),
    ],
)
def test_a_mistake_in_train_is_found_before_the_model_and_the_warm_up(
    tmp_path: Path, change: dict, says: str
):
    with pytest.raises(UserError, match=says):
        train(SMALL.but(out=tmp_path / "run", **change), say=say_nothing)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"log": ("nosuch",)}, "no logger"),
        ({"level": 99}, "no level 99"),
        ({"model": "./nowhere"}, "no model folder"),
    ],
)
def test_a_mistake_in_sft_is_found_before_the_model(tmp_path: Path, change: dict, says: str):
    with pytest.raises(UserError, match=says):
        sft(SFTConfig.of(out=tmp_path / "run", **change), say=say_nothing)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"log": ("nosuch",)}, "no logger"),
        ({"task": "additon"}, "no task named"),
        ({"model": "./nowhere"}, "no model folder"),
    ],
)
def test_a_mistake_in_reward_model_is_found_before_the_model(tmp_path: Path, change: dict, says: str):
    rows = [{"prompt": f"{n}?", "chosen": "4", "rejected": "7"} for n in range(40)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = RewardModelConfig.of(data=(tmp_path / "pairs.jsonl",), out=tmp_path / "run", **change)
    with pytest.raises(UserError, match=says):
        fit_to_comparisons(config, say=say_nothing)
    assert not (tmp_path / "run").exists()


def test_a_start_that_the_preflight_refuses_leaves_its_folder_free_for_the_next_try(
    warm_model: Path, tmp_path: Path
):
    out = tmp_path / "run"
    config = SMALL.but(model=warm_model, out=out, steps=1, eval_every=0, eval_problems=2)
    with pytest.raises(UserError, match="max-prompt-tokens"):
        train(config.but(max_prompt_tokens=2), say=say_nothing)
    assert not out.exists()
    assert not train(config, say=say_nothing).interrupted


def write_step(folder: Path) -> None:
    (folder / "metrics.jsonl").write_text(json.dumps({"kind": "step", "step": 1}) + "\n")


def write_checkpoint(folder: Path) -> None:
    (folder / "checkpoints/step-000000").mkdir(parents=True)
    (folder / "checkpoints/step-000000/trainer_info.json").touch()


def write_warm_up(folder: Path) -> None:
    (folder / "sft").mkdir()


def write_start(folder: Path) -> None:
    (folder / "metrics.jsonl").write_text(json.dumps({"kind": "preflight", "step": 0}) + "\n")
    (folder / "reference").mkdir()


@pytest.mark.parametrize(
    ("write", "kept"),
    [(write_step, True), (write_checkpoint, True), (write_warm_up, True), (write_start, False)],
)
def test_an_interrupt_takes_nothing_that_was_computed(
    tmp_path: Path, write: Callable[[Path], None], kept: bool
):
    def start() -> None:
        with begin_folder(str(tmp_path), "x", say_nothing) as folder:
            (folder / "config.json").touch()
            write(folder)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start()
    assert (tmp_path / "config.json").exists() == kept
    assert bool(list(tmp_path.iterdir())) == kept
