"""What is measured before a run: caches of every kind, and models with few positions."""

import pytest
import torch
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.measure import measure_cache, measure_passes
from transformers import DynamicCache, GPT2LMHeadModel

from ..support.architectures import make_model
from ..support.policies import make_policy
from ..support.tiny import make_tiny

torch.set_num_threads(1)  # small matrices
TOKENIZER = make_character_tokenizer()


def test_layers_of_unlike_heads_are_counted_one_by_one():
    """Gemma 4: heads of another size in its global layers, and layers that keep nothing of their own."""
    model = make_model("gemma4_text")
    cache = DynamicCache(config=model.config)
    with torch.no_grad():
        model(input_ids=torch.tensor([list(range(5, 53))] * 2), past_key_values=cache, use_cache=True)
    kept = [layer.keys for layer in cache.layers if layer.keys is not None and layer.keys.numel()]
    assert len({keys.shape[-1] for keys in kept}) > 1, "its layers have heads of two sizes"
    expected = sum(2 * keys.numel() * keys.element_size() for keys in kept)
    assert measure_cache(make_policy(model, TOKENIZER)).count(2, 2 * 48) == expected


def test_a_recurrent_layer_keeps_as_much_of_a_long_text_as_of_a_short_one():
    found = measure_cache(make_policy(make_tiny("mamba"), TOKENIZER))
    assert found.count(1, 10) == found.count(1, 10**6) > 0
    assert found.count(3, 30) == 3 * found.count(1, 10)


class OwnCache(GPT2LMHeadModel):
    """Makes its cache itself, in float32 whatever the arithmetic, and takes no other."""

    def forward(self, *args, past_key_values=None, use_cache=True, **options):
        if past_key_values is not None and type(past_key_values) is not Wide:
            raise TypeError("a cache of another kind")
        if use_cache and past_key_values is None:
            past_key_values = Wide(config=self.config)
        return super().forward(*args, past_key_values=past_key_values, use_cache=use_cache, **options)


class Wide(DynamicCache):
    def update(self, key_states, value_states, layer_idx, *args, **kwargs):
        return super().update(key_states.float(), value_states.float(), layer_idx, *args, **kwargs)


def test_a_cache_of_the_model_s_own_is_counted_in_its_own_type():
    model = make_tiny("gpt2")
    model.__class__ = OwnCache
    numbers = 2 * 2 * 32 * 100  # keys and values, layers, width, positions
    assert measure_cache(make_policy(model, TOKENIZER, torch.bfloat16)).count(1, 100) == 4 * numbers
    plain = make_policy(make_tiny("gpt2"), TOKENIZER, torch.bfloat16)
    assert measure_cache(plain).count(1, 100) == 2 * numbers


@pytest.mark.parametrize("positions", [16, 28])
def test_rows_are_measured_within_the_model_s_positions(positions: int):
    policy = make_policy(make_tiny("gpt2", n_positions=positions), TOKENIZER)
    passes = measure_passes(policy, TrainConfig())
    assert passes.update.peak(100) > passes.update.peak(10) > 0
    assert passes.prefill.peak(100) > passes.prefill.peak(10) > 0
