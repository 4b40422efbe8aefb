"""GAE against the reference, whitening, and PPO as REINFORCE where it must be."""

import numpy as np
import pytest
import torch
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.objective.gae import AcrossTurns, gae, whiten
from palaestra.trainer.objective.kl import kl_per_token, place_rewards
from palaestra.trainer.objective.losses import compute_policy_loss, count_denominators

from ..support import reference
from ..support.tensors import sum_returns, to_double

NAN = float("nan")


def test_golden_gae():
    """By hand: deltas .99*.6-.5 = .094, .99*.7-.6 = .093, 1-.7 = .3; gamma lambda = .9405."""
    credit = gae(to_double([[0, 0, 1]]), to_double([[0.5, 0.6, 0.7]]), torch.ones(1, 3), gamma=0.99, lam=0.95)
    third, second = 0.3, 0.093 + 0.9405 * 0.3
    assert credit.advantages_BT[0].tolist() == pytest.approx(
        [0.094 + 0.9405 * second, second, third], abs=1e-15
    )
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
        gae(to_double([[0]]), to_double([[0]]), torch.ones(1, 1), gamma=1.1)
    ends = torch.zeros(1, 1, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"turn_lam=-1"):
        gae(to_double([[0]]), to_double([[0]]), torch.ones(1, 1), across=AcrossTurns(ends, 1.0, -1))


def test_golden_gae_of_two_turns():
    """By hand, a world's token between them: within a turn gamma and lambda are 1, across 0.9 and 0.5."""
    rewards, values = to_double([[0, 0.25, NAN, 0.75]]), to_double([[0.5, 0.4, NAN, 0.2]])
    mask = torch.tensor([[True, True, False, True]])
    ends = torch.tensor([[False, True, False, False]])
    credit = gae(rewards, values, mask, 1.0, 1.0, AcrossTurns(ends, 0.9, 0.5))
    last = 0.75 - 0.2
    end = 0.25 + 0.9 * 0.2 - 0.4 + 0.9 * 0.5 * last
    assert credit.advantages_BT[0].tolist() == pytest.approx([0.4 - 0.5 + end, end, 0, last], abs=1e-15)
    assert credit.advantages_BT[0, 0] == pytest.approx(0.1775)
    return_ = [0.5 + 0.1775, 0.4 + end, 0, 0.75]
    assert credit.returns_BT[0].tolist() == pytest.approx(return_, abs=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_numbers_across_turns_change_no_bit(dtype):
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.rand(2, 5, 9, generator=generator, dtype=dtype)
    mask = torch.rand(5, 9, generator=generator) < 0.7
    plain = gae(rewards, values, mask, 0.99, 0.95)
    same = gae(rewards, values, mask, 0.99, 0.95, AcrossTurns(mask, 0.99, 0.95))
    never = gae(rewards, values, mask, 0.99, 0.95, AcrossTurns(torch.zeros_like(mask), 0.5, 0.5))
    assert torch.equal(plain.advantages_BT, same.advantages_BT)
    assert torch.equal(plain.advantages_BT, never.advantages_BT)
    assert plain.advantages_BT.dtype == same.advantages_BT.dtype == dtype


def test_whitening_counts_tokens_only():
    values, mask = to_double([[1, 2, NAN], [6, NAN, NAN]]), torch.tensor([[1, 1, 0], [1, 0, 0]])
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
    rewards, beta = to_double([1.0, -0.5, 2.0]), 0.1

    def update(use_ppo):
        leaf = logits.clone().requires_grad_()
        logprobs = torch.log_softmax(leaf, -1).gather(2, chosen)[..., 0]
        sampled = logprobs.detach().clone()
        per_token = place_rewards(rewards, kl_per_token(sampled, ref, "k1"), mask, beta)
        if use_ppo:
            advantages = gae(per_token, torch.zeros_like(per_token), mask, gamma=1.0, lam=1.0).advantages_BT
            config = LossConfig("dapo", clip_low=0.2, clip_high=0.2)
        else:
            advantages = sum_returns(per_token, mask)
            config = LossConfig("reinforce", aggregate="token_mean")
        compute_policy_loss(
            logprobs, sampled, advantages, mask, config, count_denominators(mask, 5)
        ).loss.backward()
        return advantages, leaf.grad

    ppo_advantages, ppo_gradient = update(True)
    reinforce_advantages, reinforce_gradient = update(False)
    assert torch.equal(ppo_advantages, reinforce_advantages)
    assert torch.equal(ppo_gradient, reinforce_gradient)
    assert ppo_gradient.abs().sum() > 0
