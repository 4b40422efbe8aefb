"""Runs with weights in bfloat16, moments in 8 bits, checkpoints written beside the steps, models saved in
another type: each goes on to the bit."""

import errno
import json
from pathlib import Path

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.reward_models.model import load_reward_model, make_reward_model
from palaestra.trainer.runs import state as runs_state
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train
from palaestra.trainer.sft.run import sft
from palaestra.trainer.storage import checkpoint
from palaestra.trainer.storage.folders import open_existing
from safetensors.torch import load_file

from ..support.runs import SMALL, have_same_weights, say_nothing

COMPACT = {"weights": "bfloat16", "moments": "8bit", "dtype": "auto"}
QUICK = SMALL.but(
    steps=2, eval_every=0, eval_problems=2, eval_samples=1, save_every=1, preflight_problems=0,
    control="random", prompts_per_step=2, max_new_tokens=8,
)  # fmt: skip
ARMS = {
    "grpo": {},
    "moments alone": {"weights": "float32", "dtype": "float32"},
    "weights alone": {"moments": "float32"},
    "lora": {"lora_rank": 32},
    "kl": {"loss.kl_coef": 0.05, "gradient_checkpointing": True},
    "ppo": {"algorithm": "ppo"},
    "ppo shared": {"algorithm": "ppo", "ppo.critic": "shared"},
    "ppo lora": {"algorithm": "ppo", "lora_rank": 32},
    "in the background": {"background_saving": "yes", "lora_rank": 32},
}


