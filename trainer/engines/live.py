"""The completions that are decoded together: their tokens so far, which have ended, which share a row.

Shapes: R live completions, E of them that have ended, U rows of the decoder (distinct texts), T positions of
the completion, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..model.decoding import Decoding
from ..model.kept import list_kept_ids
from .base import Sampling
from .drawing import draw


@dataclass(frozen=True)
class Owner:
    """Whose a completion is: index of the request, number of the sample."""

    request: int
    sample: int


@dataclass(frozen=True)
class Ended:
    """What was drawn for a completion that has ended; tokens drawn after its end token included.

    open: whether the token budget ended it, not an end of its own.  kept: the ids that each token was drawn
    among, as int32; none where that is not recorded.
    """

    owner: Owner
    ids: list[int]
    logprobs: list[float]
    open: bool
    kept: list[np.ndarray]


class LiveRows:
    """Completions and the decoder's rows that they go on from: those that agree so far share one.

    uniforms_TR: their random numbers.  tokens_TR, logprobs_TR: what was drawn in the first `step` steps.
    open_R: which have not ended.  row_R: the decoder's row of each.  alone: whether each has a row of its
    own, in the same order, so that rows need no looking up.  kept_R: of each completion the ids that each of
    its tokens was drawn among, where that is recorded.
    """

    def __init__(self, decoding: Decoding, owners: Sequence[Owner], uniforms_TR: Tensor) -> None:
        device = decoding.logits_UV.device
        self.decoding, self.owners, self.step = decoding, list(owners), 0
        self.uniforms_TR = uniforms_TR.to(device)
        self.tokens_TR = torch.zeros(uniforms_TR.shape, dtype=torch.long, device=device)
        self.logprobs_TR = torch.zeros(uniforms_TR.shape, device=device)
        self.open_R = torch.ones(len(self.owners), dtype=torch.bool, device=device)
        self.kept_R: list[list[np.ndarray]] = [[] for _ in self.owners]
        self.row_R = decoding.start_R
        self.alone = len(self.row_R) == len(decoding.logits_UV)

    @property
    def last_R(self) -> Tensor:
        """The tokens of the last step."""
        return self.tokens_TR[self.step - 1]

    def draw_tokens(self, sampling: Sampling) -> None:
        """One more token for every completion."""
        logits_UV = self.decoding.logits_UV
        logits_RV = logits_UV if self.alone else logits_UV[self.row_R]
        drawn = draw(logits_RV, self.uniforms_TR[self.step], sampling)
        self.tokens_TR[self.step], self.logprobs_TR[self.step] = drawn.tokens_R, drawn.logprobs_R
        if sampling.record_kept and drawn.kept_RV is not None:
            for kept, ids in zip(self.kept_R, list_kept_ids(drawn.kept_RV), strict=True):
                kept.append(ids)
        self.step += 1

    def close(self, ended_R: Tensor) -> None:
        """These have ended, by the tokens of the last step or before. They are drawn for until `advance`."""
        self.open_R &= ~ended_R

    def list_ended(self, everything: bool) -> list[Ended]:
        """What has ended, in order; `everything`: all, ended or not. `advance` is what drops them."""
        ended_R = torch.ones_like(self.open_R) if everything else ~self.open_R
        ended_E = ended_R.nonzero()[:, 0]
        ids_ET = self.tokens_TR[: self.step, ended_E].T.tolist()
        logprobs_ET = self.logprobs_TR[: self.step, ended_E].T.tolist()
        open_E = self.open_R[ended_E].tolist()
        owners_E = [self.owners[row] for row in ended_E.tolist()]
        kept_E = [self.kept_R[row] for row in ended_E.tolist()]
        return [Ended(*parts) for parts in zip(owners_E, ids_ET, logprobs_ET, open_E, kept_E, strict=True)]

    def advance(self, kept_R: Tensor | None = None) -> None:
        """The decoder goes on by the last tokens. kept_R: the completions that go on, in order; None for all.

        Completions that agree so far share a row of the decoder; where their tokens differ it is forked.
        """
        if self.alone and kept_R is None:
            self.decoding.advance(None, self.last_R)
            return
        parents_R, tokens_R = self.row_R, self.last_R
        if kept_R is not None:
            parents_R, tokens_R = parents_R[kept_R], tokens_R[kept_R]
        size = self.decoding.logits_UV.shape[1]
        texts_U, text_R = torch.unique(parents_R * size + tokens_R, return_inverse=True)
        place_U = self.decoding.advance(texts_U // size, texts_U % size)
        self.row_R = text_R if place_U is None else place_U[text_R]
        self.alone = len(texts_U) == len(self.row_R)
        if self.alone:
            self.row_R, order_R = self.row_R.sort()
            kept_R = order_R if kept_R is None else kept_R[order_R]
        if kept_R is not None:
            self._keep(kept_R)

    def _keep(self, kept_R: Tensor) -> None:
        """Only these completions from now on, in this order; `row_R` is theirs already."""
        self.owners = [self.owners[row] for row in kept_R.tolist()]
        self.kept_R = [self.kept_R[row] for row in kept_R.tolist()]
        self.uniforms_TR, self.open_R = self.uniforms_TR[:, kept_R], self.open_R[kept_R]
        self.tokens_TR, self.logprobs_TR = self.tokens_TR[:, kept_R], self.logprobs_TR[:, kept_R]
