"""Token sequences as tensors.

Shapes: B rows (one prompt with one completion each), S positions of prompt + completion, T positions of the
completion. Rows are padded on the right. A causal model never sees what stands to the right, so no attention
mask is needed, and positions count from 0 in every row.

A row whose context was rewritten on its way (`Rewind`) is read as branches: C of them in all rows, each with
the context in which its tokens were drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...verifiers.types import KeptTokens, Rewind
from .kept import KeptSets, join_ranges

UPDATE_TOKENS = 2048  # in a micro-batch of an update where nothing else is asked for


@dataclass(frozen=True)
class Sequences:
    """Right-padded prompts with their completions.

    ids_BS: token ids.  prompt_lengths_B, lengths_B: tokens of the prompt, of the completion.
    kept: what each completion token was drawn among, row by row; None: the whole vocabulary. The sequences'
    log-probabilities and entropies are those of a model's distribution restricted to that.  branches: what a
    model reads in place of the rows; None: the rows themselves.
    """

    ids_BS: Tensor
    prompt_lengths_B: Tensor
    lengths_B: Tensor
    kept: KeptSets | None = None
    branches: Branches | None = None

    @classmethod
    def of(
        cls,
        prompts: Sequence[Sequence[int]],
        completions: Sequence[Sequence[int]],
        device: torch.device | str = "cpu",
        kept: Sequence[KeptTokens | None] = (),
    ) -> Sequences:
        """Raises ValueError when only some of the tokens know what they were drawn among."""
        known = [one for one in kept if one is not None]
        if known and [len(one.counts) for one in known] != [len(completion) for completion in completions]:
            raise ValueError(
                f"{sum(len(one.counts) for one in known)} of {sum(map(len, completions))} tokens, in "
                f"{len(known)} of {len(completions)} completions, know what they were drawn among: an engine "
                "that is told to record it does so for all."
            )
        rows = [[*prompt, *completion] for prompt, completion in zip(prompts, completions, strict=True)]
        width = max(len(row) for row in rows)
        ids_BS = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=device)
        return cls(
            ids_BS,
            torch.tensor([len(prompt) for prompt in prompts], device=device),
            torch.tensor([len(completion) for completion in completions], device=device),
            KeptSets.of(known, device) if known else None,
        )

    @property
    def mask_BT(self) -> Tensor:
        """True on completion tokens."""
        width = int(self.lengths_B.max()) if len(self.lengths_B) else 0
        return torch.arange(width, device=self.lengths_B.device) < self.lengths_B[:, None]

    def mark_drawn(self, drawn: Sequence[Sequence[bool]]) -> Tensor:
        """drawn_BT: True on the completion tokens that a model drew, or is to imitate.

        drawn: of each row, which of its completion tokens these are; () for all. Raises ValueError where a
        row says it of another number of tokens than it has.
        """
        drawn_BT = self.mask_BT
        marked = {row: marks for row, marks in enumerate(drawn) if len(marks)}
        lengths = self.lengths_B.tolist() if marked else []
        for row, marks in marked.items():
            if len(marks) != (length := lengths[row]):
                raise ValueError(
                    f"A completion of {length} tokens says of {len(marks)} whether they were drawn."
                )
            drawn_BT[row, :length] = torch.tensor(marks, dtype=torch.bool, device=drawn_BT.device)
        return drawn_BT

    def select(self, rows_B: Tensor) -> Sequences:
        """Some of the rows, without the columns that none of them uses."""
        prompts_B, lengths_B = self.prompt_lengths_B[rows_B], self.lengths_B[rows_B]
        width = int((prompts_B + lengths_B).max()) if len(prompts_B) else 0
        kept = self.kept
        if kept is not None:
            firsts_B = self.lengths_B.cumsum(0) - self.lengths_B
            kept = kept.take(join_ranges(firsts_B[rows_B], lengths_B))
        branches = None if self.branches is None else self.branches.select(rows_B)
        return Sequences(self.ids_BS[rows_B, :width], prompts_B, lengths_B, kept, branches)

    def branch(self, sampled: Sequence[Sequence[bool]], rewinds: Sequence[Sequence[Rewind]]) -> Sequences:
        """The same rows, read as branches where their contexts were rewritten; themselves where none was.

        sampled: as for `mark_drawn`.  rewinds: of each row (`Completion.rewinds`).
        """
        if not any(map(len, rewinds)):
            return self
        prompts_B, lengths_B = self.prompt_lengths_B.tolist(), self.lengths_B.tolist()
        found: list[_Branch] = []
        for row, ids_S in enumerate(self.ids_BS.tolist()):
            prompt, stop = prompts_B[row], prompts_B[row] + lengths_B[row]
            found += _list_branches(row, ids_S[:prompt], ids_S[prompt:stop], sampled[row], rewinds[row])
        device = self.ids_BS.device
        rows = Sequences.of([one.prompt for one in found], [one.ids for one in found], device)
        owners_C = torch.tensor([one.row for one in found], device=device)
        firsts_C = torch.tensor([one.first for one in found], device=device)
        if self.kept is not None:
            starts_C = (self.lengths_B.cumsum(0) - self.lengths_B)[owners_C] + firsts_C
            rows = replace(rows, kept=self.kept.take(join_ranges(starts_C, rows.lengths_B)))
        return replace(self, branches=Branches(rows, owners_C, firsts_C))


@dataclass(frozen=True)
class Branches:
    """What a model reads of rows whose contexts were rewritten.

    rows: a branch each, as a prompt and what was drawn behind it.  owners_C: numbers of the rows that they
    are of.  firsts_C: which of that row's completion tokens is the branch's first.
    """

    rows: Sequences
    owners_C: Tensor
    firsts_C: Tensor

    def select(self, rows_B: Tensor) -> Branches | None:
        """Those of some of the rows, in their order; None where each of these is its only branch as it
        stands."""
        owners_C, taken_C = (self.owners_C == rows_B[:, None]).nonzero(as_tuple=True)
        if len(taken_C) == len(rows_B) and not self.firsts_C[taken_C].any():
            return None
        return Branches(self.rows.select(taken_C), owners_C, self.firsts_C[taken_C])

    def join(self, of_CT: Tensor, shape: Sequence[int]) -> Tensor:
        """of_BT of these rows: what the branches have of their tokens, 0 elsewhere. shape: of B and T."""
        branch_N, column_N = self.rows.mask_BT.nonzero(as_tuple=True)
        places = self.owners_C[branch_N], self.firsts_C[branch_N] + column_N
        return of_CT.new_zeros(tuple(shape)).index_put(places, of_CT[branch_N, column_N])


@dataclass(frozen=True)
class _Branch:
    row: int
    first: int
    prompt: list[int]
    ids: list[int]


def _list_branches(
    row: int, prompt: list[int], ids: list[int], sampled: Sequence[bool], rewinds: Sequence[Rewind]
) -> Iterator[_Branch]:
    """A row's branches: of each the first token is one that was drawn, but for a row without rewinds."""
    context, start = prompt, 0
    for place, kept in [*((one.place, one.kept) for one in rewinds), (len(ids), 0)]:
        first = start
        while start and first < place and not sampled[first]:
            first += 1
        if first < place:
            yield _Branch(row, first, [*context, *ids[start:first]], ids[first:place])
        context, start = [*context, *ids[start:place]][:kept], place


