"""Prompts through the packed pass: the same tables and logits as by the model's own pass, for less."""

import pytest
import torch
from palaestra.trainer.model.dense import prefill as prefills
from palaestra.trainer.model.dense.prefill import prefill
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

SIZES = {
    "vocab_size": 60, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 128,
}  # fmt: skip
SYSTEM = [(7 * place + 3) % 60 for place in range(12)]
ALIKE = [[*SYSTEM, 5, 6, 7, 8], [*SYSTEM, 5, 9], [*SYSTEM, 30, 31, 32, 33, 34, 35, 36]]
EVEN = [[(row + 3 * place) % 60 for place in range(9)] for row in range(3)]


@pytest.fixture(params=["qwen2", "qwen3"])  # with biases; with norms of queries and keys
def model(request):
    torch.manual_seed(0)
    if request.param == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**SIZES)).eval()
    return Qwen3ForCausalLM(Qwen3Config(**SIZES)).eval()


@torch.no_grad()
def test_the_packed_pass_fills_the_same_tables(model):
    packed, plain = prefill(model, ALIKE, [2, 1, 3]), prefill(model, ALIKE, [2, 1, 3], packs=False)
    assert packed.width == plain.width == 19
    assert torch.equal(packed.positions_P, plain.positions_P)
    assert torch.equal(packed.mask_PS, plain.mask_PS)
    assert packed.start_R.tolist() == plain.start_R.tolist() == [0, 0, 1, 2, 2, 2]
    assert torch.allclose(packed.logits_PV, plain.logits_PV, atol=1e-5)
    seen_P1S1 = plain.mask_PS.bool()[:, None, :, None]
    for mine, theirs in zip(packed.layers, plain.layers, strict=True):
        for name in ("keys", "values"):
            gap = (getattr(mine, name) - getattr(theirs, name)) * seen_P1S1
            assert getattr(mine, name).shape == getattr(theirs, name).shape == (3, 2, 19, 16)
            assert float(gap.abs().max()) < 1e-5


@torch.no_grad()
def test_what_prompts_share_is_computed_once_and_padding_never(model, monkeypatch: pytest.MonkeyPatch):
    tokens = []
    compute = prefills.compute_hidden_states
    monkeypatch.setattr(
        prefills,
        "compute_hidden_states",
        lambda model, packing, keep: tokens.append(len(packing.ids_N)) or compute(model, packing, keep),
    )
    prefill(model, ALIKE, [1, 1, 1])
    assert tokens == [len(SYSTEM) + 1 + 3 + 1 + 7]  # the first two agree in one token more
    prefill(model, EVEN, [1, 1, 1])  # nothing in common, no padding: the model's own pass
    prefill(model, ALIKE[:1], [4])
    assert len(tokens) == 1


@torch.no_grad()
def test_under_autocast_the_models_own_pass_is_taken(model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(prefills, "compute_hidden_states", lambda *_: pytest.fail("packed"))
    with torch.autocast("cpu", torch.bfloat16):
        assert prefill(model, ALIKE, [1, 1, 1]).logits_PV.shape == (3, 60)