@pytest.mark.parametrize("arm", ARMS)
def test_a_stopped_run_goes_on_to_the_same_bits(arm: str, warm_model: Path, tmp_path: Path):
    if "lora" in str(ARMS[arm]):
        pytest.importorskip("peft")
    config = QUICK.but(model=warm_model, **{**COMPACT, **ARMS[arm]})
    whole, part = tmp_path / "whole", tmp_path / "part"
    train(config.but(out=whole), say=say_nothing)
    train(config.but(out=part, stop_after=1), say=say_nothing)
    resume(part, {}, say=say_nothing)
    assert have_same_weights(whole / "model", part / "model")
    state = checkpoint.load_state(whole / "checkpoints/step-000002")
    kept = state["optimizer"]["state"][0]
    assert ("mean_codes" in kept) == (config.optimizer.moments == "8bit"), "what was asked for was used"
    saved = load_file(whole / "model/model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {getattr(torch, config.model.weights)}
    before = load_file(whole / "checkpoints/step-000000/model.safetensors")
    learned = any(not torch.equal(saved[name], before[name]) for name in saved)
    if config.model.lora_rank:  # what is merged is rounded
        learned = any(bool(tensor.any()) for name, tensor in state["adapters"].items() if "lora_B" in name)
    assert learned


def test_the_thread_writes_what_the_run_itself_writes(warm_model: Path, tmp_path: Path):
    for way in ("yes", "no"):
        train(QUICK.but(model=warm_model, out=tmp_path / way, background_saving=way), say=say_nothing)
    names = sorted(path.relative_to(tmp_path / "no") for path in (tmp_path / "no/checkpoints").rglob("*"))
    assert len(names) > 10
    for name in names:
        one, other = tmp_path / "yes" / name, tmp_path / "no" / name
        assert one.is_dir() == other.is_dir()
        if name.name == checkpoint.STATE:
            states = (_list_tensors(checkpoint.load_state(path.parent)) for path in (one, other))
            assert all(torch.equal(*pair) for pair in zip(*states, strict=True))
        elif other.is_file():
            assert one.read_bytes() == other.read_bytes(), name


def _list_tensors(value: object) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [tensor for part in inner for tensor in _list_tensors(part)]


def test_a_disk_that_fills_up_in_the_thread_ends_the_run_with_the_command_that_goes_on(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out, write = tmp_path / "run", runs_state.Run.write_checkpoint_model

    def fill(run, model, folder: Path) -> None:
        if "step-000001" in folder.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(run, model, folder)

    config = QUICK.but(model=warm_model, out=out, background_saving="yes")
    with monkeypatch.context() as patched:
        patched.setattr(runs_state.Run, "write_checkpoint_model", fill)
        with pytest.raises(UserError, match=rf"No space left.*Go on from step 0: palaestra resume {out}"):
            train(config, say=say_nothing)
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["step-000000"]
    assert not resume(out, {}, say=say_nothing).interrupted


def test_a_model_is_saved_in_the_type_that_is_asked_for_and_checkpoints_are_not(
    warm_model: Path, tmp_path: Path
):
    train(QUICK.but(model=warm_model, out=tmp_path, save_dtype="bfloat16"), say=say_nothing)
    saved = load_file(tmp_path / "model/model.safetensors")
    kept = load_file(tmp_path / "checkpoints/step-000002/model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.bfloat16}
    assert {tensor.dtype for tensor in kept.values()} == {torch.float32}
    assert saved.keys() == kept.keys(), "tied weights stay one"
    assert all(torch.equal(saved[name], kept[name].bfloat16()) for name in kept)
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert "bfloat16" in (config.get("dtype"), config.get("torch_dtype"))
    assert load_policy(str(tmp_path / "model"), "cpu").weights is torch.float32


def test_sft_and_reward_models_hold_learn_and_save_them_too(warm_model: Path, tmp_path: Path):
    config = SFTConfig.of(
        task="addition", model=warm_model, steps=3, demonstrations=8, eval_problems=2, threads=1,
        device="cpu", save_every=1, weights="bfloat16", moments="8bit", save_dtype="float32",
        background_saving="yes",
    )  # fmt: skip
    sft(config.but(out=tmp_path / "whole"), say=say_nothing)
    sft(config.but(out=tmp_path / "part", stop_after=1), say=say_nothing)
    resume(tmp_path / "part", {}, say=say_nothing)
    assert have_same_weights(tmp_path / "whole/model", tmp_path / "part/model")
    saved = load_file(tmp_path / "whole/model/model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    policy = load_policy(str(warm_model), "cpu", weights="bfloat16")
    made = make_reward_model(policy)
    made.save(tmp_path / "reward", "float32")
    again = load_reward_model(str(tmp_path / "reward"), "cpu", weights="bfloat16")
    assert again.dtype is again.model.dtype is made.model.dtype is torch.bfloat16
    assert made.predict_rewards([[5, 6, 7]]) == again.predict_rewards([[5, 6, 7]])


def test_products_in_float32_of_weights_in_bfloat16_are_refused():
    with pytest.raises(UserError, match="leave out --dtype float32, or --weights"):
        load_policy("embedded", "cpu", "float32", weights="bfloat16")


def test_what_cannot_change_in_a_run_is_refused(warm_model: Path, tmp_path: Path):
    train(QUICK.but(model=warm_model, out=tmp_path, stop_after=1), say=say_nothing)
    for name, value in (("weights", "bfloat16"), ("moments", "8bit")):
        with pytest.raises(UserError, match=f"--{name} can't change in a run that has begun"):
            resume(tmp_path, {name: value}, say=say_nothing)


def test_a_policy_in_memory_keeps_the_type_of_its_weights(warm_model: Path, tmp_path: Path):
    def load(weights: str):
        return load_policy(str(warm_model), "cpu", weights=weights)

    config = QUICK.but(out=tmp_path / "run", dtype="auto", stop_after=1)
    train(config, load("bfloat16"), say=say_nothing)
    saved = load_file(tmp_path / "run/checkpoints/step-000001/model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.bfloat16}
    resume(tmp_path / "run", {}, say=say_nothing)
    assert open_existing(tmp_path / "run").read_config(TrainConfig).model.weights == "bfloat16"
    with pytest.raises(UserError, match="weights of this policy are float32, and weights=bfloat16"):
        train(config.but(weights="bfloat16", out=tmp_path / "other"), load("float32"), say=say_nothing)
