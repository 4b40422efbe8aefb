"""Generalised advantage estimation over the tokens of completions. Suffixes: B rows (completions),
T tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AcrossTurns:
    """What holds in the place of gamma and lam from a token that ends a turn to the next turn's first.

    ends_BT: True at such tokens.  gamma and lam in [0, 1].
    """

    ends_BT: Tensor
    gamma: float
    lam: float


@dataclass(frozen=True)
class Credit:
    """advantages_BT, and returns_BT = advantages + values, the target of the critic;
    both 0 where masked."""

    advantages_BT: Tensor
    returns_BT: Tensor


def gae(
    rewards_BT: Tensor,
    values_BT: Tensor,
    mask_BT: Tensor,
    gamma: float = 1.0,
    lam: float = 0.95,
    across: AcrossTurns | None = None,
) -> Credit:
    """Advantages of each token (Schulman et al. 2016, arXiv:1506.02438, equation 16),
    in the unit of the reward.

        delta_t = r_t + gamma V_(t+1) - V_t        A_t = delta_t + gamma lam A_(t+1)

    rewards_BT: as `kl.place_rewards` gives them. values_BT: the value of the state in which token t is
    chosen, without gradient. After the last counted token the value is 0: a completion is an episode, cut off
    or not. Masked positions (padding, a tool's output) take no time and may hold anything.
    gamma and lam in [0, 1], per counted token. across: other ones between the turns of an episode ("dual
    discounting GAE" of Chen et al. 2025, "Context-lite Multi-turn Reinforcement Learning for LLM Agents").
    """
    turn_gamma, turn_lam = (gamma, lam) if across is None else (across.gamma, across.lam)
    named = (("gamma", gamma), ("lam", lam), ("turn_gamma", turn_gamma), ("turn_lam", turn_lam))
    for name, number in named:
        if not 0 <= number <= 1:
            raise ValueError(f"{name}={number} must lie in [0, 1].")
    keep_BT = mask_BT > 0
    rewards_BT = torch.where(keep_BT, rewards_BT, 0.0)
    values_BT = torch.where(keep_BT, values_BT.detach(), 0.0)
    advantage_B = torch.zeros_like(values_BT[:, 0])
    next_value_B = torch.zeros_like(values_BT[:, 0])
    step_BT, decay_BT = torch.full_like(values_BT, gamma), torch.full_like(values_BT, gamma * lam)
    if across is not None:
        step_BT[across.ends_BT], decay_BT[across.ends_BT] = turn_gamma, turn_gamma * turn_lam
    columns = []
    for column in range(keep_BT.shape[1] - 1, -1, -1):
        counts_B = keep_BT[:, column]
        delta_B = rewards_BT[:, column] + step_BT[:, column] * next_value_B - values_BT[:, column]
        advantage_B = torch.where(counts_B, delta_B + decay_BT[:, column] * advantage_B, advantage_B)
        next_value_B = torch.where(counts_B, values_BT[:, column], next_value_B)
        columns.append(advantage_B)
    advantages_BT = torch.where(keep_BT, torch.stack(columns[::-1], dim=1), 0.0)
    return Credit(advantages_BT, advantages_BT + values_BT)


def whiten(values_BT: Tensor, mask_BT: Tensor, epsilon: float = 1e-8, centre: bool = True) -> Tensor:
    """Values with a variance of 1 (ddof 0) and, with `centre`, a mean of 0 over all counted tokens;
    0 where masked.

    Apply it to the whole batch before it is split into minibatches, or the split changes the gradient.
    """
    keep_BT = mask_BT > 0
    count = keep_BT.sum().clamp(min=1)
    values_BT = torch.where(keep_BT, values_BT, 0.0)
    mean = values_BT.sum() / count
    centred_BT = torch.where(keep_BT, values_BT - mean, 0.0)
    scale = torch.rsqrt((centred_BT**2).sum() / count + epsilon)
    return (centred_BT if centre else values_BT) * scale
