"""When the fast path is tried against the model's own forward pass."""

import pytest
import torch
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.model import lora
from palaestra.trainer.model.dense import decoder
from palaestra.trainer.model.dense.decoder import find_refusal
from palaestra.trainer.model.dense.family import DenseWeights
from palaestra.trainer.model.policy import load_policy


def test_a_model_is_probed_once_and_again_with_adapters(monkeypatch: pytest.MonkeyPatch):
    measured: list[float] = []
    measure = decoder.measure_decoding
    monkeypatch.setattr(
        decoder, "measure_decoding", lambda *given: measured.append(measure(*given)) or measured[-1]
    )
    model = load_policy("embedded", "cpu", "float32").model
    assert [find_refusal(model) for _ in range(3)] == [""] * 3
    assert len(measured) == 2  # prompts packed, and by the model's own pass
    lora.add_adapters(model, LoraConfig(lora_rank=2), seed=0)
    assert [find_refusal(model) for _ in range(3)] == [""] * 3
    assert len(measured) == 4
    assert max(measured) < 1e-5


def test_a_hook_is_seen_after_the_probe():
    model = load_policy("embedded", "cpu", "float32").model
    assert find_refusal(model) == ""
    model.model.layers[0].mlp.register_forward_hook(lambda _module, _inputs, output: 2 * output)
    assert "hooks" in find_refusal(model)
    assert torch.isfinite(model(input_ids=torch.tensor([[1, 2]])).logits).all()


def test_adapters_are_in_the_fused_weights_before_these_are_rounded():
    """Under autocast the sum of a weight and its adapter would be rounded from a rounded weight, which most
    of a young adapter does not change."""
    model = load_policy("embedded", "cpu", "bfloat16").model
    lora.add_adapters(model, LoraConfig(lora_rank=2), seed=0)
    layer = model.model.layers[0]
    with torch.no_grad():
        layer.mlp.down_proj.lora_B["default"].weight.normal_(std=1e-4)
        wanted_FD = lora.weigh(layer.mlp.down_proj).t().bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            fused = DenseWeights.of(model, torch.bfloat16)
        assert torch.equal(fused.layers[0].down_FD, wanted_FD)
        assert not torch.equal(layer.mlp.down_proj.base_layer.weight.t().bfloat16(), wanted_FD)
        layer.mlp.down_proj.lora_B["default"].weight.normal_(std=1e-2)
        wanted_FD, place = lora.weigh(layer.mlp.down_proj).t().bfloat16(), fused.layers[0].down_FD.data_ptr()
        with torch.autocast("cpu", torch.bfloat16):
            assert fused.refill(model, torch.bfloat16)
        assert torch.equal(fused.layers[0].down_FD, wanted_FD)
        assert fused.layers[0].down_FD.data_ptr() == place
    other = load_policy("embedded", "cpu", "bfloat16").model
    assert not fused.refill(other, torch.bfloat16)
    assert not fused.refill(model, torch.float32)
