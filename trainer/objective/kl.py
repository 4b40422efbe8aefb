"""KL divergence estimated from samples, and the KL penalty as part of the reward. Suffixes: B rows,
T tokens."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

LOG_RATIO_CAP = 20.0
"""Log-ratios are clamped to +-20 nats before an exponential: e^20 is 5e8, and its square is still finite in
float32. Beyond it the gradient through the ratio is 0."""


def kl_per_token(
    logprobs_BT: Tensor, ref_logprobs_BT: Tensor, estimator: Literal["k1", "k2", "k3"] = "k3"
) -> Tensor:
    """Estimate KL(policy || reference) in nats per token from the tokens that the policy sampled.

    Schulman 2020 (http://joschu.net/blog/kl-approx.html) with x = log policy - log reference:
    k1 = x (unbiased, may be negative); k2 = x² / 2 (biased, small variance); k3 = e^-x - 1 + x (unbiased,
    never negative). As a term of the loss, on-policy, k2 has the gradient of this KL, k3 that of KL(reference
    || policy), and k1 none in expectation (Tang and Munos 2025, arXiv:2506.09477).
    k3 is computed with x clamped to +-LOG_RATIO_CAP.
    """
    log_ratio_BT = logprobs_BT - ref_logprobs_BT
    if estimator == "k1":
        return log_ratio_BT
    if estimator == "k2":
        return 0.5 * log_ratio_BT**2
    if estimator == "k3":
        capped_BT = log_ratio_BT.clamp(-LOG_RATIO_CAP, LOG_RATIO_CAP)
        # expm1: e^-x - 1 + x loses every digit in float32 when the policies are close.
        return torch.expm1(-capped_BT) + capped_BT
    raise ValueError(f"KL estimator {estimator!r} is not known; it is 'k1', 'k2' or 'k3'.")


def subtract_kl(rewards_B: Tensor, kl_BT: Tensor, mask_BT: Tensor, beta: float) -> Tensor:
    """Reward of each completion minus beta times the KL of the whole completion; shape B,
    in the unit of the reward.

    Ahmadian et al. 2024 (arXiv:2402.14740): the KL in the reward before a group's baseline is taken.
    Masked positions of `kl_BT` may hold anything.
    """
    return rewards_B - beta * torch.where(mask_BT > 0, kl_BT, 0.0).sum(1)


def place_rewards(rewards_B: Tensor, kl_BT: Tensor, mask_BT: Tensor, beta: float) -> Tensor:
    """-beta * KL at each token, plus the completion's reward at its last token; shape B x T, 0 where masked.

    Ziegler et al. 2019 (arXiv:1909.08593), equation 2; Ouyang et al. 2022 (arXiv:2203.02155), appendix C.4.
    The last token is the last position with mask 1. A row without any gets nothing.
    """
    keep_BT = mask_BT > 0
    rewards_BT = torch.where(keep_BT, -beta * kl_BT, 0.0)
    positions_T = torch.arange(keep_BT.shape[1], device=keep_BT.device)
    last_B1 = torch.where(keep_BT, positions_T, -1).amax(1, keepdim=True)
    return rewards_BT + torch.where((positions_T == last_B1) & keep_BT, rewards_B.unsqueeze(1), 0.0)
