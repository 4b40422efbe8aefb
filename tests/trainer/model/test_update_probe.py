"""A model whose update would be of another policy than the sampler's is refused, in each setting anew."""

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.model import lora
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.policy import enable_gradient_checkpointing
from palaestra.trainer.model.update_probe import check_update

from ..support.architectures import make_model
from ..support.policies import make_policy
from ..support.tiny import make_tiny

torch.set_num_threads(1)  # small matrices
TOKENIZER = make_character_tokenizer()


class Noise(torch.nn.Module):
    """Random while it trains, by no setting."""

    def forward(self, x):
        return x + torch.randn_like(x) if self.training else x


def test_a_model_that_trains_as_another_is_refused():
    model = make_tiny("gpt2")
    model.transformer.drop = Noise()
    with pytest.raises(UserError, match="can't be trained here: over padded rows in training mode"):
        check_update(make_policy(model, TOKENIZER))
    assert not model.training
    check_update(make_policy(make_tiny("gpt2"), TOKENIZER))


def skip_adapters_while_training(layer) -> None:
    forward = layer.forward
    layer.forward = lambda x: layer.base_layer(x) if layer.training else forward(x)


def test_adapters_are_tried_though_the_model_without_them_was():
    pytest.importorskip("peft")
    policy = make_policy(make_model("gpt2"), TOKENIZER)
    check_update(policy)
    lora.add_adapters(policy.model, LoraConfig(lora_rank=4), 0)
    check_update(policy)
    assert not any(bool(t.any()) for n, t in lora.collect_trained(policy.model).items() if "lora_B" in n)
    other = make_policy(make_model("gpt2"), TOKENIZER)
    check_update(other)
    lora.add_adapters(other.model, LoraConfig(lora_rank=4), 0)
    for layer in lora.find_adapted(other.model).values():
        skip_adapters_while_training(layer)
    with pytest.raises(UserError, match="can't be trained here"):
        check_update(other)


def test_checkpointing_is_tried_though_the_model_without_it_was():
    policy = make_policy(make_model("gpt2"), TOKENIZER)
    check_update(policy)
    enable_gradient_checkpointing(policy.model)
    layer = policy.model.transformer.h[0]
    forward = layer.mlp.forward
    layer.mlp.forward = lambda hidden: (
        hidden if layer.gradient_checkpointing and layer.training else forward(hidden)
    )
    with pytest.raises(UserError, match="can't be trained here"):
        check_update(policy)
