"""The KL estimators, and the KL in the reward: golden numbers, and gradients in expectation."""

import numpy as np
import pytest
import torch
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.objective.kl import kl_per_token, place_rewards, subtract_kl
from palaestra.trainer.objective.losses import (
    Denominators,
    compute_policy_loss,
    count_denominators,
    summarise_stats,
)

from ..support import reference
from ..support.tensors import sum_returns, to_double

NAN = float("nan")


def test_golden_kl_in_the_reward():
    kl, mask = to_double([[0.03, 0.02, 0.04, 0.01, NAN]]), to_double([[1, 1, 1, 1, 0]])
    values = sum_returns(place_rewards(to_double([2.0]), kl, mask, beta=1.0), mask)
    assert values[0].tolist() == pytest.approx([1.90, 1.93, 1.95, 1.99, 0])
    six = to_double([[0.05] * 6])
    assert float(subtract_kl(to_double([0.8]), six, torch.ones_like(six), beta=1.0)) == pytest.approx(0.5)
    assert float(
        sum_returns(place_rewards(to_double([0.8]), six, six > 0, 1.0), six > 0)[0, 0]
    ) == pytest.approx(0.5)


def test_returns_discount_counted_tokens_only():
    rewards, mask = to_double([[1.0, NAN, 2.0, 4.0]]), to_double([[1, 0, 1, 1]])
    assert sum_returns(rewards, mask, gamma=0.5)[0].tolist() == pytest.approx(
        [1 + 0.5 * (2 + 0.5 * 4), 0, 4, 4]
    )


def test_a_row_without_tokens_has_no_reward():
    assert not place_rewards(to_double([1.0, 1.0]), to_double([[NAN] * 3] * 2), torch.zeros(2, 3), 0.1).any()


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_kl_estimators(estimator):
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5) * 3)
    values = kl_per_token(to_double(np.log(p))[None], to_double(np.log(q))[None], estimator)[0].numpy()
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


@pytest.mark.parametrize("correction", ["none", "token_truncate", "sequence_mask"])
@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_the_kl_times_the_ratio_has_the_gradient_of_the_kl_off_policy(estimator, correction):
    """Every token of a sampler's distribution once, weighed by how often it is drawn: the exact expectation.

    Without the ratio the gradient of k3 is another one (DeepSeek-V3.2, section on the unbiased KL estimate).
    Bounds of a correction of the sampler, and the policy before the update, make no difference.
    """
    generator = torch.Generator().manual_seed(1)
    logits, sampler, other, before = torch.randn(4, 6, dtype=torch.float64, generator=generator)
    logits.requires_grad_()
    log_p, log_s, log_q, log_b = (torch.log_softmax(x, 0) for x in (logits, sampler, other, before))
    (exact,) = torch.autograd.grad((log_p.exp() * (log_p - log_q)).sum(), logits, retain_graph=True)

    def find_gradient(corrected):
        config = LossConfig(
            kl_coef=1.0, kl_estimator=estimator, kl_correction=corrected, correction=correction
        )
        total = torch.zeros((), dtype=torch.float64)
        for token in range(6):
            one = torch.ones(1, 1)
            columns = [x[token].view(1, 1) for x in (log_p, log_s, log_q, log_b)]
            result = compute_policy_loss(
                *columns[:2],
                0 * one,
                one,
                config,
                count_denominators(one, 1),
                ref_logprobs_BT=columns[2],
                before_logprobs_BT=columns[3],
            )
            total = total + log_s[token].exp().detach() * result.loss
        return torch.autograd.grad(total, logits, retain_graph=True)[0]

    torch.testing.assert_close(find_gradient(True), exact)
    assert (find_gradient(False) - exact).abs().max() > 1e-3


def test_kl_in_the_reward_adds_nothing_to_the_loss():
    x, mask = torch.randn(2, 3), torch.ones(2, 3)
    config = LossConfig(kl_coef=0.5, kl_in="reward", kl_estimator="k1")
    with_kl = compute_policy_loss(x, x, x, mask, config, Denominators(2, 6, 3), ref_logprobs_BT=x - 1)
    without = compute_policy_loss(x, x, x, mask, LossConfig(), Denominators(2, 6, 3))
    assert float(with_kl.loss) == float(without.loss)
    assert summarise_stats(with_kl.stats)["kl_k1"] == pytest.approx(1)
