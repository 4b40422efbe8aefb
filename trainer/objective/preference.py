"""Losses and metrics of a reward model trained on comparisons. Suffixes: P prompts, K answers to a prompt,
N pairs.

A comparison is a ranking: `ranks_PK` holds small integers, lower is better, equal ranks are ties (no pair),
and -1 stands for no answer (padding). Two answers ranked 0 and 1 are the usual chosen and rejected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config.objective import PreferenceConfig


@dataclass(frozen=True)
class Pairs:
    """All comparisons of a batch: indices into P and K, and how many pairs its prompt has."""

    prompt_N: Tensor
    better_N: Tensor
    worse_N: Tensor
    count_N: Tensor

    def weigh(self, dtype: torch.dtype) -> Tensor:
        """1 / the pairs of the prompt, so that every prompt weighs 1; shape N."""
        return 1 / self.count_N.to(dtype)


@dataclass(frozen=True)
class PreferenceStats:
    """Sums over prompts of means over their pairs, detached; `losses.combine` adds those of micro-batches.

    prompts: those with at least one pair. accuracy: the better answer has the higher reward (equal rewards
    count 1/2).
    margin: reward of the better minus that of the worse answer. reward: mean over the answers in pairs.
    """

    prompts: Tensor
    accuracy_sum: Tensor
    margin_sum: Tensor
    reward_sum: Tensor


@dataclass(frozen=True)
class PreferenceLoss:
    """loss: this part's share of the batch's loss. stats: its sums."""

    loss: Tensor
    stats: PreferenceStats


def list_pairs(ranks_PK: Tensor) -> Pairs:
    """Every pair of answers of one prompt with different ranks: K(K-1)/2 of them without ties."""
    present_PK = ranks_PK >= 0
    both_PKK = present_PK.unsqueeze(2) & present_PK.unsqueeze(1)
    better_PKK = both_PKK & (ranks_PK.unsqueeze(2) < ranks_PK.unsqueeze(1))
    prompt_N, better_N, worse_N = better_PKK.nonzero(as_tuple=True)
    count_P = better_PKK.sum((1, 2))
    return Pairs(prompt_N, better_N, worse_N, count_P[prompt_N])


def compute_preference_loss(
    rewards_PK: Tensor,
    ranks_PK: Tensor,
    config: PreferenceConfig,
    prompts: float,
    *,
    margins_PKK: Tensor | None = None,
) -> PreferenceLoss:
    """This micro-batch's share of the Bradley-Terry loss: the pairs of a prompt are averaged first,
    then prompts.

        -log sigmoid(r_better - r_worse - margin) + centre_coef * (r_better + r_worse)²

    Bradley and Terry 1952; over rankings: Ouyang et al. 2022 (arXiv:2203.02155), equation 1, where averaging
    per prompt keeps those with many answers from dominating; margin: Touvron et al. 2023 (arXiv:2307.09288),
    equation 2; centring: Eisenstein et al. 2023 (arXiv:2312.09244). No exponential overflows.

    prompts: prompts with at least one pair in the whole batch, all micro-batches and processes. margins_PKK:
    margin of answer i over answer j, in the unit of the reward, on top of config.margin.
    Absent answers may hold any reward.
    """
    rewards_PK = rewards_PK.float() if rewards_PK.dtype in (torch.float16, torch.bfloat16) else rewards_PK
    rewards_PK = torch.where(ranks_PK >= 0, rewards_PK, 0.0)
    pairs = list_pairs(ranks_PK)
    better_N, worse_N = rewards_PK[pairs.prompt_N, pairs.better_N], rewards_PK[pairs.prompt_N, pairs.worse_N]
    difference_N = better_N - worse_N
    margin_N = torch.full_like(difference_N, config.margin)
    if margins_PKK is not None:
        margin_N = margin_N + margins_PKK[pairs.prompt_N, pairs.better_N, pairs.worse_N]
    loss_N = F.softplus(margin_N - difference_N) + config.centre_coef * (better_N + worse_N) ** 2
    weight_N = pairs.weigh(loss_N.dtype)
    # Adding 0 * rewards keeps the graph where no prompt has a pair.
    loss = (weight_N * loss_N).sum() / max(prompts, 1) + 0.0 * rewards_PK.sum()
    with torch.no_grad():
        right_N = (difference_N > 0).to(loss_N.dtype) + 0.5 * (difference_N == 0).to(loss_N.dtype)
        stats = PreferenceStats(
            prompts=pairs.prompt_N.unique().numel() + torch.zeros_like(weight_N.sum()),
            accuracy_sum=(weight_N * right_N).sum(),
            margin_sum=(weight_N * difference_N).sum(),
            reward_sum=(weight_N * 0.5 * (better_N + worse_N)).sum(),
        )
    return PreferenceLoss(loss, stats)


def measure_calibration_error(rewards_PK: Tensor, ranks_PK: Tensor, bins: int = 10) -> float:
    """Expected calibration error of the preferences, in [0, 0.5] or so; nan without a pair (Guo et al. 2017,
    eq. 3).

    The model's confidence in a pair is sigmoid(|difference|), in [0.5, 1], cut into equal bins; in each bin
    the confidence is compared with the share of pairs that it ranks right. Pairs weigh as in the loss. It
    needs the whole evaluation set at once: it does not add up over parts.
    """
    pairs = list_pairs(ranks_PK)
    if pairs.prompt_N.numel() == 0:
        return math.nan
    rewards_PK = rewards_PK.detach().double()
    difference_N = rewards_PK[pairs.prompt_N, pairs.better_N] - rewards_PK[pairs.prompt_N, pairs.worse_N]
    confidence_N = torch.sigmoid(difference_N.abs())
    right_N = (difference_N > 0).double() + 0.5 * (difference_N == 0).double()
    bin_N = ((confidence_N - 0.5) * 2 * bins).long().clamp(0, bins - 1)
    weight_N = pairs.weigh(torch.float64)
    gap_N = weight_N * (right_N - confidence_N)
    gap_per_bin = torch.zeros(bins, dtype=torch.float64, device=gap_N.device).index_add(0, bin_N, gap_N)
    return float(gap_per_bin.abs().sum() / weight_N.sum())


@dataclass(frozen=True)
class LengthSlope:
    """slope: reward per token of length by least squares. correlation: Pearson's, in [-1, 1].
    nan where undefined."""

    slope: float
    correlation: float


def fit_length_slope(rewards_N: Tensor, lengths_N: Tensor) -> LengthSlope:
    """How much a reward model pays for length alone; N are answers. lengths_N: tokens of each answer."""
    rewards_N, lengths_N = rewards_N.detach().double().flatten(), lengths_N.double().flatten()
    if rewards_N.numel() == 0:
        return LengthSlope(math.nan, math.nan)
    rewards_N, lengths_N = rewards_N - rewards_N.mean(), lengths_N - lengths_N.mean()
    length_square, reward_square = float((lengths_N**2).sum()), float((rewards_N**2).sum())
    product = float((rewards_N * lengths_N).sum())
    if length_square == 0:
        return LengthSlope(math.nan, math.nan)
    correlation = product / math.sqrt(length_square * reward_square) if reward_square > 0 else math.nan
    return LengthSlope(product / length_square, correlation)
