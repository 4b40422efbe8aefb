"""GAE, the value loss, the KL controller; and PPO as REINFORCE where it must be."""

import math

import numpy as np
import pytest
import torch
from palaestra.trainer.config.objective import KLControlConfig
from palaestra.trainer.objective.gae import gae, whiten
from palaestra.trainer.objective.kl import kl_per_token, returns, token_rewards
from palaestra.trainer.objective.kl_control import KLControlState, start, step
from palaestra.trainer.objective.losses import LossConfig, combine, count_denominators, policy_loss, summary
from palaestra.trainer.objective.shaping import missing_eos_penalty
from palaestra.trainer.objective.value_loss import ValueConfig, explained_variance, value_loss

from ..support import reference

NAN = float("nan")


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def test_golden_gae():
    """By hand: deltas .99*.6-.5 = .094, .99*.7-.6 = .093, 1-.7 = .3; gamma lambda = .9405."""
    credit = gae(tensor([[0, 0, 1]]), tensor([[0.5, 0.6, 0.7]]), torch.ones(1, 3), gamma=0.99, lam=0.95)
    third, second = 0.3, 0.093 + 0.9405 * 0.3
    assert credit.advantages_BT[0].tolist() == pytest.approx([0.094 + 0.9405 * second, second, third], abs=1e-15)
    assert credit.advantages_BT[0].tolist() == pytest.approx([0.446828575, 0.37515, 0.3], abs=1e-12)
    assert credit.returns_BT[0].tolist() == pytest.approx([0.946828575, 0.97515, 1.0], abs=1e-12)


@pytest.mark.parametrize(("gamma", "lam"), [(0.99, 0.95), (1.0, 1.0), (1.0, 0.0), (0.9, 0.5), (0.0, 1.0)])
def test_gae_agrees_with_the_reference_wherever_the_tokens_stand(gamma, lam):
    """Counted tokens lie between masked ones that hold nan: a tool's output, left and right padding."""
    rng = np.random.default_rng(0)
    mask = rng.random((5, 12)) < 0.6
    rewards, values = rng.normal(size=(2, 5, 12))
    padded = [torch.tensor(np.where(mask, x, np.nan)) for x in (rewards, values)]
    credit = gae(*padded, torch.tensor(mask), gamma, lam)
    for row in range(5):
        kept = mask[row]
        expected = reference.gae(rewards[row][kept], values[row][kept], gamma, lam)
        assert credit.advantages_BT[row][kept].numpy() == pytest.approx(expected, abs=1e-12)
        assert credit.returns_BT[row][kept].numpy() == pytest.approx(expected + values[row][kept], abs=1e-12)
        assert not credit.advantages_BT[row][~kept].any()
        assert not credit.returns_BT[row][~kept].any()


def test_gae_refuses_a_discount_outside_its_range():
    with pytest.raises(ValueError, match=r"gamma=1\.1"):
        gae(tensor([[0]]), tensor([[0]]), torch.ones(1, 1), gamma=1.1)


def test_whitening_counts_tokens_only():
    values, mask = tensor([[1, 2, NAN], [6, NAN, NAN]]), torch.tensor([[1, 1, 0], [1, 0, 0]])
    white = whiten(values, mask)
    kept = white[mask > 0].numpy()
    assert (kept.mean(), kept.std()) == pytest.approx((0, 1), abs=1e-7)
    assert not white[mask == 0].any()
    scaled = whiten(values, mask, centre=False)[mask > 0].numpy()
    assert scaled == pytest.approx(np.array([1, 2, 6]) / np.std([1, 2, 6]))
    assert torch.isfinite(whiten(torch.ones(2, 2), torch.zeros(2, 2))).all()
    assert not whiten(torch.ones(2, 2), torch.ones(2, 2)).any()


