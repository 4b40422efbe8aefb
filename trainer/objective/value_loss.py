"""The loss of a value model (PPO's critic). Suffixes: B rows (completions), T tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config.objective import ValueConfig
from .losses import Denominators


@dataclass(frozen=True)
class ValueStats:
    """Sums over tokens, detached, without dimensions; `losses.combine` adds those of micro-batches.

    clip_sum: tokens whose gradient the clip removed. error: returns - values.
    """

    tokens: Tensor
    clip_sum: Tensor
    value_sum: Tensor
    return_sum: Tensor
    return_square_sum: Tensor
    error_sum: Tensor
    error_square_sum: Tensor


@dataclass(frozen=True)
class ValueLoss:
    """loss: this part's share of the batch's loss, without the coefficient. stats: its sums."""

    loss: Tensor
    stats: ValueStats


def compute_value_loss(
    values_BT: Tensor,
    old_values_BT: Tensor,
    returns_BT: Tensor,
    mask_BT: Tensor,
    config: ValueConfig,
    denominators: Denominators,
) -> ValueLoss:
    """This micro-batch's share of the mean over all tokens of the value loss, in squared units of the reward.

    squared: e²/2 with e = value - return. clipped: the larger of that and the same with the value kept within
    config.clip of the old value (PPO's code; Engstrom et al. 2020, arXiv:2005.12729). huber: quadratic within
    config.huber_delta, linear beyond (Huber 1964). Masked positions may hold anything and get no gradient.
    """
    keep_BT = mask_BT > 0
    if values_BT.dtype in (torch.float16, torch.bfloat16):
        values_BT = values_BT.float()
    values_BT = torch.where(keep_BT, values_BT, 0.0)
    old_BT = torch.where(keep_BT, old_values_BT.to(values_BT.dtype), 0.0).detach()
    returns_BT = torch.where(keep_BT, returns_BT.to(values_BT.dtype), 0.0).detach()
    error_BT = values_BT - returns_BT
    loss_BT = 0.5 * error_BT**2
    clipped_BT = torch.zeros_like(keep_BT)
    if config.kind == "clipped":
        near_BT = old_BT + (values_BT - old_BT).clamp(-config.clip, config.clip)
        near_loss_BT = 0.5 * (near_BT - returns_BT) ** 2
        clipped_BT = (near_loss_BT > loss_BT) & ((values_BT - old_BT).abs() > config.clip)
        loss_BT = torch.maximum(loss_BT, near_loss_BT)
    elif config.kind == "huber":
        linear_BT = config.huber_delta * (error_BT.abs() - 0.5 * config.huber_delta)
        loss_BT = torch.where(error_BT.abs() <= config.huber_delta, loss_BT, linear_BT)
    loss = loss_BT.sum() / max(denominators.tokens, 1)
    with torch.no_grad():
        stats = ValueStats(
            tokens=keep_BT.sum(),
            clip_sum=clipped_BT.sum(),
            value_sum=values_BT.sum(),
            return_sum=returns_BT.sum(),
            return_square_sum=(returns_BT**2).sum(),
            error_sum=-error_BT.sum(),
            error_square_sum=(error_BT**2).sum(),
        )
    return ValueLoss(loss, stats)


def compute_explained_variance(stats: ValueStats) -> float:
    """1 - Var(return - value) / Var(return): 1 is perfect, 0 no better than a constant, below 0 worse.

    nan where the returns of the batch are all the same.
    """
    tokens = float(stats.tokens)
    if tokens == 0:
        return math.nan
    of_returns = float(stats.return_square_sum) / tokens - (float(stats.return_sum) / tokens) ** 2
    of_errors = float(stats.error_square_sum) / tokens - (float(stats.error_sum) / tokens) ** 2
    # The difference of two nearly equal sums has no digits left below this.
    if of_returns <= 1e-6 * max(float(stats.return_square_sum) / tokens, 1e-30):
        return math.nan
    return 1 - of_errors / of_returns
