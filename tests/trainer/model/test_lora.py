"""Adapters: nothing at first, all that is trained, off for the reference, merged in what is saved,
resumed to the bit."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from palaestra.tasks import get
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.algorithms.update import run_pass
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.engines.base import Request, Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model import fit, logprobs, lora
from palaestra.trainer.model.dense import family, projections
from palaestra.trainer.model.dense.packed import can_pack
from palaestra.trainer.model.logprobs import compute_logprobs
from palaestra.trainer.model.policy import Policy, enable_gradient_checkpointing, load_policy
from palaestra.trainer.model.sequences import Sequences
from palaestra.trainer.reports.curves import read_metrics
from palaestra.trainer.reward_models.scoring import Judged
from palaestra.trainer.runs.beside import list_models_beside
from palaestra.trainer.runs.reference import make_reference
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from ..support.runs import SMALL, say_nothing

pytest.importorskip("peft")
torch.set_num_threads(1)
SEQUENCES = Sequences.of([[5, 6, 7], [8, 9]], [[10, 11, 12, 13], [14, 15]])
RANK = LoraConfig(lora_rank=4)
SETTINGS = SMALL.but(lora_rank=4, loss=LossConfig(kl_coef=0.05))


def make_policy_with_adapters(warm_model: Path, moved: bool = True) -> Policy:
    policy = load_policy(str(warm_model), "cpu", "float32")
    lora.add_adapters(policy.model, RANK, 0)
    if moved:
        torch.manual_seed(0)
        for tensor in lora.collect_trained(policy.model).values():
            tensor.copy_(0.1 * torch.randn_like(tensor))
    return policy


def compute_own_logprobs(model) -> torch.Tensor:
    with torch.no_grad():
        return compute_logprobs(model, SEQUENCES).logprobs_BT


def test_they_begin_as_nothing_and_are_all_that_is_trained(warm_model: Path):
    plain = load_policy(str(warm_model), "cpu", "float32").model
    made = make_policy_with_adapters(warm_model, moved=False).model
    assert torch.allclose(compute_own_logprobs(made), compute_own_logprobs(plain), atol=2e-6)
    trained = lora.collect_trained(made)
    linear = [
        name
        for name, module in plain.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    ]
    assert len(trained) == 2 * len(linear) > 0
    assert all(".lora_A." in name or ".lora_B." in name for name in trained)
    compute_logprobs(made, SEQUENCES).logprobs_BT.sum().backward()
    assert {name for name, p in made.named_parameters() if p.grad is not None} == set(trained)


def test_the_reference_is_the_model_without_them_and_no_second_one(warm_model: Path, tmp_path: Path):
    plain, policy = load_policy(str(warm_model), "cpu", "float32"), make_policy_with_adapters(warm_model)
    reference = make_reference(policy, SETTINGS, tmp_path / "reference")
    assert reference.model is policy.model
    found = run_pass(reference, SEQUENCES, 1.0, 2048).logprobs_BT
    assert torch.allclose(found, run_pass(plain, SEQUENCES, 1.0, 2048).logprobs_BT, atol=5e-6)
    adapted = compute_own_logprobs(policy.model)
    assert (adapted - found).abs().max() > 0.1, "the adapters were to be on again, and to matter"
    compute_logprobs(policy.model, SEQUENCES).logprobs_BT.sum().backward()
    assert all(p.grad is not None for p in policy.model.parameters() if p.requires_grad)
    assert (
        lora.collect_trained(policy.model).keys()
        == lora.collect_trained(make_policy_with_adapters(warm_model).model).keys()
    )
    plan = fit.plan(policy, SETTINGS.but(tokens_per_microbatch=256, rows=8))
    assert list_models_beside(policy, SETTINGS, Judged(get("addition"))) == []
    assert plan.fixed.keys() == {"weights", "optimizer"}
    assert plan.fixed["optimizer"] < plan.fixed["weights"]


def test_the_context_without_them_may_stand_inside_of_itself(warm_model: Path):
    """An engine enters its policy's context, whether or not its caller is in one."""
    plain, policy = load_policy(str(warm_model), "cpu", "float32"), make_policy_with_adapters(warm_model)
    reference = replace(policy, adapted=False)
    requests, sampling = [Request([5, 6, 7], 4, 0)], Sampling(max_new_tokens=8)
    expected = LocalEngine(plain).sample(requests, sampling)
    assert LocalEngine(policy).sample(requests, sampling) != expected, "the adapters were to matter"
    trained = [parameter.requires_grad for parameter in policy.model.parameters()]
    assert LocalEngine(reference).sample(requests, sampling) == expected
    with reference.autocast():
        for _ in range(2):
            assert LocalEngine(reference).sample(requests, sampling) == expected
        gap = (compute_own_logprobs(policy.model) - compute_own_logprobs(plain.model)).abs().max()
        assert gap <= 5e-6, "the outer context was to hold on"
    gap = (compute_own_logprobs(policy.model) - compute_own_logprobs(plain.model)).abs().max()
    assert gap > 0.1, "the adapters were to be on again"
    assert [parameter.requires_grad for parameter in policy.model.parameters()] == trained


