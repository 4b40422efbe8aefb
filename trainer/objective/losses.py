"""The policy loss of whole sequences, of any kind in kinds.py. Suffixes: B rows (completions), T tokens.

One denominator for the whole batch: `compute_policy_loss` of a micro-batch returns its share, and the shares
add up to the loss of the batch however the batch is split, padded or ordered, over micro-batches and over
processes (which must then sum their gradients, not average them).
docs/losses.md has the formulas side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from ..config.objective import Aggregate, LossConfig
from .correction import Correction, correct_sampler
from .kind import Inputs, Terms
from .kinds import choose_aggregate, find_kind
from .kl import LOG_RATIO_CAP, kl_per_token

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Denominators:
    """What the loss is divided by: counted once over one optimizer step's batch,
    in all micro-batches and processes.

    sequences: completions with at least one token in the loss. tokens: tokens in the loss. max_tokens: the
    length limit of a completion in tokens, the constant of Dr. GRPO.
    """

    sequences: float
    tokens: float
    max_tokens: float

    def __add__(self, other: Denominators) -> Denominators:
        if self.max_tokens != other.max_tokens:
            raise ValueError(
                f"Two parts of one batch have limits of {self.max_tokens} and {other.max_tokens} tokens."
            )
        return Denominators(self.sequences + other.sequences, self.tokens + other.tokens, self.max_tokens)


@dataclass(frozen=True)
class LossStats:
    """Sums over the tokens of the loss, as detached tensors without dimensions;
    `combine` adds those of micro-batches.

    tokens: how many. ratio_*: of the probability now to that at sampling, or with a correction to the
    trainer's own before the update (unclipped; capped at e^+-20).
    clip_low_sum, clip_high_sum: tokens whose gradient the lower (ratio too small, A < 0) or upper bound
    (ratio too large, A > 0) removed or, for cispo, capped; dual_clip_sum: those that dual_clip or delta
    removed. approx_kl_sum: k3 of the sampler against the policy, in nats. logprob_diff_*: |log-probability
    now - at sampling|, in nats; before the first update this is the difference between sampler and trainer.
    kl_k1_sum, kl_k3_sum: policy against reference, in nats; entropy_sum: in nats;
    None where no reference or no entropy was given.
    sampler_weight_*: of the correction; sampler_cut_sum: tokens whose weight it truncated or masked; None
    without one. marked_sum: tokens that the kind marked; None for a kind that marks none.
    """

    tokens: Tensor
    ratio_sum: Tensor
    ratio_min: Tensor
    ratio_max: Tensor
    clip_low_sum: Tensor
    clip_high_sum: Tensor
    dual_clip_sum: Tensor
    approx_kl_sum: Tensor
    logprob_diff_sum: Tensor
    logprob_diff_max: Tensor
    kl_k1_sum: Tensor | None
    kl_k3_sum: Tensor | None
    entropy_sum: Tensor | None
    sampler_weight_sum: Tensor | None = None
    sampler_weight_max: Tensor | None = None
    sampler_cut_sum: Tensor | None = None
    marked_sum: Tensor | None = None


@dataclass(frozen=True)
class PolicyLoss:
    """loss: this part's share of the batch's loss, to be minimised (no dimensions). stats: its sums."""

    loss: Tensor
    stats: LossStats


def compute_policy_loss(
    logprobs_BT: Tensor,
    sampled_logprobs_BT: Tensor,
    advantages_BT: Tensor,
    mask_BT: Tensor,
    config: LossConfig,
    denominators: Denominators,
    *,
    ref_logprobs_BT: Tensor | None = None,
    entropy_BT: Tensor | None = None,
    before_logprobs_BT: Tensor | None = None,
    marked_BT: Tensor | None = None,
) -> PolicyLoss:
    """This micro-batch's share of the policy loss + kl_coef * KL - entropy_coef * entropy,
    averaged as the kind says.

    Rows are whole sequences. logprobs_BT: log-probability in nats of each sampled token under the policy,
    with gradient; sampled_logprobs_BT: the same at the time of sampling; ref_logprobs_BT: under the
    reference; before_logprobs_BT: for a correction of the sampler, the trainer's own before the first update
    on the batch, None where this is the first.
    advantages_BT: B x T or B x 1, held constant. mask_BT: 1 on completion tokens that count; other positions
    may hold anything, nan included, and get no gradient. entropy_BT: of the policy's distribution at each
    token, with gradient if there is an entropy bonus. marked_BT: of `mark_tokens`, for a kind that marks.
    Half-precision input is computed in float32. Raises ValueError where config asks for something that was
    not given.
    """
    _check_given(config, ref_logprobs_BT, entropy_BT)
    keep_BT = mask_BT > 0
    sampled_BT = _clean(sampled_logprobs_BT, keep_BT).detach()
    before_BT = logprobs_BT.detach() if before_logprobs_BT is None else before_logprobs_BT
    before_BT = _clean(before_BT, keep_BT).detach() if config.corrects else sampled_BT
    inputs = make_inputs(logprobs_BT, before_BT, advantages_BT, keep_BT, marked_BT)
    terms = find_kind(config.kind).terms(inputs, config)
    loss_BT, correction = terms.loss_BT, None
    if config.corrects:
        correction = correct_sampler(before_BT, sampled_BT, keep_BT, config)
        loss_BT = loss_BT * correction.weight_BT
    reference_BT = None if ref_logprobs_BT is None else _clean(ref_logprobs_BT, keep_BT).detach()
    entropy_BT = None if entropy_BT is None else _clean(entropy_BT, keep_BT)
    if reference_BT is not None and _has_kl(config):
        loss_BT = loss_BT + config.kl_coef * _estimate_kl(inputs, sampled_BT, reference_BT, config)
    if entropy_BT is not None and config.entropy_coef != 0:
        loss_BT = loss_BT - config.entropy_coef * entropy_BT
    weights_BT = weigh_tokens(keep_BT.to(loss_BT.dtype), choose_aggregate(config), denominators)
    loss = torch.where(keep_BT, loss_BT * weights_BT, 0.0).sum()
    with torch.no_grad():
        difference_BT = inputs.logprobs_BT - sampled_BT
        stats = _sum_stats(terms, inputs, difference_BT, reference_BT, entropy_BT, correction)
    return PolicyLoss(loss, stats)


def _has_kl(config: LossConfig) -> bool:
    return config.kl_coef > 0 and config.kl_in == "loss"


def _check_given(config: LossConfig, ref_logprobs_BT: Tensor | None, entropy_BT: Tensor | None) -> None:
    """Raise ValueError where the loss needs what was not given."""
    if _has_kl(config) and ref_logprobs_BT is None:
        raise ValueError(
            f"kl_coef={config.kl_coef} in the loss needs the reference's log-probabilities; none were given."
        )
    if config.entropy_coef != 0 and entropy_BT is None:
        raise ValueError(
            f"entropy_coef={config.entropy_coef} needs the entropy of every token; none was given."
        )


def _estimate_kl(inputs: Inputs, sampled_BT: Tensor, reference_BT: Tensor, config: LossConfig) -> Tensor:
    """kl_BT as it stands in the loss; with kl_correction times the ratio to the sampler, gradient included.

    The estimators are expectations under the policy; tokens come from the sampler, and the ratio makes up for
    that: DeepSeek-V3.2 (arXiv:2512.02556), unbiased KL estimate; TRL's use_bias_correction_kl. It is the
    ratio to the sampler with a correction of the sampler, too, whose bounds would make the estimate a biased
    one.
    """
    kl_BT = kl_per_token(inputs.logprobs_BT, reference_BT, config.kl_estimator)
    if not config.kl_correction:
        return kl_BT
    return (inputs.logprobs_BT - sampled_BT).clamp(-LOG_RATIO_CAP, LOG_RATIO_CAP).exp() * kl_BT


def make_inputs(
    logprobs_BT: Tensor,
    before_logprobs_BT: Tensor,
    advantages_BT: Tensor,
    keep_BT: Tensor,
    marked_BT: Tensor | None = None,
) -> Inputs:
    """What a kind may use, of rows that may hold anything where keep_BT is False.

    before_logprobs_BT: those that the ratio is taken to.
    """
    now_BT = _clean(logprobs_BT, keep_BT)
    log_ratio_BT = now_BT - _clean(before_logprobs_BT, keep_BT).detach()
    return Inputs(
        logprobs_BT=now_BT,
        log_ratio_BT=log_ratio_BT.clamp(-LOG_RATIO_CAP, LOG_RATIO_CAP),
        advantages_BT=_clean(advantages_BT.expand_as(logprobs_BT), keep_BT).detach(),
        keep_BT=keep_BT,
        marked_BT=None if marked_BT is None else marked_BT & keep_BT,
    )


@torch.no_grad()
def mark_tokens(
    logprobs_BT: Tensor,
    before_logprobs_BT: Tensor,
    advantages_BT: Tensor,
    mask_BT: Tensor,
    config: LossConfig,
    draws_BT: Tensor,
) -> Tensor | None:
    """marked_BT, bool: which tokens the kind marks, given all rows of an optimizer step; None for a kind that
    marks none.

    Rows as for `compute_policy_loss`; before_logprobs_BT: those that the ratio is taken to. draws_BT: of
    `covariance.draw_by_position`.
    """
    mark = find_kind(config.kind).mark
    if mark is None:
        return None
    inputs = make_inputs(logprobs_BT, before_logprobs_BT, advantages_BT, mask_BT > 0)
    return mark(inputs, config, draws_BT)


def weigh_tokens(mask_BT: Tensor, aggregate: Aggregate, denominators: Denominators) -> Tensor:
    """Weight of each token in the loss; shape B x T. Over the whole batch they make the mean that `aggregate`
    names."""
    # An empty batch (everything masked) has a loss of 0, not of 0 / 0.
    sequences, tokens = max(denominators.sequences, 1), max(denominators.tokens, 1)
    if aggregate == "token_mean":
        return mask_BT / tokens
    if aggregate == "constant":
        return mask_BT / (sequences * denominators.max_tokens)
    if aggregate == "sequence_sum":
        return mask_BT / sequences
    if aggregate == "sequence_mean":
        return mask_BT / (mask_BT.sum(1, keepdim=True).clamp(min=1) * sequences)
    raise ValueError(f"aggregate={aggregate!r} is not known; see LossConfig.aggregate.")


def count_denominators(mask_BT: Tensor, max_tokens: float) -> Denominators:
    """Denominators of a batch, or of a part of it (parts are added with +)."""
    keep_BT = mask_BT > 0
    return Denominators(float(keep_BT.any(1).sum()), float(keep_BT.sum()), float(max_tokens))


def _clean(values_BT: Tensor, keep_BT: Tensor) -> Tensor:
    """At least float32, and 0 where masked: `where` before any arithmetic keeps nan out of the gradient
    too."""
    if values_BT.dtype in (torch.float16, torch.bfloat16):
        values_BT = values_BT.float()
    return torch.where(keep_BT, values_BT, 0.0)


def _sum_stats(
    terms: Terms,
    inputs: Inputs,
    difference_BT: Tensor,
    reference_BT: Tensor | None,
    entropy_BT: Tensor | None,
    correction: Correction | None,
) -> LossStats:
    keep_BT, logprobs_BT = inputs.keep_BT, inputs.logprobs_BT

    def sum_kept(values_BT: Tensor | None) -> Tensor:
        if values_BT is None:
            return torch.zeros((), dtype=difference_BT.dtype, device=difference_BT.device)
        return torch.where(keep_BT, values_BT.to(difference_BT.dtype), 0.0).sum()

    def find_largest(values_BT: Tensor) -> Tensor:
        if not values_BT.numel():
            return sum_kept(None) - torch.inf
        return torch.where(keep_BT, values_BT, -torch.inf).amax()

    ratio_BT = inputs.log_ratio_BT.exp()
    reference = reference_BT is not None
    return LossStats(
        tokens=keep_BT.sum(),
        ratio_sum=sum_kept(ratio_BT),
        ratio_min=-find_largest(-ratio_BT),
        ratio_max=find_largest(ratio_BT),
        clip_low_sum=sum_kept(terms.clip_low_BT),
        clip_high_sum=sum_kept(terms.clip_high_BT),
        dual_clip_sum=sum_kept(terms.dual_clip_BT),
        approx_kl_sum=sum_kept(kl_per_token(-difference_BT, torch.zeros_like(difference_BT), "k3")),
        logprob_diff_sum=sum_kept(difference_BT.abs()),
        logprob_diff_max=difference_BT.abs().amax() if difference_BT.numel() else sum_kept(None),
        kl_k1_sum=sum_kept(kl_per_token(logprobs_BT, reference_BT, "k1")) if reference else None,
        kl_k3_sum=sum_kept(kl_per_token(logprobs_BT, reference_BT, "k3")) if reference else None,
        entropy_sum=None if entropy_BT is None else sum_kept(entropy_BT),
        sampler_weight_sum=None if correction is None else sum_kept(correction.weight_BT),
        sampler_weight_max=None if correction is None else find_largest(correction.weight_BT),
        sampler_cut_sum=None if correction is None else sum_kept(correction.cut_BT),
        marked_sum=None if inputs.marked_BT is None else sum_kept(inputs.marked_BT),
    )


Stats = TypeVar("Stats", bound="DataclassInstance")


def combine(stats: Sequence[Stats]) -> Stats:
    """The stats of a batch from those of its parts: fields *_min and *_max are compared, all others add up.

    For LossStats and the statistics of the value and the preference loss alike. Raises ValueError for no
    parts at all, or when only some of them know the KL or the entropy.
    """
    if not stats:
        raise ValueError(
            "There are no statistics to combine; every optimizer step has at least one micro-batch."
        )
    combined: dict[str, Tensor | None] = {}
    for name in (field.name for field in fields(stats[0])):
        values = [getattr(part, name) for part in stats]
        known = [value for value in values if value is not None]
        if not known:
            combined[name] = None
            continue
        if len(known) < len(values):
            raise ValueError(
                f"{name} is known for {len(known)} of {len(values)} micro-batches; give it for all or none."
            )
        stacked = torch.stack(known)
        if name.endswith("_min"):
            combined[name] = stacked.amin()
        else:
            combined[name] = stacked.amax() if name.endswith("_max") else stacked.sum()
    return type(stats[0])(**combined)


def summarise_stats(stats: DataclassInstance) -> dict[str, float]:
    """Means per token (or per prompt), minima and maxima, under the names of the metrics;
    empty when nothing counted.

    The first field of the statistics is the count. What is unknown (no reference, no entropy) is left out.
    """
    count_name, *names = (field.name for field in fields(stats))
    count = float(getattr(stats, count_name))
    if count == 0:
        return {}
    known = {name: float(getattr(stats, name)) for name in names if getattr(stats, name) is not None}
    return {
        name.removesuffix("_sum"): value / count if name.endswith("_sum") else value
        for name, value in known.items()
    }
