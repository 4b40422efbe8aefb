"""The bill of a model by its shape alone: what few layers say of many."""

from pathlib import Path

import pytest
from palaestra.trainer.model.measure import measure_passes
from scripts import load_script
from transformers import Qwen2Config

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "memory.py"


@pytest.fixture(scope="module")
def bills():
    return load_script("benchmarks/memory.py")


def make_config(vocabulary: int = 512) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=vocabulary, hidden_size=64, intermediate_size=176, num_hidden_layers=7,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
        max_position_embeddings=4096, eos_token_id=1, pad_token_id=2, bos_token_id=None,
    )  # fmt: skip


@pytest.mark.parametrize(("weights", "recomputes"), [("float32", False), ("bfloat16", True)])
def test_few_layers_foretell_the_passes_of_many(bills, weights: str, recomputes: bool):
    config = make_config(bills.VOCABULARY)
    arm = bills.SETTINGS.but(weights=weights, gradient_checkpointing=recomputes)
    foretold = bills.foretell(bills.Shape(config, 0), bills.Learns(weights, 0), recomputes)
    measured = measure_passes(bills.make(config, arm, "cpu"), arm)
    for tokens in bills.TOKENS:
        for name in ("update", "plain", "prefill"):
            one, other = getattr(foretold, name), getattr(measured, name)
            assert one.peak(tokens) == pytest.approx(other.peak(tokens), rel=0.03)
            assert one.at_mark(tokens) == pytest.approx(other.at_mark(tokens), rel=0.03)
    assert foretold.cache.count(3, 100) == measured.cache.count(3, 100)


def test_a_shape_is_billed_part_by_part_without_its_weights(bills):
    config = make_config(151_936)
    counted = sum(weight.numel() for weight in bills.make(config, bills.SETTINGS, "cuda").model.parameters())
    shape = bills.Shape(config, counted)
    whole, compact = (bills.weigh(shape, bills.ARMS[name]) for name in list(bills.ARMS)[2:4])
    assert (whole.fixed["weights"], whole.fixed["optimizer"]) == (4 * counted, 8 * counted)
    assert set(whole.fixed) <= {"weights", "optimizer", "sampler"}
    assert compact.fixed["weights"] == 2 * counted
    assert compact.fixed["optimizer"] == pytest.approx(2 * counted, rel=0.02)
    assert compact.gradients == whole.gradients == 4 * counted
    with pytest.raises(SystemExit, match="the shape is wrong"):
        bills.weigh(bills.Shape(config, counted + 1), {})
