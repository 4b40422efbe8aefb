"""The fast path against the general one for every kind of model it serves, and its refusal of every other."""

import itertools
import weakref
from dataclasses import replace

import pytest
import torch
from palaestra.trainer.engines import local
from palaestra.trainer.engines.base import Request, Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model.captures import Tape
from palaestra.trainer.model.dense import decoder
from palaestra.trainer.model.dense.buffers import FixedSteps
from palaestra.trainer.model.dense.decoder import FastDecoding, find_refusal
from palaestra.trainer.model.dense.family import DenseWeights, find_misfit
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.fixed import LENGTHS, WIDTHS
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from ..support.policies import make_policy

torch.set_num_threads(1)  # small matrices
TOKENIZER = make_character_tokenizer()
SHAPE = {
    "vocab_size": len(TOKENIZER),
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
SERVED = {
    "llama": (LlamaForCausalLM, LlamaConfig, {}),
    "llama, all heads": (
        LlamaForCausalLM,
        LlamaConfig,
        {"num_key_value_heads": 4, "tie_word_embeddings": True},
    ),
    "llama, one key head": (LlamaForCausalLM, LlamaConfig, {"num_key_value_heads": 1}),
    "llama, llama3 rope": (LlamaForCausalLM, LlamaConfig, {"rope_parameters": LLAMA3_ROPE}),
    "mistral": (MistralForCausalLM, MistralConfig, {"sliding_window": None, "head_dim": 24}),
    "qwen2, biases": (Qwen2ForCausalLM, Qwen2Config, {"head_dim": 12}),
    "qwen2, tied": (Qwen2ForCausalLM, Qwen2Config, {"tie_word_embeddings": True, "head_dim": 12}),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, {}),
    "qwen3, tied, one key head": (
        Qwen3ForCausalLM,
        Qwen3Config,
        {"tie_word_embeddings": True, "num_key_value_heads": 1},
    ),
}
REFUSED = {
    "llama, output bias": (LlamaForCausalLM, LlamaConfig, {"attention_bias": True}, "other parameters"),
    "llama, mlp bias": (LlamaForCausalLM, LlamaConfig, {"mlp_bias": True}, "other parameters"),
    "llama, gelu": (LlamaForCausalLM, LlamaConfig, {"hidden_act": "gelu"}, "activation is gelu"),
    "llama, dynamic rope": (
        LlamaForCausalLM,
        LlamaConfig,
        {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
        "type dynamic",
    ),
    "mistral, window": (MistralForCausalLM, MistralConfig, {"sliding_window": 8}, "window"),
    "qwen2, window": (
        Qwen2ForCausalLM,
        Qwen2Config,
        {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
        "window",
    ),
    "gemma2": (Gemma2ForCausalLM, Gemma2Config, {}, "is not one of"),
}


def make_model(kind: type, config: type, changes: dict, seed: int = 0):
    """A random model of the kind; biases and norm weights are random too,
    so that none can be left out unseen."""
    torch.manual_seed(seed)
    model = kind(
        config(**SHAPE | changes, eos_token_id=TOKENIZER.eos_token_id, pad_token_id=0, bos_token_id=None)
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5.0) if parameter.ndim > 1 else parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def make_requests(samples: int = 12) -> list[Request]:
    return [
        Request(TOKENIZER(text).input_ids, samples, i)
        for i, text in enumerate(("12 + 3 =", "x", "What is it, then?"))
    ]


@pytest.mark.parametrize("name", SERVED)
def test_both_paths_agree(name: str):
    """Ragged prompts, caches that grow, rows that end: same tokens, same log-probabilities,
    those of a plain pass too."""
    model = make_model(*SERVED[name])
    assert find_refusal(model) == ""
    sampling = Sampling(max_new_tokens=210)
    fast, general = (LocalEngine(make_policy(model, TOKENIZER), fast=fast) for fast in (True, False))
    assert (fast.path, general.path) == ("fast", "general")
    one, other = (
        [c for group in engine.sample(make_requests(), sampling) for c in group] for engine in (fast, general)
    )
    assert [c.ids for c in one] == [c.ids for c in other]
    assert max(len(c.ids) for c in one) > 140 > 60 > min(len(c.ids) for c in one)
    gap = torch.cat(
        [torch.tensor(a.logprobs) - torch.tensor(b.logprobs) for a, b in zip(one, other, strict=True)]
    ).abs()
    assert gap.max() <= 5e-5
    assert gap.mean() <= 2e-6
    with torch.no_grad():
        for c in one[::9]:
            logits = model(input_ids=torch.tensor([[*c.prompt_ids, *c.ids]])).logits[
                0, len(c.prompt_ids) - 1 : -1
            ]
            plain = logits.log_softmax(-1).gather(-1, torch.tensor(c.ids)[:, None])[:, 0]
            assert (plain - torch.tensor(c.logprobs)).abs().max() <= 5e-5


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_does_not_understand_goes_the_general_way(name: str):
    kind, config, changes, reason = REFUSED[name]
    engine = LocalEngine(make_policy(make_model(kind, config, changes), TOKENIZER))
    assert engine.path == "general"
    assert reason in engine.reason


def test_changed_models_of_the_family_are_refused():
    class Scaled(LlamaForCausalLM):
        def forward(self, *args, **options):
            output = super().forward(*args, **options)
            output.logits = output.logits * 2
            return output

    assert "Scaled is not one of" in find_refusal(make_model(Scaled, LlamaConfig, {}))
    hooked = make_model(LlamaForCausalLM, LlamaConfig, {})
    hooked.model.layers[1].mlp.register_forward_hook(lambda *_: None)
    assert "hooks" in find_refusal(hooked)
    extra = make_model(LlamaForCausalLM, LlamaConfig, {})
    extra.model.layers[0].self_attn.gate = torch.nn.Parameter(torch.ones(1))
    assert "other parameters" in find_refusal(extra)


def test_the_probe_finds_what_the_config_does_not_tell():
    model = make_model(LlamaForCausalLM, LlamaConfig, {})
    forward = type(model.model.layers[0].mlp).forward
    mlp = model.model.layers[0].mlp
    mlp.forward = lambda x: 1.01 * forward(mlp, x)
    assert find_misfit(model) == ""
    assert "on a probe it differs" in find_refusal(model)


@pytest.mark.parametrize("name", ["qwen2, biases", "qwen3"])
def test_recorded_steps_compute_the_same(name: str):
    """Whole caches under a mask, rows that are halved, not cut, buffers that stay: recorded and replayed."""
    model = make_model(*SERVED[name])
    sampling = Sampling(max_new_tokens=210)
    plain = LocalEngine(make_policy(model, TOKENIZER)).sample(make_requests(), sampling)
    engine = LocalEngine(make_policy(model, TOKENIZER), record=Tape)
    recorded = engine.sample(make_requests(), sampling)
    for one, other in zip(itertools.chain(*plain), itertools.chain(*recorded), strict=True):
        assert one.ids == other.ids
        assert torch.allclose(torch.tensor(one.logprobs), torch.tensor(other.logprobs), atol=5e-5)
    assert 3 <= engine.captures <= WIDTHS * LENGTHS, (
        "rows were to end until the batch is halved, and the cache to fill"
    )


def test_steps_are_captured_once_for_all_calls():
    """Training steps, evaluations and other weights: what was captured serves until a call is larger."""
    model = make_model(*SERVED["qwen3"])
    engine = LocalEngine(make_policy(model, TOKENIZER), rows=16, record=Tape)
    counts, drawn = [], []
    for step in range(4):
        with torch.no_grad():
            model.model.layers[0].mlp.down_proj.weight.mul_(1.1)
        for samples in (12, 3):
            requests = [replace(request, stream=100 * step) for request in make_requests(samples)]
            drawn += engine.sample(requests, Sampling(max_new_tokens=100))
        counts.append(engine.captures)
    assert counts[1] == counts[-1] <= WIDTHS * LENGTHS
    fresh = LocalEngine(make_policy(model, TOKENIZER), rows=16).sample(requests, Sampling(max_new_tokens=100))
    assert [[c.ids for c in group] for group in fresh] == [[c.ids for c in group] for group in drawn[-3:]]


@pytest.mark.parametrize("served", [True, False])
def test_an_engine_that_frees_before_an_update_draws_the_same(served: bool):
    """It captures anew after the update, and not for each of the calls between two of them."""
    policy = make_policy(make_model(*SERVED["qwen3"]), TOKENIZER)
    keeping, freeing = (LocalEngine(policy, rows=16, fast=served, record=Tape) for _ in range(2))
    for step in range(3):
        for call in range(2):
            requests = [replace(request, stream=100 * step + 10 * call) for request in make_requests(3)]
            kept, freed = (each.sample(requests, Sampling(max_new_tokens=20)) for each in (keeping, freeing))
            assert [[c.ids for c in group] for group in kept] == [[c.ids for c in group] for group in freed]
        freeing.free()
        with torch.no_grad():
            policy.model.model.layers[0].mlp.down_proj.weight.mul_(1.1)
    assert freeing.captures == 3 * keeping.captures > 0


def test_what_was_captured_is_counted_though_another_policy_is_loaded():
    engine = LocalEngine(make_policy(make_model(*SERVED["qwen3"]), TOKENIZER), rows=16, record=Tape)
    engine.sample(make_requests(3), Sampling(max_new_tokens=20))
    captures = engine.captures
    engine.load(make_policy(make_model(*SERVED["qwen3"], seed=1), TOKENIZER), 1)
    assert engine.captures == captures > 0
    engine.sample(make_requests(3), Sampling(max_new_tokens=20))
    assert engine.captures > captures


@pytest.mark.parametrize("record", [None, Tape])
def test_the_probe_has_one_fused_copy_at_a_time(record, monkeypatch: pytest.MonkeyPatch):
    alive, most = weakref.WeakSet[torch.Tensor](), []
    fuse = DenseWeights.of

    def count(model, dtype):
        weights = fuse(model, dtype)
        alive.add(weights.layers[0].qkv_DO)
        most.append(len(alive))
        return weights

    monkeypatch.setattr(DenseWeights, "of", count)
    assert find_refusal(make_model(*SERVED["qwen3"]), torch.bfloat16, record) == ""
    assert len(most) == 4, "in both arithmetics, of two ways each"
    assert set(most) == {1}


def test_a_recorded_step_that_misses_a_buffer_is_found(monkeypatch: pytest.MonkeyPatch):
    model = make_model(*SERVED["qwen3"])
    fit = FixedSteps.fit

    def move(self, model, extent):
        buffers, cache = fit(self, model, extent)
        return replace(buffers, out_UV=buffers.out_UV.clone(), tokens_U=buffers.tokens_U.clone()), cache

    monkeypatch.setattr(FixedSteps, "fit", move)
    assert find_refusal(model, torch.float32) == ""
    assert "on a probe it differs" in find_refusal(model, torch.float32, Tape)


@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "torch"])
def test_free_rows_are_taken_by_what_waits(kernels: bool, monkeypatch: pytest.MonkeyPatch):
    """Completions of very different lengths: fewer steps, the same tokens and log-probabilities."""
    if not kernels:
        monkeypatch.setattr(decoder.kernels, "supports", lambda *_: False)
    monkeypatch.setattr(local, "REFILL", {"cpu": 8})  # as soon as on a GPU
    model = make_model(*SERVED["llama"])
    requests = [Request(one.ids, 4, stream) for stream, one in enumerate(make_requests() * 6)]
    sampling = Sampling(max_new_tokens=200)
    wide, refilled, waves = (LocalEngine(make_policy(model, TOKENIZER), rows) for rows in (256, 16, 16))
    wanted, found = wide.sample(requests, sampling), refilled.sample(requests, sampling)
    monkeypatch.setattr(FastDecoding, "admits", False)
    apart = waves.sample(requests, sampling)
    for one, other, third in zip(
        *(itertools.chain(*groups) for groups in (wanted, found, apart)), strict=True
    ):
        assert one.ids == other.ids == third.ids
        assert torch.allclose(torch.tensor(one.logprobs), torch.tensor(other.logprobs), atol=5e-5)
    assert refilled.row_steps == waves.row_steps == sum(len(c.ids) - 1 for group in wanted for c in group)
    assert refilled.steps < 0.75 * waves.steps
    assert refilled.row_steps / (16 * refilled.steps) > 0.5


def test_bfloat16_stays_near_the_general_path_and_its_own_update():
    model = make_model(*SERVED["qwen3"])
    engine = LocalEngine(make_policy(model, TOKENIZER, torch.bfloat16))
    completions = engine.sample(make_requests(), Sampling(max_new_tokens=60))
    gaps = []
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        for c in (c for group in completions for c in group):
            logits = model(input_ids=torch.tensor([[*c.prompt_ids, *c.ids]])).logits[
                0, len(c.prompt_ids) - 1 : -1
            ]
            plain = logits.float().log_softmax(-1).gather(-1, torch.tensor(c.ids)[:, None])[:, 0]
            gaps.append((plain - torch.tensor(c.logprobs)).abs())
    assert 1e-5 < torch.cat(gaps).mean() < 0.05, "bfloat16 was to be used, and to stay near"
