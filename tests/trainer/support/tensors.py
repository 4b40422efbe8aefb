"""Tensors for golden numbers."""

import torch


def to_double(values) -> torch.Tensor:
    """A float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)