@pytest.mark.parametrize("kind", ["qwen3", "gpt2"])
def test_what_is_saved_is_a_plain_model_with_them_merged(kind: str, warm_model: Path, tmp_path: Path):
    policy = make_policy_with_adapters(warm_model)
    if kind == "gpt2":  # layers stored as (input, output)
        torch.manual_seed(0)
        model = GPT2LMHeadModel(
            GPT2Config(vocab_size=len(policy.tokenizer), n_embd=48, n_layer=2, n_head=4, n_positions=64)
        )
        names = set(model.state_dict())
        lora.add_adapters(model.eval(), RANK, 0)
        for tensor in lora.collect_trained(model).values():
            tensor.copy_(0.1 * torch.randn_like(tensor))
        policy = replace(policy, model=model)
    else:
        names = set(load_policy(str(warm_model), "cpu", "float32").model.state_dict())
    before = compute_own_logprobs(policy.model)
    policy.save(tmp_path / "saved")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "saved").eval()
    assert set(loaded.state_dict()) == names
    assert torch.allclose(compute_own_logprobs(loaded), before, atol=2e-5)
    assert torch.equal(compute_own_logprobs(policy.model), before), "saving was to leave the model alone"


def test_the_fast_path_and_the_packed_pass_serve_them(warm_model: Path):
    policy = make_policy_with_adapters(warm_model)
    assert can_pack(policy.model)
    engine = LocalEngine(policy)
    assert engine.path == "fast"
    (made,), *_ = engine.sample([Request([5, 6, 7], 1, 0)], Sampling(max_new_tokens=8))
    ids = torch.tensor([[5, 6, 7, *made.ids]])
    with torch.no_grad():
        plain_SV = policy.model(input_ids=ids).logits[0].log_softmax(-1)
    expected = [float(plain_SV[2 + place, token]) for place, token in enumerate(made.ids)]
    assert expected == pytest.approx(made.logprobs, abs=5e-5)
    found = compute_logprobs(policy.model, Sequences.of([[5, 6, 7]], [made.ids])).logprobs_BT[0]
    assert found.tolist() == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_packed_gradient_is_that_of_the_model_itself(
    warm_model: Path, checkpointing: bool, monkeypatch: pytest.MonkeyPatch
):
    policy = make_policy_with_adapters(warm_model)
    trained = [weight for weight in policy.model.parameters() if weight.requires_grad]

    def compute_gradients() -> list[torch.Tensor]:
        total = (compute_logprobs(policy.model.train(), SEQUENCES).logprobs_BT ** 2).sum()
        return list(torch.autograd.grad(total, trained))

    with monkeypatch.context() as patch:
        patch.setattr(logprobs, "can_pack", lambda _: False)
        expected = compute_gradients()
    if checkpointing:
        enable_gradient_checkpointing(policy.model)
    packed = compute_gradients()
    with monkeypatch.context() as patch:
        patch.setattr(logprobs, "can_pack", lambda _: False)
        again = compute_gradients()
    for one, two, three in zip(packed, expected, again, strict=True):
        assert float(two.norm()) > 0
        assert float((one - two).norm()) <= 1e-4 * float(two.norm())
        assert float((three - two).norm()) <= 1e-4 * float(two.norm())


