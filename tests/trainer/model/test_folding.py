"""Weights that a model's own forward pass samples with: the same numbers for fewer operations."""

import contextlib
import copy
import itertools
from collections import Counter

import pytest
import torch
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.engines.base import Request, Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model import lora
from palaestra.trainer.model.embedded import make_character_tokenizer, make_small_transformer
from palaestra.trainer.model.folding import Folded, count_folded_bytes, find_cast_weights
from palaestra.trainer.model.logprobs import compute_logprobs
from palaestra.trainer.model.probe import choose_mode
from palaestra.trainer.model.sequences import Sequences

from ..support.architectures import make_model
from ..support.counts import WeightUses
from ..support.policies import make_policy

torch.set_num_threads(1)  # small matrices
TOKENIZER = make_character_tokenizer()
IDS = torch.tensor([[5, 9, 4, 7, 11, 6]])
REQUESTS = [Request([5, 6, 7], 4, 1), Request([5, 6, 7, 9], 4, 2)]


def adapt(model):
    """Adapters that matter."""
    pytest.importorskip("peft")
    lora.add_adapters(model, LoraConfig(lora_rank=4), 0)
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    return model


def count_a_step(engine: LocalEngine) -> Counter[str]:
    """Operations of one decode step: of a longer call less a shorter one, divided."""
    engine.end_ids = []
    counts = []
    for tokens in (8, 18):
        with WeightUses(engine.policy.model) as counted:
            engine.sample(REQUESTS, Sampling(max_new_tokens=tokens))
        counts.append(counted)
    short, long = ({"all": uses.operations.total(), "casts": sum(uses.casts.values())} for uses in counts)
    more = {name: long[name] - short[name] for name in short}
    return Counter({name: count // 10 for name, count in more.items()})


@pytest.mark.parametrize("kind", ["gpt2", "gemma2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_a_step_with_adapters_costs_what_one_without_does(kind: str, dtype: torch.dtype):
    plain = count_a_step(LocalEngine(make_policy(make_model(kind), TOKENIZER, dtype)))
    adapted = adapt(make_model(kind))
    folded = count_a_step(LocalEngine(make_policy(adapted, TOKENIZER, dtype)))
    beside = count_a_step(LocalEngine(make_policy(adapted, TOKENIZER, dtype), fast=False))
    assert folded["all"] == plain["all"] < 0.8 * beside["all"]
    assert folded["casts"] == plain["casts"] == 0
    assert beside["casts"] == (0 if dtype is torch.float32 else len(find_cast_weights(adapted, dtype)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["gpt2", "gemma2", "mixtral", "qwen3"])
def test_what_is_sampled_with_adapters_has_the_log_probabilities_of_the_update(kind: str, dtype: torch.dtype):
    model = make_small_transformer(103, 1, 0, 0).eval() if kind == "qwen3" else make_model(kind)
    policy = make_policy(adapt(model), TOKENIZER, dtype)
    drawn = list(itertools.chain(*LocalEngine(policy).sample(REQUESTS, Sampling(max_new_tokens=12))))
    sequences = Sequences.of([c.prompt_ids for c in drawn], [c.ids for c in drawn], policy.device)
    with torch.no_grad(), policy.autocast():
        updated_BT = compute_logprobs(policy.model, sequences).logprobs_BT
    gaps = [
        (updated_T[: len(c.ids)] - torch.tensor(c.logprobs)).abs()
        for c, updated_T in zip(drawn, updated_BT, strict=True)
    ]
    assert torch.cat(gaps).mean() <= (1e-5 if dtype is torch.float32 else 0.03)


@pytest.mark.parametrize("kind", ["gpt2", "gemma2", "mixtral"])
def test_casts_beforehand_change_no_bit(kind: str):
    """The head is the embedding in some of them, which is read as it is."""
    model = make_model(kind)
    folded = Folded(model, torch.bfloat16, adapters=False)
    folded.load()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        own = model(input_ids=IDS, use_cache=False).logits
        with folded.use():
            assert torch.equal(model(input_ids=IDS, use_cache=False).logits, own)
    names = find_cast_weights(model, torch.bfloat16)
    assert {"lm_head.weight"} <= names
    assert not any("embed" in name or "wte" in name or "norm" in name for name in names)
    assert count_folded_bytes(model, torch.bfloat16, adapters=False) == 2 * sum(
        model.get_parameter(name).numel() for name in names
    )
    assert find_cast_weights(model, torch.float32) == frozenset()


def test_the_model_is_what_it_was_and_the_copies_stay_where_they_are():
    model = adapt(make_model("gpt2"))
    before = copy.deepcopy(model.state_dict())
    places = {name: weight.data_ptr() for name, weight in model.named_parameters()}
    folded = Folded(model, torch.float32, adapters=True)
    folded.load()
    inside: list[dict[str, int]] = []
    outputs = []
    for change in (0.0, 0.5):
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora_A" in name:
                    weight.add_(change)
            folded.load()
            outputs.append(model(input_ids=IDS).logits)
            with contextlib.suppress(KeyError), folded.use():
                assert torch.allclose(model(input_ids=IDS).logits, outputs[-1], atol=1e-4)
                inside.append({name: weight.data_ptr() for name, weight in model.named_parameters()})
                raise KeyError("whatever happens inside")
            assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()) is (
                not change
            )
            model.load_state_dict(before)
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-2)
    assert inside[0] == inside[1] != places
    assert {name: weight.data_ptr() for name, weight in model.named_parameters()} == places
    assert not any(layer.disable_adapters for layer in lora.find_adapted(model).values())
    assert all(weight.requires_grad == (".lora_" in name) for name, weight in model.named_parameters())


def test_without_its_adapters_a_policy_samples_as_it_began():
    model = adapt(make_model("gpt2"))
    policy = make_policy(model, TOKENIZER)
    off = type(policy)(model, TOKENIZER, policy.device, policy.dtype, "test", adapted=False)
    plain = make_policy(make_model("gpt2"), TOKENIZER)
    found = LocalEngine(off).sample(REQUESTS, Sampling(max_new_tokens=8))
    assert [[c.ids for c in group] for group in found] == [
        [c.ids for c in group] for group in LocalEngine(plain).sample(REQUESTS, Sampling(max_new_tokens=8))
    ]


def test_where_rounding_decides_adapters_stay_beside_the_weights():
    """A router sends tokens to other experts, which is no rounding of the same function."""
    mode = choose_mode(make_policy(adapt(make_model("mixtral")), TOKENIZER, torch.bfloat16))
    assert mode.folds == "casts"