def test_ppo_with_nothing_added_is_reinforce_with_kl_in_the_reward_to_the_digit():
    """lambda 1, gamma 1, value 0, one epoch: the same advantages and the same gradient, bit for bit."""
    torch.manual_seed(0)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    logits = torch.randn(3, 5, 7, dtype=torch.float64)
    chosen = torch.randint(7, (3, 5, 1))
    ref = torch.log_softmax(torch.randn(3, 5, 7, dtype=torch.float64), -1).gather(2, chosen)[..., 0]
    rewards, beta = tensor([1.0, -0.5, 2.0]), 0.1

    def update(use_ppo):
        leaf = logits.clone().requires_grad_()
        logprobs = torch.log_softmax(leaf, -1).gather(2, chosen)[..., 0]
        sampled = logprobs.detach().clone()
        per_token = token_rewards(rewards, kl_per_token(sampled, ref, "k1"), mask, beta)
        if use_ppo:
            advantages = gae(per_token, torch.zeros_like(per_token), mask, gamma=1.0, lam=1.0).advantages_BT
            config = LossConfig("dapo", clip_low=0.2, clip_high=0.2)
        else:
            advantages = returns(per_token, mask)
            config = LossConfig("reinforce", aggregate="token_mean")
        policy_loss(logprobs, sampled, advantages, mask, config, count_denominators(mask, 5)).loss.backward()
        return advantages, leaf.grad

    ppo_advantages, ppo_gradient = update(True)
    reinforce_advantages, reinforce_gradient = update(False)
    assert torch.equal(ppo_advantages, reinforce_advantages)
    assert torch.equal(ppo_gradient, reinforce_gradient)
    assert ppo_gradient.abs().sum() > 0


def value_of(value, old, target, **settings):
    leaf = tensor([[value]]).requires_grad_()
    mask = torch.ones(1, 1)
    result = value_loss(leaf, tensor([[old]]), tensor([[target]]), mask, ValueConfig(**settings), count_denominators(mask, 1))
    result.loss.backward()
    return float(result.loss.detach()), float(leaf.grad), int(result.stats.clip_sum)


def test_golden_value_clipping():
    # Moved from 0.5 past 0.7 towards the return 2: the clipped error (0.7 - 2) is the larger, no gradient.
    assert value_of(1.0, 0.5, 2.0) == pytest.approx((1.3**2 / 2, 0, 1))
    # Moved away from the return: the unclipped error is the larger and pulls back.
    assert value_of(1.0, 0.5, 0.0) == pytest.approx((0.5, 1.0, 0))
    assert value_of(0.6, 0.5, 2.0) == pytest.approx((1.4**2 / 2, -1.4, 0))
    assert value_of(1.0, 0.5, 2.0, kind="squared") == pytest.approx((0.5, -1, 0))
    assert value_of(1.0, 0.5, 4.0, kind="huber") == pytest.approx((1 * (3 - 0.5), -1, 0))
    assert value_of(1.0, 0.5, 1.5, kind="huber") == pytest.approx((0.125, -0.5, 0))
    with pytest.raises(ValueError, match="clip 0: give a number, above 0"):
        ValueConfig(clip=0)


@pytest.mark.parametrize("kind", ["clipped", "squared", "huber"])
def test_value_loss_agrees_with_the_reference_and_its_parts_add_up(kind):
    rng = np.random.default_rng(0)
    mask = rng.random((6, 8)) < 0.7
    arrays = rng.normal(size=(3, 6, 8))
    values, old, target = (torch.tensor(np.where(mask, x, np.nan)) for x in arrays)
    denominators = count_denominators(torch.tensor(mask), 8)

    def run(rows):
        leaf = values[rows].clone().requires_grad_()
        part = value_loss(leaf, old[rows], target[rows], torch.tensor(mask[rows]), ValueConfig(kind), denominators)
        part.loss.backward()
        assert torch.isfinite(leaf.grad).all()
        assert not leaf.grad[torch.tensor(~mask[rows])].any()
        return part, leaf.grad

    whole, gradient = run([0, 1, 2, 3, 4, 5])
    expected = reference.value_loss(*(x[mask] for x in arrays), kind).mean()
    assert float(whole.loss.detach()) == pytest.approx(expected, rel=1e-12)
    parts = [run([5, 0]), run([2]), run([1, 3, 4])]
    assert sum(float(part.loss.detach()) for part, _ in parts) == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(torch.cat([g for _, g in parts]), gradient[[5, 0, 2, 1, 3, 4]])
    stats = combine([part.stats for part, _ in parts])
    kept, returned = arrays[0][mask], arrays[2][mask]
    assert explained_variance(stats) == pytest.approx(1 - np.var(returned - kept) / np.var(returned), rel=1e-9)
    assert summary(stats)["return"] == pytest.approx(returned.mean())