def test_a_probe_moves_them_and_puts_every_bit_back(warm_model: Path):
    policy = make_policy_with_adapters(warm_model, moved=False)
    before = compute_own_logprobs(policy.model)
    kept = {name: tensor.clone() for name, tensor in lora.collect_trained(policy.model).items()}
    with lora.move_adapters(policy.model):
        assert (compute_own_logprobs(policy.model) - before).abs().max() > 0.01
    assert all(torch.equal(kept[name], now) for name, now in lora.collect_trained(policy.model).items())


def test_a_fast_path_that_passes_over_them_is_found_out(warm_model: Path, monkeypatch: pytest.MonkeyPatch):
    """Fresh adapters are nothing, so that a probe which left them at that would find nothing."""
    policy = make_policy_with_adapters(warm_model, moved=False)
    monkeypatch.setattr(family, "weigh", lambda layer: layer.weight + 0 * lora.weigh(layer))
    monkeypatch.setattr(projections, "is_adapted", lambda _: False)
    monkeypatch.setattr(
        projections,
        "_base",
        lambda layer: SimpleNamespace(weight=layer.weight + 0 * lora.weigh(layer), bias=layer.bias),
    )
    assert not can_pack(policy.model)
    assert "differs from the model" in LocalEngine(policy).reason


@pytest.mark.parametrize("odd", ["dropout", "second"])
def test_adapters_of_another_kind_take_the_general_path(warm_model: Path, odd: str):
    policy = make_policy_with_adapters(warm_model)
    layer = policy.model.model.layers[0].self_attn.q_proj
    if odd == "dropout":
        layer.lora_dropout["default"] = torch.nn.Dropout(0.1)
    else:
        layer.lora_A["other"] = torch.nn.Linear(4, 4)
    assert LocalEngine(policy).path == "general"
    assert not can_pack(policy.model)


def test_a_run_resumes_to_the_same_bits_and_its_reference_is_the_start(warm_model: Path, tmp_path: Path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(SETTINGS.but(model=str(warm_model), out=str(whole)), say=say_nothing)
    train(SETTINGS.but(model=str(warm_model), out=str(halves), stop_after=2), say=say_nothing)
    resume(halves, {}, say=say_nothing)
    one, other, start = (
        AutoModelForCausalLM.from_pretrained(folder).state_dict()
        for folder in (whole / "model", halves / "model", warm_model)
    )
    assert one.keys() == other.keys() == start.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    changed = {name for name in one if not torch.equal(one[name], start[name])}
    assert changed
    assert all("proj" in name for name in changed), "only linear layers carry adapters"
    steps = [line for line in read_metrics(whole) if line["kind"] == "step"]
    assert steps[0]["kl_per_completion"] == pytest.approx(0, abs=1e-4)
    assert abs(steps[-1]["kl_per_completion"]) > 1e-3


def test_without_peft_the_fix_is_said(warm_model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"pip install 'palaestra\[peft\]'"):
        make_policy_with_adapters(warm_model)


def test_settings_that_make_no_sense_are_sentences():
    with pytest.raises(UserError, match="--lora-targets say how adapters are made: give --lora-rank, too"):
        train(SMALL.but(lora_targets=("q_proj",)))
    with pytest.raises(UserError, match="lora_rank -1: give a whole number, 0 or more"):
        SETTINGS.but(lora_rank=-1)
