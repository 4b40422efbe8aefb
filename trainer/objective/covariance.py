"""Clip-Cov and KL-Cov: what keeps the tokens with the largest covariance from using up the entropy.

Cui et al. 2025, "The Entropy Mechanism of Reinforcement Learning" (arXiv:2505.22617), section 4, and the
authors' code in verl (`compute_policy_loss_clip_cov`, `compute_policy_loss_kl_cov`). The entropy falls where
log-probability and advantage go together, by

    cov_t = (log p_now - mean of log p_now) (A - mean of A)

A few tokens with a large one do most of it: Clip-Cov leaves some of them out of an update, KL-Cov holds them
back by a penalty. The means, the count and the order are those of all tokens of an optimizer step, so tokens
are marked before it is split into micro-batches. Suffixes: B rows (completions), T tokens, N = B * T.

Imports no torch: it is written with the methods of tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.objective import LossConfig
from .kind import Inputs, Terms
from .surrogate import RATIO, clip_surrogate, write_surrogate

if TYPE_CHECKING:
    from torch import Tensor

CLIP_COV = ("clip_cov_share", "cov_low", "cov_high")
KL_COV = ("kl_cov_share", "kl_cov_coef")
COVARIANCE = "cov_t = (log p_now - its mean) * (A - its mean), means over the optimizer step's tokens"


def compute_covariances(inputs: Inputs) -> Tensor:
    """cov_BT of the tokens in the loss, in nats times the unit of the advantage; elsewhere it means nothing.

    inputs: of all tokens of an optimizer step.
    """
    count = inputs.keep_BT.sum().clamp(min=1)
    logprobs_BT, advantages_BT = inputs.logprobs_BT.detach(), inputs.advantages_BT
    return (logprobs_BT - logprobs_BT.sum() / count) * (advantages_BT - advantages_BT.sum() / count)


def mark_by_bounds(inputs: Inputs, config: LossConfig, draws_BT: Tensor) -> Tensor:
    """Clip-Cov: marked_BT, bool, max(1, floor(clip_cov_share * tokens)) tokens drawn from the candidates.

    Candidates have cov_low < cov_t < cov_high, and a gradient that the clip has not removed already. Drawn
    are those with the smallest of draws_BT.
    """
    terms = clip_surrogate(inputs.log_ratio_BT.exp(), inputs.advantages_BT, config)
    assert terms.clip_low_BT is not None
    assert terms.clip_high_BT is not None
    cov_BT = compute_covariances(inputs)
    candidates_BT = inputs.keep_BT & ~terms.clip_low_BT & ~terms.clip_high_BT
    candidates_BT = candidates_BT & (cov_BT > config.cov_low) & (cov_BT < config.cov_high)
    order_N = draws_BT.masked_fill(~candidates_BT, float("inf")).flatten().argsort(stable=True)
    return _mark_first(order_N, candidates_BT, count_share(config.clip_cov_share, inputs.keep_BT))


def mark_largest(inputs: Inputs, config: LossConfig, draws_BT: Tensor) -> Tensor:
    """KL-Cov: marked_BT, bool, the max(1, floor(kl_cov_share * tokens)) tokens of the largest covariance.

    Completions of a group that begin alike have equal ones: draws_BT decides between those, not the order of
    the rows.
    """
    order_N = draws_BT.flatten().argsort(stable=True)
    cov_N = compute_covariances(inputs).masked_fill(~inputs.keep_BT, -float("inf")).flatten()
    order_N = order_N[cov_N[order_N].argsort(descending=True, stable=True)]
    return _mark_first(order_N, inputs.keep_BT, count_share(config.kl_cov_share, inputs.keep_BT))


def count_share(share: float, keep_BT: Tensor) -> int:
    """That share of the tokens in the loss, rounded down, one at least."""
    return max(int(share * int(keep_BT.sum())), 1)


def _mark_first(order_N: Tensor, candidates_BT: Tensor, count: int) -> Tensor:
    """The first `count` places of an order, those of them that are candidates."""
    marked_N = candidates_BT.new_zeros(candidates_BT.numel())
    marked_N[order_N[:count]] = True
    return marked_N.view_as(candidates_BT) & candidates_BT


def drop_marked(inputs: Inputs, config: LossConfig) -> Terms:
    """clip_cov: the clipped ratio of each token; 0, without a gradient, where it is marked.

    What is left out still counts in the denominator, as in the authors' code.
    """
    terms = clip_surrogate(inputs.log_ratio_BT.exp(), inputs.advantages_BT, config)
    loss_BT = terms.loss_BT.masked_fill(_get_marks(inputs), 0.0)
    return Terms(loss_BT, terms.clip_low_BT, terms.clip_high_BT, terms.dual_clip_BT)


def write_drop(loss: LossConfig) -> str:
    share, bounds = f"{loss.clip_cov_share:g} of the tokens", f"{loss.cov_low:g} < cov_t < {loss.cov_high:g}"
    dropped = f"0 for {share} (one at least), drawn from the unclipped with {bounds}; {COVARIANCE}"
    return f"{write_surrogate('r_t', RATIO, loss)}; {dropped}"


def penalise_marked(inputs: Inputs, config: LossConfig) -> Terms:
    """kl_cov: -r A without a clip; + kl_cov_coef |log r| where a token is marked.

    The paper writes the penalty as KL(p_old, p_now); the authors compute it as the absolute log-ratio, which
    has no gradient at r = 1: in the first update on a batch it does nothing.
    """
    loss_BT = -inputs.log_ratio_BT.exp() * inputs.advantages_BT
    penalty_BT = config.kl_cov_coef * inputs.log_ratio_BT.abs()
    return Terms(loss_BT + penalty_BT.masked_fill(~_get_marks(inputs), 0.0))


def write_penalty(loss: LossConfig) -> str:
    share = f"the {loss.kl_cov_share:g} of the tokens (one at least) with the largest cov_t"
    return f"-r_t * A; + {loss.kl_cov_coef:g} * |log r_t| for {share}; {COVARIANCE}; {RATIO}; no clip"


def _get_marks(inputs: Inputs) -> Tensor:
    if inputs.marked_BT is None:
        raise ValueError(
            "This loss reads which tokens of the optimizer step are marked: give marked_BT, from mark_tokens."
        )
    return inputs.marked_BT


GOLDEN = 0x9E3779B97F4A7C15
MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def draw_by_position(seed: int, rows_B: Tensor, columns_T: Tensor) -> Tensor:
    """draws_BT, uniform in [0, 1), float64: each depends on (seed, row, column) alone, not on the shape.

    SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195) at place row * 2^32 + column.
    seed: any whole number; its lowest 64 bits count. rows_B, columns_T: int64, numbers from 0.
    """
    places_BT = (rows_B[:, None] << 32) + columns_T[None, :] + 1
    mixed_BT = places_BT * _as_signed(GOLDEN) + _as_signed(seed)
    for shift, factor in MIX:
        mixed_BT = (mixed_BT ^ _shift_right(mixed_BT, shift)) * _as_signed(factor)
    mixed_BT = mixed_BT ^ _shift_right(mixed_BT, 31)
    return _shift_right(mixed_BT, 11).double() * 2.0**-53


def _as_signed(number: int) -> int:
    """The int64 with the lowest 64 bits of a number: products of int64 wrap, as those of uint64 do."""
    return (number + 2**63) % 2**64 - 2**63


def _shift_right(bits: Tensor, count: int) -> Tensor:
    """A shift that fills up with zeros; that of int64 repeats the sign."""
    return (bits >> count) & ((1 << (64 - count)) - 1)