def test_explained_variance_at_its_ends():
    mask = torch.ones(1, 3)
    denominators = count_denominators(mask, 3)

    def explained(values, target):
        return explained_variance(
            value_loss(tensor([values]), tensor([values]), tensor([target]), mask, ValueConfig(), denominators).stats
        )

    assert explained([1.0, 2, 3], [1.0, 2, 3]) == 1
    assert explained([2.0, 2, 2], [1.0, 2, 3]) == pytest.approx(0)
    assert explained([3.0, 2, 1], [1.0, 2, 3]) < 0
    assert math.isnan(explained([1.0, 2, 3], [0.1, 0.1, 0.1]))


def test_golden_adaptive_kl_steps():
    """Ziegler's code: 256 of 10000 completions; an error of more than 20 % counts as 20 %."""
    config = KLControlConfig(kl_coef=0.1, target_kl=6.0, horizon=10_000)
    state = start(config)
    state = step(state, 12.0, 256, config)
    assert state.kl_coef == pytest.approx(0.1 * (1 + 0.2 * 0.0256))
    state = step(state, 5.4, 256, config)
    assert state.kl_coef == pytest.approx(0.1 * 1.00512 * (1 - 0.1 * 0.0256))
    state = step(state, -3.0, 256, config)
    assert state.kl_coef == pytest.approx(0.1 * 1.00512 * 0.99744 * (1 - 0.2 * 0.0256))
    assert step(state, 6.0, 256, config) == state


def test_the_controller_survives_what_a_run_may_feed_it():
    config = KLControlConfig(kl_coef=0.1, target_kl=6.0, horizon=10)
    for kl in (NAN, float("inf"), float("-inf")):
        assert step(KLControlState(0.1), kl, 256, config) == KLControlState(0.1)
    assert step(KLControlState(0.1), 0.0, 100_000, config).kl_coef > 0
    fixed = KLControlConfig(kl_coef=0.1)
    assert step(start(fixed), 50.0, 256, fixed) == KLControlState(0.1)


def test_the_controller_steers_to_its_target():
    config = KLControlConfig(kl_coef=0.01, target_kl=6.0, horizon=2_000)
    state = start(config)
    for _ in range(400):  # a policy whose KL falls as the coefficient grows
        state = step(state, 0.6 / state.kl_coef, 256, config)
    assert 0.6 / state.kl_coef == pytest.approx(6.0, rel=0.01)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"kl_coef": -0.1}, "kl_coef -0.1: give a number, 0 or more"),
        ({"kl_coef": 0.0, "target_kl": 6.0}, "multiplied"),
        ({"target_kl": -1.0}, "target_kl -1.0: give a number, 0 or more"),
        ({"target_kl": NAN}, "target_kl nan: give a number, 0 or more"),
        ({"horizon": 0}, "horizon 0: give a whole number, 1 or more"),
    ],
)
def test_a_controller_that_cannot_work_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        start(KLControlConfig(**settings))


def test_missing_eos_penalty():
    assert missing_eos_penalty(tensor([2.0, 2.0]), torch.tensor([True, False]), 1.0).tolist() == [2, 1]
    with pytest.raises(ValueError, match="would reward it"):
        missing_eos_penalty(tensor([2.0]), torch.tensor([True]), -1.0)
