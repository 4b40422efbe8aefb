"""What only a card can show. Left out elsewhere, but where PALAESTRA_TEST_DEVICE names another device, to see
that they run."""

import json
import os
from pathlib import Path

import palaestra as pal
import pytest
import torch
from palaestra.trainer.config.engine import EngineConfig
from palaestra.trainer.config.shared import OptimizerConfig
from palaestra.trainer.engines.choice import Extent, make_engine
from palaestra.trainer.engines.sync import LOGPROB_BOUNDS, SyncProof
from palaestra.trainer.model import optim
from palaestra.trainer.storage.background import Twin
from palaestra.trainer.storage.checkpoint import load_state
from torch import nn

DEVICE = os.environ.get("PALAESTRA_TEST_DEVICE", "cuda" if torch.cuda.is_available() else "")
VLLM = os.environ.get("PALAESTRA_VLLM_PYTHON", "")
QUICK = {
    "task": "addition", "option": ("operands=2", "digits=1"), "steps": 2, "prompts_per_step": 4,
    "group_size": 4, "max_new_tokens": 16, "eval_problems": 4, "eval_samples": 1, "eval_every": 0,
    "save_every": 1, "sft_steps": 10, "control": "random", "force": True, "preflight_problems": 0,
    "device": DEVICE or "cpu",
}  # fmt: skip
ARMS = {
    "bfloat16": {"dtype": "bfloat16"},
    "float32": {"dtype": "float32"},
    "little memory": {"weights": "bfloat16", "moments": "8bit", "background_saving": "yes"},
    "PPO": {"algorithm": "ppo", "dtype": "bfloat16"},
}
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not DEVICE, reason="there is no card here")]


@pytest.mark.parametrize("arm", ARMS)
def test_a_run_trains_what_it_samples_from_and_goes_on_to_the_same_bits(arm: str, tmp_path: Path):
    settings = {**QUICK, **ARMS[arm]}
    whole = pal.train(say=lambda _line: None, out=str(tmp_path / "whole"), **settings)
    pal.train(say=lambda _line: None, out=str(tmp_path / "part"), stop_after=1, **settings)
    pal.resume(tmp_path / "part", say=lambda _line: None)
    for step in whole.metrics():
        assert step["logprob_difference_mean"] < (1e-3 if arm == "float32" else 0.1)
        assert 0 < step["grad_norm"] < float("inf")
    states = [load_state(tmp_path / run / "checkpoints/step-000002") for run in ("whole", "part")]
    moments = [list(state["optimizer"]["state"].values()) for state in states]
    for one, other in zip(*moments, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one if isinstance(one[name], torch.Tensor))


def test_the_sampler_draws_the_same_twice_and_takes_the_fast_path():
    policy = pal.load_policy("embedded", DEVICE)
    engine = pal.LocalEngine(policy, 16)
    assert engine.path == "fast", engine.reason
    requests = [pal.Request([5 + place, 6, 7], 8, stream=place) for place in range(3)]
    first, second = (engine.sample(requests, pal.Sampling(max_new_tokens=40)) for _ in range(2))
    assert [[one.ids for one in group] for group in first] == [[one.ids for one in group] for group in second]


@pytest.mark.skipif(not VLLM, reason="PALAESTRA_VLLM_PYTHON names no interpreter that has vLLM")
@pytest.mark.parametrize("weights", ["ipc", "files"])
def test_a_server_on_the_same_card_takes_weights_and_sleeps_during_updates(weights: str, tmp_path: Path):
    if weights == "ipc" and DEVICE != "cuda":
        pytest.skip("handles are of a card's memory")
    served = {"engine": "vllm", "engine_python": VLLM, "engine_weights": weights, "engine_memory": 0.3}
    out, settings = tmp_path / "run", {**QUICK, **served, "keep_sampler": "no"}
    run = pal.train(say=lambda _line: None, out=str(out), **settings)
    assert json.loads((out / "facts.json").read_text())["engine"]["weights"] == weights
    assert len(run.metrics()) == 2
    for step in run.metrics():
        assert step["sync"]["difference_mean"] < (0.1 if DEVICE == "cuda" else 1e-3)
    log = (out / "engine" / "vllm.log").read_text()
    assert ("It took" in log and "seconds to fall asleep" in log) == (DEVICE == "cuda")


@pytest.mark.skipif(not VLLM or DEVICE != "cuda", reason="there is no card, or no interpreter that has vLLM")
def test_a_server_that_sleeps_gives_the_card_most_of_its_share_back(tmp_path: Path):
    policy, share = pal.load_policy("embedded", DEVICE), 0.3
    config = EngineConfig(kind="vllm", python=VLLM, memory=share)
    engine = make_engine(policy, config, Extent(16, 100, sleeps=True), tmp_path, print)
    try:
        engine.load(policy, 1)
        awake, total = torch.cuda.mem_get_info()
        engine.free()
        torch.cuda.synchronize()
        assert torch.cuda.mem_get_info()[0] - awake > 0.7 * share * total
        proof = SyncProof(LOGPROB_BOUNDS[policy.dtype])
        proof.load(engine, policy, 1)
        assert proof.report is not None
    finally:
        engine.close()


def test_the_optimizer_takes_the_steps_that_it_takes_on_a_cpu():
    ends = []
    for device in ("cpu", DEVICE):
        torch.manual_seed(0)
        model = nn.Linear(64, 128).to(device)
        optimizer = optim.adamw(model, OptimizerConfig(moments="8bit"), 10**8)
        start = model.weight.detach().cpu().clone()
        for step in range(5):
            x_ND = torch.randn(32, 64, generator=torch.Generator().manual_seed(step)).to(device)
            (model(x_ND) ** 2).mean().backward()
            optim.update(model, optimizer, 1e-3, 1.0)
        ends.append(model.weight.detach().cpu() - start)
    assert float((ends[0] - ends[1]).norm()) < 0.2 * float(ends[0].norm()), "they draw other numbers"


def test_what_is_copied_for_a_checkpoint_is_what_the_device_holds():
    model = nn.Linear(8, 8).to(DEVICE)
    twin = Twin(model)
    assert torch.equal(twin.module.weight, model.weight.detach().cpu())
    assert twin.module.weight.device.type == "cpu"
