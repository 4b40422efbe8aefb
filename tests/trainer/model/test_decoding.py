"""The general path's cache under autocast: half the bytes, the same bits."""

import pytest
import torch
from palaestra.trainer.model import decoding
from palaestra.trainer.model.decoding import GeneralDecoding
from palaestra.trainer.model.embedded import make_character_tokenizer, make_small_transformer
from palaestra.trainer.model.measure import measure_cache
from transformers import DynamicCache

from ..support.policies import make_policy
from ..support.tiny import make_tiny

PROMPTS = [[5, 9, 4, 7], [3, 8]]


def decode(model) -> tuple[GeneralDecoding, list[torch.Tensor]]:
    logits = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rows = GeneralDecoding(model, PROMPTS, [2, 1])
        for parents in ([0, 0, 1], None, [0, 2]):
            logits.append(rows.logits_UV)
            count = len(parents or range(len(rows.logits_UV)))
            rows.advance(None if parents is None else torch.tensor(parents), torch.arange(3, 3 + count))
    return rows, [*logits, rows.logits_UV]


@pytest.mark.parametrize("kind", ["qwen3", "gpt2", "lfm2"])
def test_under_autocast_the_cache_is_as_narrow_as_billed_and_the_numbers_stay(
    kind: str, monkeypatch: pytest.MonkeyPatch
):
    model = make_small_transformer(103, 1, 0, 0).eval() if kind == "qwen3" else make_tiny(kind)
    narrow, logits = decode(model)
    attention = [layer for layer in narrow.list_layers() if getattr(layer, "keys", None) is not None]
    assert attention
    assert {layer.keys.dtype for layer in attention} == {torch.bfloat16}
    assert {layer.values.dtype for layer in attention} == {torch.bfloat16}
    if kind != "lfm2":  # a hybrid keeps states, too
        held = sum(2 * layer.keys.numel() * 2 for layer in attention)
        rows, _, positions, _ = attention[0].keys.shape
        policy = make_policy(model, make_character_tokenizer(), torch.bfloat16)
        assert held == measure_cache(policy).count(rows, rows * positions)
    monkeypatch.setattr(decoding, "make_cache", lambda model: DynamicCache(config=model.config))
    wide, expected = decode(model)
    if kind == "qwen3":
        assert {layer.keys.dtype for layer in wide.list_layers()} == {torch.float32}
    assert all(torch.equal(one, other) for one, other in zip(logits, expected, strict=True))
