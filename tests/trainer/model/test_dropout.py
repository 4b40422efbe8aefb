"""No dropout: in training mode a policy is the function that was sampled from."""

from pathlib import Path

import pytest
import torch
from palaestra.trainer.algorithms.critic import make_critic
from palaestra.trainer.config.train import PPOConfig, TrainConfig
from palaestra.trainer.model.dropout import disable_dropout
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.logprobs import compute_logprobs
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.model.sequences import Sequences
from palaestra.trainer.reward_models.model import make_reward_model
from torch import nn
from transformers import AutoConfig

from ..support.policies import make_policy
from ..support.tiny import make_tiny

torch.set_num_threads(1)  # small matrices
TOKENIZER = make_character_tokenizer()
SEQUENCES = Sequences.of([[5, 9, 4], [7, 3]], [[8, 2, 6, 6], [4, 9]])
RANDOM = {
    "gpt2": {"resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1},
    "seed_oss": {"attention_dropout": 0.2, "residual_dropout": 0.2},
    "mixtral": {"attention_dropout": 0.2, "router_jitter_noise": 0.2},
}


def compute_gradient(model) -> torch.Tensor:
    torch.manual_seed(1)
    model.zero_grad(set_to_none=True)
    compute_logprobs(model, SEQUENCES).logprobs_BT.sum().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("kind", RANDOM)
def test_the_gradient_in_training_mode_is_that_of_evaluation_mode(kind: str):
    model = make_tiny(kind, **RANDOM[kind])
    expected = compute_gradient(model)
    before = compute_gradient(model.train())
    assert (before - expected).norm() > 0.1 * expected.norm(), "there was to be dropout"
    make_policy(model, TOKENIZER)  # also a policy that is given from Python
    assert model.training
    assert (compute_gradient(model) - expected).norm() <= 1e-6 * expected.norm()


@pytest.mark.parametrize("kind", RANDOM)
def test_what_is_saved_says_what_was_loaded(kind: str, tmp_path: Path):
    make_policy(make_tiny(kind, **RANDOM[kind]), TOKENIZER).save(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    assert {name: getattr(config, name) for name in RANDOM[kind]} == RANDOM[kind]
    policy = load_policy(str(tmp_path), "cpu", "float32")
    assert (compute_gradient(policy.model.train()) - compute_gradient(policy.model.eval())).norm() < 1e-5


def test_a_probability_that_is_read_from_the_config_is_off_and_a_threshold_stays():
    class Inner(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.config, self.router_jitter_noise, self.drop_prob = config, 0.3, 0.4
            self.dropout, self.num_dropped = nn.Dropout(0.5), 1.0

        def forward(self, x):
            return nn.functional.dropout(x, self.config.attention_dropout, self.training)

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.config = AutoConfig.for_model("gptj", n_embd=8, n_head=2, n_layer=1)
            self.config.attention_dropout = 0.9
            self.inner = Inner(self.config)

    model = Outer()
    disable_dropout(model)
    x = torch.ones(64)
    assert torch.equal(model.inner(x), x)
    assert (model.inner.drop_prob, model.inner.dropout.p, model.inner.router_jitter_noise) == (0.0, 0.0, 0.3)
    assert model.config.attention_dropout == 0.9


def test_critics_and_reward_models_are_without_it_too(tmp_path: Path):
    policy = make_policy(make_tiny("gpt2", **RANDOM["gpt2"]), TOKENIZER)
    policy.save(tmp_path)
    reward_model = make_reward_model(policy)
    critic = make_critic(policy, TrainConfig.of(ppo=PPOConfig(critic_model=str(tmp_path))))
    torch.manual_seed(0)
    with torch.no_grad():
        for head in (reward_model.model.score, critic.head):
            head.weight.normal_()
    for module, run in (
        (reward_model.model, lambda: reward_model.forward([[5, 9, 4], [7, 3, 8]])),
        (critic.module, lambda: critic.compute_values(SEQUENCES)),
    ):
        module.train()
        once, again = run(), run()
        assert once.abs().max() > 0
        assert torch.equal(once, again)
