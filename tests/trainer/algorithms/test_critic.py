"""Critics of models whose backbone is not as most: of another width, or none that can be had alone."""

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.algorithms.critic import count_critic_bytes, make_critic
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.sequences import Sequences

from ..support.architectures import make_model
from ..support.policies import make_policy
from ..support.tiny import make_tiny

torch.set_num_threads(1)  # small matrices
TOKENIZER = make_character_tokenizer()
SEPARATE = TrainConfig.of(algorithm="ppo", **{"ppo.critic": "separate"})


def test_the_head_has_the_width_of_what_the_backbone_gives():
    model = make_model("opt")
    assert model.config.word_embed_proj_dim != model.config.hidden_size
    policy = make_policy(model, TOKENIZER)
    critic = make_critic(policy, SEPARATE)
    values_BT = critic.compute_values(Sequences.of([[5, 6, 7], [8]], [[9, 10], [11]], policy.device))
    assert values_BT.shape == (2, 2)
    assert not values_BT.any(), "it begins with 0 everywhere"


def test_a_model_without_a_backbone_of_its_own_is_refused():
    model = make_model("llama4_text")
    assert model.base_model is model
    policy = make_policy(model, TOKENIZER)
    for refuse in (make_critic, count_critic_bytes):
        with pytest.raises(UserError, match=r"type llama4_text .* gives logits only.*--ppo.critic-model"):
            refuse(policy, SEPARATE)


def test_a_critic_of_fewer_positions_says_so_before_it_is_made(tmp_path):
    make_tiny("gpt2", n_positions=32).save_pretrained(tmp_path)
    config = SEPARATE.but(**{"ppo.critic_model": str(tmp_path)})
    assert count_critic_bytes(make_policy(make_tiny("gpt2"), TOKENIZER), config).positions == 32
