"""Completions that run into the length limit: a soft penalty, or out of the loss. Suffixes: B rows,
T tokens."""

from __future__ import annotations

import torch
from torch import Tensor


def compute_overlong_penalty(lengths_B: Tensor, max_tokens: int, cache_tokens: int) -> Tensor:
    """Penalty in [-1, 0] to be added to the reward; shape B. DAPO (Yu et al. 2025, arXiv:2503.14476),
    equation 13.

    0 up to max_tokens - cache_tokens tokens, then falling in a straight line to -1 at max_tokens, and -1
    beyond.
    lengths_B: completion lengths in tokens. Raises ValueError unless 0 < cache_tokens <= max_tokens.
    """
    if not 0 < cache_tokens <= max_tokens:
        raise ValueError(
            f"The soft overlong penalty falls over the last {cache_tokens} of {max_tokens} tokens; "
            "give a cache of at least 1 and at most the maximum."
        )
    over_B = lengths_B.to(torch.get_default_dtype()) - (max_tokens - cache_tokens)
    return -(over_B / cache_tokens).clamp(0.0, 1.0)


def subtract_missing_eos_penalty(rewards_B: Tensor, ended_B: Tensor, penalty: float) -> Tensor:
    """Rewards minus `penalty` (0 or more, in their unit) for completions that did not end by themselves;
    shape B.

    For rewards that a model gives: it has an opinion on a half sentence too (the end-of-sequence trick of
    Huang et al. 2024, arXiv:2403.17031, which sets the score itself to -1).
    """
    if not penalty >= 0:
        raise ValueError(f"A penalty of {penalty} for a missing end would reward it; give 0 or more.")
    return rewards_B - penalty * (~ended_B.bool()).to(rewards_B.dtype)


def mask_truncated(mask_BT: Tensor, truncated_B: Tensor) -> Tensor:
    """The mask without the rows that were cut off at the length limit (DAPO's overlong filtering,
    section 3.4).

    Compute the denominators from the mask that this returns, so that the rows left out don't dilute the
    others.
    """
    return mask_BT * (~truncated_B.bool()).unsqueeze(1).to(mask_BT.dtype)
