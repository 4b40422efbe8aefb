"""Completions that run into the length limit: a soft penalty, or out of the loss. Suffixes: B rows,
T tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..config.presets import ObjectiveConfig


@dataclass(frozen=True)
class Shaped:
    """rewards_B: as the advantages see them.  counts_B: whether a completion is in the loss (bool).
    penalty_B: for length, in the rewards already, 0 or less; None where there is none."""

    rewards_B: Tensor
    counts_B: Tensor
    penalty_B: Tensor | None = None


def shape_rewards(
    rewards_B: Tensor,
    abstained_B: Tensor,
    truncated_B: Tensor,
    lengths_B: Tensor,
    config: ObjectiveConfig,
    max_new_tokens: int,
) -> Shaped:
    """Rewards with the penalty for length, and which completions count in the loss.

    Those that could not be scored never count; truncated ones don't where that was asked for (DAPO's overlong
    filtering, section 3.4). lengths_B: in tokens.
    """
    penalty_B = None
    if config.overlong_cache:
        penalty_B = compute_overlong_penalty(lengths_B, max_new_tokens, config.overlong_cache)
        rewards_B = rewards_B + penalty_B
    counts_B = ~abstained_B
    if config.mask_truncated:
        counts_B = counts_B & ~truncated_B
    return Shaped(rewards_B, counts_B, penalty_B)


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