def sort_by_beginning(ids_BS: np.ndarray, lengths_B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """order_B: row numbers such that like beginnings stand together.  shared_B: for each row in that order,
    how many of its first `lengths_B` tokens are those of the row before it (0 for the first)."""
    order_B = np.lexsort(ids_BS.T[::-1])
    ids_BS, lengths_B = ids_BS[order_B], lengths_B[order_B]
    same_BS = np.logical_and.accumulate(ids_BS[1:] == ids_BS[:-1], 1)
    shared_B = np.minimum(same_BS.sum(1), np.minimum(lengths_B[1:], lengths_B[:-1]))
    return order_B, np.concatenate([[0], shared_B])


def split_into_microbatches(
    sequences: Sequences, tokens: int = UPDATE_TOKENS, packed: bool = False
) -> Iterator[Tensor]:
    """Row numbers of micro-batches of at most `tokens` tokens each (always at least one row).

    Padded rows (the default): longest first, rows of like length go together, and padding counts. `packed`:
    rows of like beginning go together, which counts once, and padding is not counted.
    """
    device = sequences.ids_BS.device
    totals = (sequences.prompt_lengths_B + sequences.lengths_B).cpu().numpy()
    if not len(totals):
        return
    order, shared = np.argsort(-totals, kind="stable"), np.zeros_like(totals)
    if packed:
        order, shared = sort_by_beginning(sequences.ids_BS.cpu().numpy(), totals)
    start, used, longest = 0, 0, 0
    for place, row in enumerate(order):
        longest = max(longest, totals[row])
        size = used + totals[row] - shared[place] if packed else (place - start + 1) * longest
        if place > start and size > tokens:
            yield torch.from_numpy(order[start:place].copy()).to(device)
            start, longest, size = place, totals[row], totals[row]
        used = size
    yield torch.from_numpy(order[start:].copy()).to(device)
