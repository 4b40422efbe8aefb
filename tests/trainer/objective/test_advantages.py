"""Advantages, the KL in the reward, and length shaping: golden numbers, the reference, abstentions."""

import numpy as np
import pytest
import torch
from palaestra.trainer.objective.advantages import AdvantageConfig, group_advantages
from palaestra.trainer.objective.kl import kl_per_token, returns, rewards_with_kl, token_rewards
from palaestra.trainer.objective.shaping import mask_truncated, soft_overlong_penalty

from ..support import reference

NAN = float("nan")
EVERY_CONFIG = [
    AdvantageConfig(baseline=baseline, scale=scale, normalise_batch=normalise, ddof=ddof)
    for baseline in ("mean", "leave_one_out", "none")
    for scale in ("group", "batch", "none")
    for normalise in (False, True)
    for ddof in (0, 1)
]


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def advantages(rewards, abstained=None, **settings):
    rewards = tensor(rewards)
    abstained = torch.zeros_like(rewards, dtype=torch.bool) if abstained is None else torch.tensor(abstained)
    return group_advantages(rewards, abstained, AdvantageConfig(**settings))


def test_golden_advantages():
    values = advantages([[10, 5, -10]], scale="group", ddof=1)[0].tolist()
    assert values == pytest.approx([0.80, 0.32, -1.12], abs=0.005)
    values = advantages([[1, 0.8, 0.4, 0.2]], scale="group", ddof=0, epsilon=0)[0].tolist()
    assert values == pytest.approx([1.265, 0.632, -0.632, -1.265], abs=5e-4)


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("leave_one_out", [False, True])
@pytest.mark.parametrize("scale", ["none", "group"])
def test_agrees_with_the_reference(ddof, leave_one_out, scale):
    rewards = np.random.default_rng(0).normal(size=(5, 6))
    baseline = "leave_one_out" if leave_one_out else "mean"
    ours = advantages(rewards, baseline=baseline, scale=scale, ddof=ddof, epsilon=0.01)
    for row, group in zip(ours, rewards, strict=True):
        assert row.numpy() == pytest.approx(reference.advantages(group, scale, ddof, 0.01, leave_one_out), rel=1e-10)


def test_batch_scale_and_batch_normalisation():
    rewards = np.random.default_rng(1).normal(size=(4, 3))
    centred = rewards - rewards.mean(1, keepdims=True)
    ours = advantages(rewards, scale="batch", ddof=0, epsilon=0.5)
    assert ours.numpy() == pytest.approx(centred / (rewards.std() + 0.5))
    ours = advantages(rewards, baseline="none", normalise_batch=True, ddof=1, epsilon=0)
    assert ours.numpy() == pytest.approx((rewards - rewards.mean()) / rewards.std(ddof=1))
    ours = advantages(rewards, normalise_batch=True, ddof=1, epsilon=0)
    assert ours.numpy() == pytest.approx(centred / centred.std(ddof=1))


@pytest.mark.parametrize("config", EVERY_CONFIG)
@pytest.mark.parametrize("reward", [0.0, 1.0, NAN, float("inf")])
def test_an_abstained_completion_changes_nothing_for_the_others(config, reward):
    """Whatever its reward holds; the batch with it equals the batch in which its group is one smaller."""
    rest = [[1.0, 0.0, 0.5], [0.2, 0.9, 0.1]]
    small = group_advantages(tensor(rest), torch.zeros(2, 3, dtype=torch.bool), config)
    rewards = tensor([[1.0, reward, 0.0, 0.5], [0.2, 0.9, reward, 0.1]])
    abstained = torch.tensor([[False, True, False, False], [False, False, True, False]])
    large = group_advantages(rewards, abstained, config)
    assert not large[abstained].any()
    torch.testing.assert_close(large[~abstained], small.flatten())


@pytest.mark.parametrize("config", EVERY_CONFIG)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_to_compare_gives_zeros_and_never_nan(config, dtype):
    rewards = torch.tensor([[1.0, 0.0], [NAN, 1.0], [NAN, NAN], [0.1, 0.1]], dtype=dtype)
    values = group_advantages(rewards, rewards.isnan(), config)
    assert values.dtype == dtype
    assert torch.isfinite(values).all()
    assert not values[2].any()
    if config.needs_group:
        assert not values[1].any()


