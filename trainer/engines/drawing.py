"""One token for each row from its logits, by temperature, top-k, top-p and min-p, with its log-probability.

Shapes: R rows, T positions of the completion, V vocabulary, K blocks of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .base import Sampling


@dataclass(frozen=True)
class Drawn:
    """tokens_R: ids.  logprobs_R: natural-log probability of each, under what it was drawn from.
    kept_RV: what each was drawn among; None for the whole vocabulary."""

    tokens_R: Tensor
    logprobs_R: Tensor
    kept_RV: Tensor | None = None


def draw(logits_RV: Tensor, uniforms_R: Tensor, sampling: Sampling) -> Drawn:
    """One token for each row, by inversion of the cumulative distribution at `uniforms_R`, in [0, 1).

    The log-probability is that of the distribution drawn from, after temperature, top-k, top-p and min-p; for
    temperature 0 that of the untempered model.
    """
    logits_RV = logits_RV.float()
    if sampling.temperature == 0:
        tokens_R = logits_RV.argmax(-1)
        chosen_R = logits_RV.gather(-1, tokens_R[:, None])[:, 0]
        return Drawn(tokens_R, chosen_R - logits_RV.logsumexp(-1))
    if sampling.temperature != 1:
        logits_RV = logits_RV / sampling.temperature
    kept_RV: Tensor | None = None
    if sampling.truncates(logits_RV.shape[1]):
        logits_RV = filter_logits(logits_RV, sampling.top_k, sampling.top_p, sampling.min_p)
        kept_RV = logits_RV > float("-inf")
    top_R1 = logits_RV.amax(-1, keepdim=True)
    weights_RV = (logits_RV - top_R1).exp_()
    found = _invert(weights_RV, uniforms_R)
    chosen_R = logits_RV.gather(-1, found.tokens_R[:, None])[:, 0]
    return Drawn(found.tokens_R, (chosen_R - top_R1[:, 0]) - found.totals_R.log().float(), kept_RV)


BLOCK = 128  # tokens of the vocabulary that are summed before the search
CANDIDATES = (
    1024  # of a nucleus, sorted at first on a CPU; elsewhere a whole sort is quicker than a look at it
)


@dataclass(frozen=True)
class _Inverted:
    """tokens_R: the first at which the cumulative weight passes its share.  totals_R: of all weights."""

    tokens_R: Tensor
    totals_R: Tensor


def _invert(weights_RV: Tensor, uniforms_R: Tensor) -> _Inverted:
    """The first token at which the cumulative weight passes `uniforms_R` times the total.

    In float64. A large vocabulary is searched block by block: only the chosen block is summed up by token.
    """
    size = weights_RV.shape[1]
    if size <= 4 * BLOCK:
        cumulative_RV = weights_RV.cumsum(-1, dtype=torch.float64)
        # Below the total, so that no token of weight 0 at the end is reached.
        targets_R1 = (uniforms_R * cumulative_RV[:, -1])[:, None]
        token_R1 = torch.searchsorted(cumulative_RV, targets_R1, right=True)
        return _Inverted(token_R1[:, 0].clamp_(max=size - 1), cumulative_RV[:, -1])
    weights_RV = torch.nn.functional.pad(weights_RV, (0, -size % BLOCK))
    blocks_RKb = weights_RV.view(len(weights_RV), -1, BLOCK)
    sums_RK = blocks_RKb.sum(-1).double()
    ends_RK = sums_RK.cumsum(-1)
    targets_R1 = (uniforms_R * ends_RK[:, -1])[:, None]
    block_R1 = torch.searchsorted(ends_RK, targets_R1, right=True).clamp_(max=ends_RK.shape[1] - 1)
    chosen_Rb = blocks_RKb.gather(1, block_R1[:, :, None].expand(-1, -1, BLOCK))[:, 0]
    inside_Rb = chosen_Rb.cumsum(-1, dtype=torch.float64)
    # The block's float32 sum may differ from the float64 sum of its tokens: scale, so that it ends inside.
    share_R1 = (targets_R1 - (ends_RK - sums_RK).gather(1, block_R1)) / sums_RK.gather(1, block_R1)
    share_R1.clamp_(0, 1 - 2**-53)
    token_R1 = torch.searchsorted(inside_Rb, share_R1 * inside_Rb[:, -1:], right=True)
    return _Inverted((block_R1 * BLOCK + token_R1)[:, 0].clamp_(max=size - 1), ends_RK[:, -1])


def filter_logits(logits_RV: Tensor, top_k: int, top_p: float, min_p: float = 0.0) -> Tensor:
    """Logits with -inf on what top-k, then top-p (Holtzman et al. 2020, arXiv:1904.09751) and then min-p
    (Nguyen et al. 2024, arXiv:2407.01082) leave out. At least the most likely token stays.

    The order is that of transformers' `generate`. vLLM takes min-p first and then top-k and top-p, so that
    its top-p counts less probability where all are on.
    """
    if 0 < top_k < logits_RV.shape[-1]:
        kth_R1 = logits_RV.topk(top_k).values[:, -1:]
        logits_RV = logits_RV.masked_fill(logits_RV < kth_R1, float("-inf"))
    if top_p < 1:
        size = logits_RV.shape[1]
        candidates = size if logits_RV.is_cuda else min(size, CANDIDATES, top_k + 1 if top_k else size)
        logits_RV = logits_RV.masked_fill(~find_nucleus(logits_RV, top_p, candidates), float("-inf"))
    if min_p > 0:
        probabilities_RV = logits_RV.softmax(-1)
        least_R1 = min_p * probabilities_RV.amax(-1, keepdim=True)
        logits_RV = logits_RV.masked_fill(probabilities_RV < least_R1, float("-inf"))
    return logits_RV


def find_nucleus(logits_RV: Tensor, top_p: float, candidates: int) -> Tensor:
    """kept_RV: the fewest tokens whose probability reaches `top_p`; of equally likely ones the first ids.

    candidates: tokens that are sorted at first. Rows whose nucleus does not end among them, few of a trained
    model's, are sorted whole.
    """
    size = logits_RV.shape[1]
    whole = candidates >= size
    sorted_RC = (logits_RV.sort(descending=True) if whole else logits_RV.topk(candidates)).values
    top_R1 = sorted_RC[:, :1]
    totals_R1 = (logits_RV - top_R1).exp_().sum(-1, keepdim=True, dtype=torch.float64)
    weights_RC = (sorted_RC - top_R1).exp_()
    inside_RC = weights_RC.cumsum(-1, dtype=torch.float64).sub_(weights_RC) < top_p * totals_R1
    counts_R1 = inside_RC.sum(-1, keepdim=True).clamp_(min=1)
    edge_R1 = sorted_RC.gather(-1, counts_R1 - 1)
    above_RV, level_RV = logits_RV > edge_R1, logits_RV == edge_R1
    kept_RV = above_RV | (level_RV & (level_RV.cumsum(-1) <= counts_R1 - above_RV.sum(-1, keepdim=True)))
    if not whole and len(wide_R := inside_RC[:, -1].nonzero()[:, 0]):
        kept_RV[wide_R] = find_nucleus(logits_RV[wide_R], top_p, size)
    return kept_RV


@dataclass(frozen=True)
class Stream:
    """Where random numbers come from. seed: of the request, in [0, 2**64).  sample: of its completion."""

    seed: int
    sample: int


def draw_uniforms(streams: Iterable[Stream], width: int) -> Tensor:
    """uniforms_TR: of each stream `width` numbers in [0, 1), float64, that depend on the stream alone."""
    keys = [np.array([stream.seed, stream.sample], dtype=np.uint64) for stream in streams]
    columns = [np.random.Generator(np.random.Philox(key=key)).random(width) for key in keys]
    return torch.from_numpy(np.stack(columns, 1))
