"""The bill of a run against what the run held: eight runs of `train` on a model of 4.6 M parameters, phase by
phase.

Measured are the bytes of live tensors, operation by operation (`live_bytes.LiveBytes`): those of the whole
process of training that torch allocates, each storage once, so the same on every machine. Not seen: what an
operation allocates inside of itself and frees before it returns (the workspaces of matrix products and of
attention), what the allocator keeps of freed memory, and the memory of Python, NumPy, the tokenizer and the
sandbox. A plan leaves a fifth of the free memory for these.

The table of docs/speed.md: python -m pytest tests/trainer/test_memory_bill.py -s
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model import fit
from palaestra.trainer.model.live_bytes import LiveBytes
from palaestra.trainer.model.memory import Bill
from palaestra.trainer.model.policy import Policy, hold_in, load_policy
from palaestra.trainer.reward_models.model import RewardModel, make_reward_model
from palaestra.trainer.runs import loop, setup
from transformers import Qwen3Config, Qwen3ForCausalLM

MIB = 2**20
COMMON = {
    "task": "addition", "level": 1, "steps": 2, "prompts_per_step": 8, "group_size": 8, "rows": 64,
    "max_prompt_tokens": 9, "max_new_tokens": 24, "tokens_per_microbatch": 512, "eval_problems": 16,
    "eval_samples": 2, "preflight_problems": 8, "force": True, "control": "random", "threads": 1,
    "device": "cpu", "dtype": "float32",
}  # fmt: skip
RUNS = {
    "GRPO": {},
    "GRPO, KL to a reference": {"loss.kl_coef": 0.05},
    "GRPO, top-k 50": {"top_k": 50},
    "GRPO, gradient checkpointing": {"gradient_checkpointing": True},
    "GRPO, LoRA of rank 8": {"lora_rank": 8},
    "PPO, shared critic": {"algorithm": "ppo", "ppo.critic": "shared", "ppo.kl.kl_coef": 0.0},
    "PPO, critic of its own": {"algorithm": "ppo", "ppo.critic": "separate", "ppo.kl.kl_coef": 0.05},
    "PPO, critic of its own, LoRA of rank 8": {
        "algorithm": "ppo", "ppo.critic": "separate", "ppo.kl.kl_coef": 0.05, "lora_rank": 8,
    },
    "GRPO, weights in bfloat16, moments in 8 bits": {
        "weights": "bfloat16", "moments": "8bit", "dtype": "bfloat16",
    },
    "GRPO, reward model": {"reward_model": "FOLDER", "control": "none"},
}  # fmt: skip


@dataclass
class Measured:
    """Most bytes of live tensors in the whole run, and in each of its phases."""

    bill: Bill | None = None
    peak: int = 0
    phases: dict[str, int] = field(default_factory=dict)


def model_of(parameters_like: Policy) -> Policy:
    """The embedded model's shape, larger: 6 layers of 256, random weights."""
    config = parameters_like.model.config.to_dict()
    config.pop("layer_types", None)
    size = {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 6, "head_dim": 64}
    torch.manual_seed(0)
    return replace(parameters_like, model=Qwen3ForCausalLM(Qwen3Config(**config | size)))


def measure_run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Measured:
    settings = {**COMMON, **RUNS[name], "out": str(folder / "run")}
    policy = model_of(load_policy("embedded", "cpu", settings["dtype"]))
    hold_in(policy.model, getattr(torch, settings.get("weights", "float32")))
    if settings.get("reward_model"):
        fresh = make_reward_model(policy)
        torch.nn.init.normal_(fresh.model.score.weight)  # else all rewards are 0, and nothing is learned
        fresh.save(folder / "reward_model")
        settings["reward_model"] = (str(folder / "reward_model"),)
    found = Measured()
    meter = LiveBytes(policy.device, [*policy.model.parameters(), *policy.model.buffers()])

    @contextlib.contextmanager
    def phase(what: str) -> Iterator[None]:
        before, meter.peak = meter.peak, meter.live
        yield
        found.phases[what] = max(found.phases.get(what, 0), meter.peak)
        meter.peak = max(before, meter.peak)

    def wrap(owner: object, function: str, what: str) -> None:
        real: Callable = getattr(owner, function)

        def wrapped(*args, **kwargs):
            with phase(what):
                return real(*args, **kwargs)

        monkeypatch.setattr(owner, function, wrapped)

    def planned(*args, **settings) -> Bill:
        found.bill = plan(*args, **settings)
        meter.peak = meter.live
        return found.bill

    plan = fit.plan
    monkeypatch.setattr(fit, "plan", planned)
    wrap(LocalEngine, "sample", "sampling")
    wrap(RewardModel, "predict_rewards", "scoring")
    wrap(loop, "update_policy", "update")
    wrap(loop, "save", "saving")
    with meter:
        setup.train(TrainConfig.of(**settings), policy, lambda _: None)
    found.peak = meter.peak
    return found


@pytest.mark.parametrize("name", RUNS)
def test_the_bill_is_what_a_run_holds(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = measure_run(name, tmp_path, monkeypatch)
    bill = found.bill
    assert bill is not None
    print(
        f"\n| {name} | {bill.total / MIB:.1f} | {found.peak / MIB:.1f} | {bill.total / found.peak - 1:+.1%} "
        "| " + ", ".join(f"{phase} {size / MIB:.1f}" for phase, size in found.phases.items())
    )
    assert bill.total == pytest.approx(found.peak, rel=0.08)
    for phase in ("sampling", "scoring", "update"):
        billed = [
            sum(bill.fixed.values()) + size for name, size in bill.phases.items() if name.startswith(phase)
        ]
        assert found.phases.get(phase) == (pytest.approx(billed[0], rel=0.15) if billed else None)
