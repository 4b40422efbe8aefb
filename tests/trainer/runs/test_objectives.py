"""Whole runs of what an objective can hold beside its loss: state is kept, metrics are written, sizes of
micro-batches change nothing."""

import json
from pathlib import Path

import pytest
import torch
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train

from ..support.runs import SMALL, have_same_weights, load_weights, say_nothing

QUICK = SMALL.but(eval_every=0, eval_problems=2, eval_samples=1, preflight_problems=0, warmup_steps=0)
STEERED = LossConfig(
    "clip_cov",
    clip_cov_share=0.05,
    cov_low=0.01,
    entropy_coef=0.01,
    entropy_target=0.6,
    entropy_step=0.004,
    correction="token_truncate",
    correction_cap=1.0,
)
"""Everything that acts before a micro-batch does: marks, a first pass, a bonus that moves."""


def read_steps(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "step"]


@pytest.fixture(scope="module")
def whole(warm_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("steered") / "whole"
    train(QUICK.but(model=warm_model, out=out, minibatches=2, loss=STEERED), say=say_nothing)
    return out


def test_a_steered_run_resumes_to_the_same_bits(whole: Path, warm_model: Path, tmp_path: Path):
    config = QUICK.but(model=warm_model, out=tmp_path / "run", minibatches=2, loss=STEERED, stop_after=2)
    train(config, say=say_nothing)
    resume(tmp_path / "run", {}, say=say_nothing)
    assert have_same_weights(whole / "model", tmp_path / "run" / "model")
    names = ("entropy_before", "entropy_coef", "sampler_weight", "sampler_weight_max", "marked", "grad_norm")
    assert [[step[name] for name in names] for step in read_steps(tmp_path / "run")] == [
        [step[name] for name in names] for step in read_steps(whole)
    ]


def test_the_bonus_of_a_run_follows_its_entropy(whole: Path):
    """c of every step from the entropies alone, by the rule of the paper."""
    c = STEERED.entropy_coef
    seen = set()
    for step in read_steps(whole):
        low = step["entropy_before"] <= STEERED.entropy_target
        assert step["entropy_coef"] == pytest.approx(c if low else 0.0)
        c = max(c + (STEERED.entropy_step if low else -STEERED.entropy_step), 0.0)
        seen.add(step["entropy_coef"])
    assert len(seen) > 1, "it moved"


def test_a_run_writes_what_the_correction_did(whole: Path):
    for step in read_steps(whole):
        assert step["sampler_weight_max"] == 1, "the cap"
        assert 0.99 < step["sampler_weight"] <= 1
        assert 0 < step["sampler_cut"] < 1, "rounding alone puts some weights above 1"
        assert 0 < step["marked"] < 0.2


def test_micro_batches_change_nothing_of_a_steered_run(whole: Path, warm_model: Path, tmp_path: Path):
    config = QUICK.but(model=warm_model, out=tmp_path / "run", minibatches=2, loss=STEERED, steps=1)
    train(config.but(tokens_per_microbatch=64, steps=4, stop_after=1), say=say_nothing)
    small, large = read_steps(tmp_path / "run")[0], read_steps(whole)[0]
    assert small["marked"] == large["marked"]
    assert small["grad_norm"] == pytest.approx(large["grad_norm"], rel=1e-4)


def test_ppo_steers_too_and_resumes_to_the_same_bits(warm_model: Path, tmp_path: Path):
    config = QUICK.but(model=warm_model, minibatches=2, loss=STEERED, algorithm="ppo", steps=3)
    said: list[str] = []
    train(config.but(out=tmp_path / "whole"), say=said.append)
    text = "\n".join(said)
    assert "entropy      - alpha * entropy per token" in text
    assert "correction   token loss times w = clip(u, 0, 1); u = p_before / p_sampled of the token" in text
    train(config.but(out=tmp_path / "run", stop_after=1), say=say_nothing)
    resume(tmp_path / "run", {}, say=say_nothing)
    assert have_same_weights(tmp_path / "whole" / "model", tmp_path / "run" / "model")
    coefficients = [step["entropy_coef"] for step in read_steps(tmp_path / "run")]
    assert coefficients == [step["entropy_coef"] for step in read_steps(tmp_path / "whole")]
    assert len(set(coefficients)) > 1


@pytest.mark.parametrize(
    ("preset", "says"),
    [
        ("reinforce++", "A_t = r - 0.01 * sum of the KL of token t and of all that follow it; then A_t <- "),
        ("gdpo", "A = sum over the rubric's criteria of weight * (r - mean(r of the group))"),
        ("kl-cov", "+ 1 * |log r_t| for the 0.002 of the tokens (one at least) with the largest cov_t"),
        ("skywork-or1", "c starts at 0; after each step c <- c + 0.005 where e < 0.2 nats"),
    ],
)
def test_presets_print_their_formula_and_train(warm_model: Path, tmp_path: Path, preset: str, says: str):
    said: list[str] = []
    train(QUICK.but(model=warm_model, out=tmp_path / "run", preset=preset, steps=1), say=said.append)
    text = "\n".join(said)
    assert says in text
    (step,) = read_steps(tmp_path / "run")
    assert step["updates"] == {"reinforce++": 1, "gdpo": 4, "kl-cov": 8, "skywork-or1": 1}[preset]
    assert step["grad_norm"] > 0
    assert ("Warning: preset" in text) == (step["updates"] == 1)
    before, after = load_weights(warm_model), load_weights(tmp_path / "run" / "model")
    assert any(not torch.equal(before[name], after[name]) for name in before)