@pytest.mark.parametrize("scale", ["group", "batch"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_rewards_have_no_signal_even_without_epsilon(scale, dtype):
    rewards = torch.full((3, 7), 0.1, dtype=dtype)  # the mean of seven 0.1 is not 0.1 in binary
    config = AdvantageConfig(scale=scale, epsilon=0)
    assert not group_advantages(rewards, torch.zeros(3, 7, dtype=torch.bool), config).any()


def test_a_group_of_one_is_an_error_where_a_group_is_needed():
    for settings in ({"baseline": "mean"}, {"baseline": "leave_one_out"}, {"baseline": "none", "scale": "group"}):
        with pytest.raises(ValueError, match="group of one"):
            advantages([[1.0], [0.0]], **settings)
    assert advantages([[1.0], [0.0]], baseline="none").tolist() == [[1.0], [0.0]]
    with pytest.raises(ValueError, match="one shape"):
        advantages([[1.0, 0.0]], abstained=[[False]])


def test_golden_kl_in_the_reward():
    kl, mask = tensor([[0.03, 0.02, 0.04, 0.01, NAN]]), tensor([[1, 1, 1, 1, 0]])
    values = returns(token_rewards(tensor([2.0]), kl, mask, beta=1.0), mask)
    assert values[0].tolist() == pytest.approx([1.90, 1.93, 1.95, 1.99, 0])
    six = tensor([[0.05] * 6])
    assert float(rewards_with_kl(tensor([0.8]), six, torch.ones_like(six), beta=1.0)) == pytest.approx(0.5)
    assert float(returns(token_rewards(tensor([0.8]), six, six > 0, 1.0), six > 0)[0, 0]) == pytest.approx(0.5)


def test_returns_discount_counted_tokens_only():
    rewards, mask = tensor([[1.0, NAN, 2.0, 4.0]]), tensor([[1, 0, 1, 1]])
    assert returns(rewards, mask, gamma=0.5)[0].tolist() == pytest.approx([1 + 0.5 * (2 + 0.5 * 4), 0, 4, 4])


def test_a_row_without_tokens_has_no_reward():
    assert not token_rewards(tensor([1.0, 1.0]), tensor([[NAN] * 3] * 2), torch.zeros(2, 3), 0.1).any()


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_kl_estimators(estimator):
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5) * 3)
    values = kl_per_token(tensor(np.log(p))[None], tensor(np.log(q))[None], estimator)[0].numpy()
    assert values == pytest.approx(reference.kl(np.log(p), np.log(q), estimator))
    if estimator != "k2":  # unbiased: the expectation over the policy is the divergence
        assert (p * values).sum() == pytest.approx((p * np.log(p / q)).sum())
    if estimator != "k1":
        assert (values >= 0).all()


def test_k3_keeps_its_digits_for_close_policies_and_is_finite_for_far_ones():
    close = kl_per_token(torch.tensor([[-1.0]]), torch.tensor([[-1.001]]), "k3")
    x = float(torch.tensor(-1.0) - torch.tensor(-1.001))
    assert float(close) == pytest.approx(x * x / 2 - x**3 / 6, rel=2e-3)
    assert torch.isfinite(kl_per_token(torch.tensor([[-500.0]]), torch.tensor([[-1.0]]), "k3")).all()
    with pytest.raises(ValueError, match="'k4' is not known"):
        kl_per_token(close, close, "k4")


def test_gradients_of_the_estimators_in_expectation():
    """As loss: k1 has none, k2 that of KL(p, q), k3 that of KL(q, p): why k1 in the loss is refused."""
    logits = torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    q = torch.softmax(torch.arange(6, dtype=torch.float64) / 3, 0)

    def gradient(value):
        return torch.autograd.grad(value, logits)[0]

    log_p = torch.log_softmax(logits, 0)
    p = log_p.exp()
    exact = {
        "k1": torch.zeros(6, dtype=torch.float64),
        "k2": gradient((p * (log_p - q.log())).sum()),
        "k3": gradient((q * (q.log() - torch.log_softmax(logits, 0))).sum()),
    }
    for estimator, expected in exact.items():
        log_p = torch.log_softmax(logits, 0)
        estimate = (log_p.exp().detach() * kl_per_token(log_p[None], q.log()[None], estimator)[0]).sum()
        torch.testing.assert_close(gradient(estimate), expected)


def test_soft_overlong_penalty_of_dapo():
    lengths = torch.tensor([0, 16384, 18432, 20480, 30000])
    assert soft_overlong_penalty(lengths, 20480, 4096).tolist() == pytest.approx([0, 0, -0.5, -1, -1])
    with pytest.raises(ValueError, match="at least 1 and at most the maximum"):
        soft_overlong_penalty(lengths, 100, 200)


def test_truncated_rows_leave_the_mask():
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert mask_truncated(mask, torch.tensor([False, True])).tolist() == [[1, 1, 0], [0, 0, 0]]
    assert mask_truncated(mask.bool(), torch.tensor([True, False])).tolist() == [[False] * 3, [True] * 3]
