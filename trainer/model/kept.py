"""The tokens that each token of a completion was drawn among, where sampling is truncated.

With top-k, top-p or min-p a token is drawn from the model's distribution restricted to a part of the
vocabulary, and the truncated policy is the one that is trained. The update takes log-probabilities under the
same restriction: over the very ids that were left at sampling, whatever the weights are by then ("keep
sampling mask", DeepSeek-V3.2, arXiv:2512.02556).

Shapes: R rows of the sampler, N completion tokens of all rows, K ids of all their sets, V vocabulary.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...verifiers.types import KeptTokens
from ..config.train import RolloutConfig

OUTSIDE = -1e30  # logit of what was left out: its probability is 0, and 0 * log 0 is 0 and not nan


def list_kept_ids(kept_RV: Tensor) -> list[np.ndarray]:
    """The ids that each row keeps, ascending, as int32."""
    ids_K = kept_RV.nonzero()[:, 1].int().cpu().numpy()
    return np.split(ids_K, kept_RV.sum(1).cumsum(0)[:-1].tolist())


def pack_kept_ids(sets: Sequence[np.ndarray]) -> KeptTokens:
    """The sets of a completion's tokens, each of int32, as a completion carries them."""
    ids = array("i")
    ids.frombytes(np.concatenate(sets).tobytes())
    return KeptTokens(ids, array("i", [len(one) for one in sets]))


@dataclass(frozen=True)
class KeptSets:
    """ids_K: the sets of all tokens one after the other, int32.  counts_N: how many ids each has, int64."""

    ids_K: Tensor
    counts_N: Tensor

    @classmethod
    def of(cls, kept: Sequence[KeptTokens], device: torch.device | str = "cpu") -> KeptSets:
        """The sets of several completions, in their order."""
        ids_K, counts_N = (
            np.concatenate([np.frombuffer(part, dtype=np.int32) for part in parts])
            for parts in ([one.ids for one in kept], [one.counts for one in kept])
        )
        return cls(torch.from_numpy(ids_K).to(device), torch.from_numpy(counts_N).long().to(device))

    def take(self, tokens_N: Tensor) -> KeptSets:
        """The sets of these tokens, in this order."""
        counts_N, starts_N = self.counts_N[tokens_N], self.counts_N.cumsum(0) - self.counts_N
        return KeptSets(self.ids_K[join_ranges(starts_N[tokens_N], counts_N)], counts_N)

    def split(self, tokens: int) -> list[KeptSets]:
        """The sets of so many tokens at a time."""
        counts = self.counts_N.split(tokens)
        ids = self.ids_K.split([int(part_N.sum()) for part_N in counts])
        return [KeptSets(*parts) for parts in zip(ids, counts, strict=True)]

    def mark_outside(self, vocabulary: int) -> Tensor:
        """outside_NV: which ids of a vocabulary of that size each set leaves out."""
        outside_NV = torch.ones(len(self.counts_N), vocabulary, dtype=torch.bool, device=self.ids_K.device)
        outside_NV[self._tokens_K, self.ids_K.long()] = False
        return outside_NV

    def number(self, vocabulary: int) -> Tensor:
        """numbers_N: equal for equal sets.

        A set is known by the sum of 64-bit random numbers, one an id, so two sets have the same number by
        mistake with probability 2**-64.
        """
        seeded = torch.Generator().manual_seed(0)
        words_V = torch.randint(-(2**63), 2**63 - 1, (vocabulary,), generator=seeded).to(self.ids_K.device)
        sums_N = torch.zeros_like(self.counts_N)
        sums_N.index_add_(0, self._tokens_K, words_V[self.ids_K.long()])
        return torch.unique(sums_N, return_inverse=True)[1]

    @property
    def _tokens_K(self) -> Tensor:
        """Number of the token that each id belongs to."""
        return torch.arange(len(self.counts_N), device=self.ids_K.device).repeat_interleave(self.counts_N)


def join_ranges(starts_N: Tensor, counts_N: Tensor) -> Tensor:
    """start, start + 1, ..., start + count - 1 of the first range, then of the second, and so on."""
    skipped_N = starts_N - (counts_N.cumsum(0) - counts_N)
    return skipped_N.repeat_interleave(counts_N) + torch.arange(int(counts_N.sum()), device=starts_N.device)


def estimate_kept(config: RolloutConfig, vocabulary: int) -> int:
    """How many ids a token of the rollouts is drawn among on average, for the memory bill; 0: the whole
    vocabulary, and nothing is recorded.

    Top-k bounds it. Top-p and min-p don't: 12 / (1 - p) and 1 / p are what SmolLM2-135M-Instruct needs at
    temperature 1 (75, 236 and 1215 ids for 0.9, 0.95 and 0.99; 18 and 5 for min-p 0.02 and 0.1).
    """
    bounds = [
        config.top_k if 0 < config.top_k < vocabulary else None,
        12 / (1 - config.top_p) if config.top_p < 1 else None,
        1 / config.min_p if config.min_p > 0 else None,
    ]
    known = [bound for bound in bounds if bound is not None]
    return math.ceil(min(*known, vocabulary)) if known else 0


def estimate_kept_bytes(config: RolloutConfig, vocabulary: int) -> int:
    """Bytes of what the tokens of a step were drawn among, by that estimate."""
    ids = estimate_kept(config, vocabulary)
    tokens = config.prompts_per_step * config.group_size * config.max_new_tokens
    return tokens * (4 * ids + 8) if ids else 0
