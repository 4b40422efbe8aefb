"""A model with adapters, saved: merged it loads as a plain one, alone they load by PEFT, and both compute
what was trained; what can't be saved so is refused before anything is sampled."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.model import lora
from palaestra.trainer.model.lora_saving import check_merge, save_adapters
from palaestra.trainer.model.policy import Policy, load_policy
from palaestra.trainer.runs import setup
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train
from transformers import AutoModelForCausalLM

from ..support.runs import SMALL, have_same_weights, say_nothing
from ..support.tiny_models import MODELS, make_tiny

peft = pytest.importorskip("peft")
# PEFT's own, when it makes a `PeftModel`.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
torch.set_num_threads(1)
RANK = LoraConfig(lora_rank=4)
IDS = torch.arange(2, 26)[None]


@torch.no_grad()
def compute_logits(model) -> torch.Tensor:
    return model.eval()(input_ids=IDS).logits


def make_policy(kind: str, config: LoraConfig = RANK) -> Policy:
    """A tiny model with adapters that matter."""
    policy = load_policy("embedded", "cpu", "float32")
    model = make_tiny(kind, len(policy.tokenizer))
    lora.add_adapters(model, config, 0)
    for tensor in lora.collect_trained(model).values():
        tensor.copy_(0.1 * torch.randn(tensor.shape))
    return replace(policy, model=model)


@pytest.mark.parametrize("kind", MODELS)
def test_merged_and_alone_they_are_the_trained_model(kind: str, tmp_path: Path):
    policy = make_policy(kind)
    plain = make_tiny(kind, len(policy.tokenizer))
    plain.save_pretrained(tmp_path / "base")
    trained = compute_logits(policy.model)
    assert (trained - compute_logits(plain)).abs().max() > 0.01, "the adapters were to matter"
    policy.save(tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert merged.state_dict().keys() == plain.state_dict().keys()
    assert torch.allclose(compute_logits(merged), trained, atol=1e-5)
    save_adapters(policy.model, tmp_path / "adapter", str(tmp_path / "base"))
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    alone = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
    assert torch.allclose(compute_logits(alone), trained, atol=1e-5)
    assert torch.allclose(compute_logits(alone.merge_and_unload()), trained, atol=1e-5)
    named = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert named["base_model_name_or_path"] == str(tmp_path / "base")
    assert torch.equal(compute_logits(policy.model), trained), "saving was to leave the model alone"


@pytest.mark.parametrize("kind", MODELS)
def test_every_adapter_learns_and_off_they_are_the_plain_model(kind: str):
    policy = make_policy(kind)
    policy.model(input_ids=IDS, labels=IDS).loss.backward()
    for name, weight in policy.model.named_parameters():
        assert (weight.grad is not None and bool(weight.grad.any())) == (".lora_" in name), name
    with lora.disable_adapters(policy.model):
        off = compute_logits(policy.model)
    assert torch.equal(off, compute_logits(make_tiny(kind, len(policy.tokenizer))))


@pytest.mark.parametrize("kind", ["llama", "deepseek_v3"])
def test_what_can_be_merged_passes_and_stays_as_it_is(kind: str, tmp_path: Path):
    policy = make_policy(kind)
    before = compute_logits(policy.model)
    check_merge(policy.model, policy.save, tmp_path)
    assert torch.equal(compute_logits(policy.model), before)
    assert list(tmp_path.iterdir()) == []


def lose_a_weight(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.endswith("0.self_attn.o_proj.weight")}


def forget_an_adapter(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    name = "model.layers.1.self_attn.o_proj.weight"
    return {**state, name: make_tiny("llama", len(state["lm_head.weight"])).state_dict()[name]}


def fail(_state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    raise RuntimeError("sizes do not match")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lose_a_weight, "missing keys: model.layers.0.self_attn.o_proj.weight"),
        (forget_an_adapter, "differs by .* nats on a probe"),
        (fail, "RuntimeError: sizes do not match"),
    ],
)
def test_what_can_not_be_merged_is_refused_before_anything_is_sampled(
    spoil: Callable, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    policy = load_policy("embedded", "cpu", "float32")
    policy = replace(policy, model=make_tiny("llama", len(policy.tokenizer)))
    merge = lora.merge_adapters
    monkeypatch.setattr(lora, "merge_adapters", lambda model: spoil(merge(model)))
    monkeypatch.setattr(setup, "fit_sizes", None)  # what can't be merged may not bear an update either
    with pytest.raises(UserError, match=f"can't be merged into what is saved .*{says}.*--lora-targets"):
        train(SMALL.but(lora_rank=4, out=tmp_path / "run", force=True), policy, say=say_nothing)
    assert not (tmp_path / "run").exists(), "--out was to be free for the next try"


@pytest.mark.parametrize("kind", ["deepseek_v3", "gpt_oss"])
def test_a_run_on_fused_experts_saves_resumes_and_says_what_learns(kind: str, tmp_path: Path):
    def make_start() -> Policy:
        policy = load_policy("embedded", "cpu", "float32")
        return replace(policy, model=make_tiny(kind, len(policy.tokenizer)))

    said: list[str] = []
    settings = SMALL.but(
        lora_rank=2, steps=2, force=True, preflight_problems=0, control="random", save_every=1, eval_every=0
    )
    whole, halves = settings.but(out=tmp_path / "whole"), settings.but(out=tmp_path / "halves", stop_after=1)
    train(whole, make_start(), say=said.append)
    train(halves, make_start(), say=say_nothing)
    resume(tmp_path / "halves", {}, say=say_nothing)
    assert have_same_weights(tmp_path / "whole/model", tmp_path / "halves/model")
    described = next(line for line in said if line.startswith("Adapters on"))
    assert re.search(r"experts\.gate_up_proj \(\d\), experts\.down_proj \(\d\)", described)
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "whole/reference")
    merged = compute_logits(AutoModelForCausalLM.from_pretrained(tmp_path / "whole/model"))
    assert not torch.equal(compute_logits(base), merged), "the run was to change something"
    for folder in ("whole/adapter", "halves/adapter", "whole/checkpoints/step-000002/adapter"):
        named = json.loads((tmp_path / folder / "adapter_config.json").read_text())
        start = Path(named["base_model_name_or_path"])
        assert start == tmp_path / folder.split("/")[0] / "reference"
        again = AutoModelForCausalLM.from_pretrained(start)
        alone = peft.PeftModel.from_pretrained(again, tmp_path / folder)
        assert torch.allclose(compute_logits(alone), merged, atol=1e-5)


def test_the_base_of_a_named_model_is_its_name(warm_model: Path, tmp_path: Path):
    settings = SMALL.but(model=warm_model, lora_rank=2, steps=1, eval_every=0, out=tmp_path / "run")
    train(settings, say=say_nothing)
    named = json.loads((tmp_path / "run/adapter/adapter_config.json").read_text())
    assert named["base_model_name_or_path"] == str(warm_model)
