"""The rows of a batch as a tree of distinct beginnings.

Shapes: B rows, S positions, N distinct tokens, L completion tokens of all rows.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from ..sequences import Sequences, sort_by_beginning
from .tree_attention import make_block_mask


@dataclass(frozen=True)
class Packing:
    """The rows of a batch as a tree: every distinct beginning of a row is one token of a flat list.

    index_BS: place of each position of a row in the list, right-padded with 0.  lengths_B: positions of a
    row.  firsts_B: its first position that no row before has, in the order in which the list was made.
    cells_N: one place of every token in a table of B x S.  sources_L:
    place of the token that predicts completion token L (row by row).  ends_N: for each token, the place after
    the last that has it in its beginning; these stand together behind it.
    """

    ids_N: Tensor
    positions_N: Tensor
    index_BS: Tensor
    lengths_B: Tensor
    firsts_B: Tensor
    cells_N: Tensor
    sources_L: Tensor
    ends_N: np.ndarray

    @functools.cached_property
    def block_mask(self) -> BlockMask:
        """Which tokens attend to which, for FlexAttention; the same for all layers."""
        return make_block_mask(self.ends_N, self.ids_N.device)

    @classmethod
    def of(cls, sequences: Sequences) -> Packing:
        """A completion's last token predicts nothing, so it is left out."""
        device, before_B = sequences.ids_BS.device, sequences.prompt_lengths_B
        ids_BS = sequences.ids_BS[:, : max(1, sequences.ids_BS.shape[1] - 1)].cpu().numpy()
        lengths_B = (before_B + sequences.lengths_B - 1).cpu().numpy()
        order_B, shared_B = sort_by_beginning(ids_BS, lengths_B)
        column_S = np.arange(ids_BS.shape[1])
        used_BS = column_S < lengths_B[order_B, None]
        new_BS = used_BS & (column_S >= shared_B[:, None])
        # A position that is not new is that of the row before, which may itself have it from the row before
        # it.
        numbers_BS = np.where(new_BS, np.cumsum(new_BS).reshape(new_BS.shape) - 1, -1)
        numbers_BS = np.where(used_BS, np.maximum.accumulate(numbers_BS, 0), 0)
        ends_N = np.zeros(int(new_BS.sum()), dtype=np.int64)
        until_BS = np.broadcast_to(np.cumsum(new_BS.sum(1))[:, None], used_BS.shape)
        np.maximum.at(ends_N, numbers_BS[used_BS], until_BS[used_BS])
        index_BS, cells_BS = np.empty_like(numbers_BS), np.arange(ids_BS.size).reshape(ids_BS.shape)
        index_BS[order_B] = numbers_BS
        firsts_B = np.empty_like(shared_B)
        firsts_B[order_B] = shared_B
        cells_N = torch.from_numpy(cells_BS[order_B][new_BS]).to(device)
        placed_BS = torch.from_numpy(index_BS).to(device)
        rows_L, columns_L = sequences.mask_BT.nonzero(as_tuple=True)
        width = ids_BS.shape[1]
        return cls(
            sequences.ids_BS[:, :width].flatten()[cells_N],
            cells_N % width,
            placed_BS,
            torch.from_numpy(lengths_B).to(device),
            torch.from_numpy(firsts_B).to(device),
            cells_N,
            placed_BS[rows_L, before_B[rows_L] + columns_L - 1],
            ends_N,
        )
