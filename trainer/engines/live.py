"""The completions that are decoded together: their tokens so far, which have ended, which share a row.

Shapes: R live completions, E of them that have ended, U rows of the decoder (distinct texts), T positions of
the completion, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ..model.decoding import Decoding
from ..model.kept import list_kept_ids
from .base import Owner, Sampling
from .drawing import draw

Number = TypeVar("Number", int, float)


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

    Tables have a row for each place of a ring of T steps, T the largest budget of a completion: step s of all
    is noted at s % T, and a completion that joined at step b has its first random number at b % T. So a step
    reads and writes whole rows, whenever its completions began.

    uniforms_TR: their random numbers.  tokens_TR, logprobs_TR: what was drawn.  step: how many have been.
    begins_R, ends_R: the steps at which they joined, and at which their budgets end.  open_R: which have not
    ended.  row_R: the decoder's row of each.  alone: whether each has a row of its own, in the same order, so
    that rows need no looking up.
    kept_R: of each completion the ids that each of its tokens was drawn among, where that is recorded.
    """

    def __init__(
        self, decoding: Decoding, owners: Sequence[Owner], uniforms_TR: Tensor, budgets: Sequence[int] = ()
    ) -> None:
        """budgets: tokens that each may have; none: T of them."""
        device = decoding.logits_UV.device
        self.decoding, self.owners, self.step = decoding, list(owners), 0
        self.uniforms_TR = uniforms_TR.to(device)
        self.tokens_TR = torch.zeros(uniforms_TR.shape, dtype=torch.long, device=device)
        self.logprobs_TR = torch.zeros(uniforms_TR.shape, device=device)
        self.begins_R = [0] * len(self.owners)
        self.ends_R = list(budgets) or [self.budget] * len(self.owners)
        self.open_R = torch.ones(len(self.owners), dtype=torch.bool, device=device)
        self.kept_R: list[list[np.ndarray]] = [[] for _ in self.owners]
        self.row_R = decoding.start_R
        self.alone = len(self.row_R) == len(decoding.logits_UV)

    @property
    def last_R(self) -> Tensor:
        """The tokens of the last step."""
        return self.tokens_TR[(self.step - 1) % self.budget]

    @property
    def budget(self) -> int:
        """Tokens that a completion may have at most."""
        return len(self.tokens_TR)

    @property
    def spent(self) -> bool:
        """Whether the budget of some has ended."""
        return self.step == min(self.ends_R)

    def draw_tokens(self, sampling: Sampling) -> None:
        """One more token for every completion."""
        logits_UV, place = self.decoding.logits_UV, self.step % self.budget
        logits_RV = logits_UV if self.alone else logits_UV[self.row_R]
        drawn = draw(logits_RV, self.uniforms_TR[place], sampling)
        self.tokens_TR[place], self.logprobs_TR[place] = drawn.tokens_R, drawn.logprobs_R
        if sampling.record_kept and drawn.kept_RV is not None:
            for kept, ids in zip(self.kept_R, list_kept_ids(drawn.kept_RV), strict=True):
                kept.append(ids)
        self.step += 1

    def close(self, ended_R: Tensor) -> None:
        """These have ended, by the tokens of the last step or before. They are drawn for until `advance`."""
        self.open_R &= ~ended_R

    def list_last(self, count: int) -> list[list[int]]:
        """Of each completion its last tokens, `count` of them or all that it has."""
        count = min(count, self.step, self.budget)
        places = [place % self.budget for place in range(self.step - count, self.step)]
        return [
            ids[max(0, count - (self.step - begin)) :]
            for ids, begin in zip(self.tokens_TR[places].T.tolist(), self.begins_R, strict=True)
        ]

    def mark_ended(self) -> Tensor:
        """ended_R: by an end of its own, or by the budget."""
        if not self.spent:
            return ~self.open_R
        spent = [self.step == end for end in self.ends_R]
        return ~self.open_R | torch.tensor(spent, device=self.open_R.device)

    def list_ended(self, ended_E: Tensor) -> list[Ended]:
        """What was drawn for these, in order. `advance` is what drops them."""
        noted = slice(min(self.step, self.budget))
        tables = self.tokens_TR[noted, ended_E].T.tolist(), self.logprobs_TR[noted, ended_E].T.tolist()
        found = zip(ended_E.tolist(), self.open_R[ended_E].tolist(), *tables, strict=True)
        return [
            Ended(
                self.owners[row], self._unroll(ids, row), self._unroll(logprobs, row), open_, self.kept_R[row]
            )
            for row, open_, ids, logprobs in found
        ]

    def _unroll(self, column_T: list[Number], row: int) -> list[Number]:
        """What a row has of the ring, from its beginning on."""
        first, count = self.begins_R[row] % self.budget, self.step - self.begins_R[row]
        return (column_T[first:] + column_T[:first])[:count]

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

    def join(
        self, owners: Sequence[Owner], row_J: Tensor, uniforms_TJ: Tensor, budgets: Sequence[int] = ()
    ) -> None:
        """More completions, which begin with the next step. row_J: the decoder's row of each."""
        uniforms_TJ = uniforms_TJ.roll(self.step % self.budget, 0).to(self.uniforms_TR.device)
        self.uniforms_TR = torch.cat([self.uniforms_TR, uniforms_TJ], 1)
        self.tokens_TR = torch.cat([self.tokens_TR, torch.zeros_like(uniforms_TJ, dtype=torch.long)], 1)
        new_TJ = torch.zeros_like(uniforms_TJ, dtype=self.logprobs_TR.dtype)
        self.logprobs_TR = torch.cat([self.logprobs_TR, new_TJ], 1)
        self.begins_R += [self.step] * len(owners)
        budgets = budgets or [self.budget] * len(owners)
        self.ends_R += [self.step + budget for budget in budgets]
        self.open_R = torch.cat([self.open_R, torch.ones_like(row_J, dtype=torch.bool)])
        self.kept_R += [[] for _ in owners]
        self.owners += owners
        self.row_R = torch.cat([self.row_R, row_J])
        self.alone = self.alone and len(self.row_R) == len(self.decoding.logits_UV)

    def _keep(self, kept_R: Tensor) -> None:
        """Only these completions from now on, in this order; `row_R` is theirs already."""
        rows = kept_R.tolist()
        self.owners = [self.owners[row] for row in rows]
        self.kept_R = [self.kept_R[row] for row in rows]
        self.begins_R = [self.begins_R[row] for row in rows]
        self.ends_R = [self.ends_R[row] for row in rows]
        self.uniforms_TR, self.open_R = self.uniforms_TR[:, kept_R], self.open_R[kept_R]
        self.tokens_TR, self.logprobs_TR = self.tokens_TR[:, kept_R], self.logprobs_TR[:, kept_R]
