"""PPO's own state over a stop: critic, its optimizer and the controller of the KL."""

import json
from pathlib import Path

import pytest
from palaestra.trainer.config.objective import KLControlConfig
from palaestra.trainer.config.train import PPOConfig
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train

from ..support.runs import SMALL, have_same_weights, say_nothing

RUN = SMALL.but(algorithm="ppo", prompts_per_step=8, group_size=1, updates_per_batch=2, minibatches=2).but(
    eval_every=0, save_every=0, preflight_problems=0
)


@pytest.mark.parametrize("lora_rank", [0, 4])
@pytest.mark.parametrize("critic", ["separate", "shared"])
def test_stop_and_resume_ends_in_the_same_bits_critic_and_controller_too(
    warm_model: Path, tmp_path: Path, critic: str, lora_rank: int
):
    kl = KLControlConfig(kl_coef=0.05, target_kl=0.5, horizon=50)
    ppo = PPOConfig(critic=critic, critic_warmup=1, kl=kl)
    config = RUN.but(model=str(warm_model), lora_rank=lora_rank, ppo=ppo)
    train(config.but(out=str(tmp_path / "whole")), say=say_nothing)
    stopped = train(config.but(out=str(tmp_path / "run"), stop_after=2), say=say_nothing)
    assert stopped.interrupted
    resume(tmp_path / "run", {}, say=say_nothing)
    assert have_same_weights(tmp_path / "whole" / "model", tmp_path / "run" / "model")
    assert not have_same_weights(tmp_path / "whole" / "model", warm_model)
    lines = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "run")
    ]
    whole, again = ([line for line in run if line["kind"] == "step"] for run in lines)
    for name in ("explained_variance", "kl_coef", "value_loss", "critic_grad_norm", "kl_per_completion"):
        assert [line[name] for line in whole] == [line[name] for line in again]
    assert len({line["kl_coef"] for line in whole}) > 1, "the controller never moved, so this proves nothing"
