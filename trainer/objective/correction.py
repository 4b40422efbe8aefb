"""The difference between sampler and trainer, corrected by importance weights. Suffixes: B rows, T tokens.

An engine with arithmetic of its own samples from a distribution that is not quite the trainer's. The policy
gradient of a token is then multiplied by w = p_before / p_sampled, without gradient, where p_before is the
trainer's own probability before the update; the ratio of the loss becomes p_now / p_before.

Truncated importance sampling (TIS): Yao et al. 2025, "Your Efficient RL Framework Secretly Brings You
Off-Policy RL Training"; masked importance sampling (MIS): Liu et al. 2025, "When Speed Kills Stability". The
modes and the cap of 3 are those of TRL's `vllm_importance_sampling_mode`; the geometric mean as in verl's
rollout correction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..config.objective import LossConfig
from .kl import LOG_RATIO_CAP


@dataclass(frozen=True)
class Correction:
    """weight_BT: what the loss of a token is multiplied with, 0 or more. cut_BT: bool, where a bound changed
    it."""

    weight_BT: Tensor
    cut_BT: Tensor


def correct_sampler(
    before_logprobs_BT: Tensor, sampled_logprobs_BT: Tensor, keep_BT: Tensor, config: LossConfig
) -> Correction:
    """The weight of each token, by `config.correction`, without gradient.

    token_*: the token's own ratio; sequence_*: the product over the completion; geometric_*: its geometric
    mean over the completion. *_truncate: held within correction_floor and correction_cap; *_mask: 0 outside
    of them. What is masked stays in the denominators, which are those of the whole batch, as in TRL.
    Rows are whole completions, 0 where not in keep_BT; log-ratios are clamped to +-LOG_RATIO_CAP.
    """
    level, action = config.correction.split("_")
    log_ratio_BT = (before_logprobs_BT - sampled_logprobs_BT).detach()
    if level != "token":
        log_ratio_BT = torch.where(keep_BT, log_ratio_BT, 0.0).sum(1, keepdim=True).expand_as(log_ratio_BT)
    if level == "geometric":
        log_ratio_BT = log_ratio_BT / keep_BT.sum(1, keepdim=True).clamp(min=1)
    ratio_BT = log_ratio_BT.clamp(-LOG_RATIO_CAP, LOG_RATIO_CAP).exp()
    within_BT = ratio_BT.clamp(config.correction_floor, config.correction_cap)
    cut_BT = within_BT != ratio_BT
    return Correction(within_BT if action == "truncate" else ratio_BT.masked_fill(cut_BT, 0.0), cut_BT)
