"""When the fast path is tried against the model's own forward pass."""

import pytest
import torch
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.model import lora
from palaestra.trainer.model.dense import decoder
from palaestra.trainer.model.dense.decoder import find_refusal
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
