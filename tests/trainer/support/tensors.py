"""Tensors for golden numbers."""

import torch


def to_double(values) -> torch.Tensor:
    """A float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)


def sum_returns(rewards_BT: torch.Tensor, mask_BT: torch.Tensor, gamma: float = 1.0) -> torch.Tensor:
    """Discounted sum of the rewards from each token to the end of its row; shape B x T, 0 where masked.

    gamma per counted token: masked positions (padding, a tool's output) take no time.
    """
    keep_BT = mask_BT > 0
    rewards_BT = torch.where(keep_BT, rewards_BT, 0.0)
    running_B = torch.zeros_like(rewards_BT[:, 0])
    columns = []
    for column in range(rewards_BT.shape[1] - 1, -1, -1):
        running_B = torch.where(keep_BT[:, column], rewards_BT[:, column] + gamma * running_B, running_B)
        columns.append(running_B)
    return torch.where(keep_BT, torch.stack(columns[::-1], dim=1), 0.0)
