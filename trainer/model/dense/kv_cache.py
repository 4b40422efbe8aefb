"""Keys and values of the rows that the fast path decodes, as the compiled kernels read them.

It grows by buckets, holds only what has been asked for, and copies a row only where it is forked or fills a
gap.

Shapes: P prompts, U rows, K key/value heads, S positions, E head size, L layers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ..decoding import Extent
from ..row_cache import BUCKET, GROWTH, KeptRow, Prefill, take
from .family import DenseWeights

BLOCK = 16  # positions in a block of the kernels


class BlockCache:
    """Prompts, each once, and behind them what rows have drawn, in blocks of 16 positions
    (`decode_attention`).

    prompt: positions of the longest prompt; they are padded on the left.  starts_P: a prompt's first
    position.  owners_U: each row's prompt.  used: the head, places before which something was drawn, by each
    row from its place begins_U on.  prompts_L: keys and values P x K x S x E.  cache_L: keys and values
    2 x blocks x R x K x 16 E a layer. Keys of a block lie E x 16.
    """

    def __init__(self, start: Prefill, weights: DenseWeights, extent: Extent) -> None:
        self.prompt, self.starts_P = start.width, start.width - start.positions_P
        self.owners_U = torch.arange(len(start.positions_P))
        self.begins_U = torch.zeros_like(self.owners_U)
        self.used, self.most = 0, extent.new
        self.prompts_L = [_arrange_prompts(*take(layer)) for layer in start.layers]
        block = weights.head_size * BLOCK
        self.cache_L = [
            self._allocate(extent.rows, weights.key_heads, block, 2 * BUCKET) for _ in start.layers
        ]

    def admit(self, start: Prefill, rows_U: Tensor, live: int, longest: int) -> None:  # noqa: ARG002
        """A row more for each prompt, behind the first `live`. Prompts that no row reads are left out."""
        kept_P, owners_U = torch.unique(self.owners_U[:live], return_inverse=True)
        width, lengths_P = max(self.prompt, start.width), (self.prompt - self.starts_P)[kept_P]
        if kept_P.numel():
            width = max(int(lengths_P.max()), start.width)
        for index, layer in enumerate(start.layers):
            old = (_lay_in_rows(*self.prompts_L[index], self.prompt), take(layer))
            joined = (
                torch.cat([_fit(before[kept_P], width), _fit(new, width)])
                for before, new in zip(*old, strict=True)
            )
            self.prompts_L[index] = _arrange_prompts(*joined)
        self.prompt = width
        self.starts_P = width - torch.cat([lengths_P, start.positions_P])
        self.owners_U = torch.cat([owners_U, len(kept_P) + rows_U])
        self.begins_U = torch.cat([self.begins_U[:live], torch.full_like(rows_U, self.used)])

    def copy_row(self, row: int, positions: int, length: int) -> KeptRow:  # noqa: ARG002
        """The first `length` positions of a row's text."""
        prompt, begin = int(self.owners_U[row]), int(self.begins_U[row])
        start = int(self.starts_P[prompt])
        tables = []
        for (keys, values), cache in zip(self.prompts_L, self.cache_L, strict=True):
            one = slice(prompt, prompt + 1)
            before = [table[0, :, start:] for table in _lay_in_rows(keys[one], values[one], self.prompt)]
            drawn = cache[:, : self._count_blocks(), row].transpose(1, 2)  # 2 x K x blocks x 16 E
            size = drawn.shape[3] // BLOCK
            own = [
                drawn[0].unflatten(-1, (size, BLOCK)).transpose(2, 3),
                drawn[1].unflatten(-1, (BLOCK, size)),
            ]
            for old, new in zip(before, own, strict=True):
                tables.append(torch.cat([old, new.flatten(1, 2)[:, begin : self.used]], 1)[:, :length])
        return KeptRow.of(length, tables)

    def move(self, targets: Tensor, sources: Tensor, width: int) -> None:
        """Copy rows; the first `width` are computed from now on."""
        for cache in self.cache_L:
            cache[:, : self._count_blocks(), targets] = cache[:, : self._count_blocks(), sources]
        rows_2U = torch.stack([self.owners_U, self.begins_U])
        moving = rows_2U[:, sources]
        if width != rows_2U.shape[1]:
            rows_2U = rows_2U[:, torch.arange(width).clamp_(max=rows_2U.shape[1] - 1)]
        rows_2U[:, targets] = moving
        self.owners_U, self.begins_U = rows_2U

    def resize(self, width: int, length: int) -> None:
        """Only what there is, is computed."""

    def make_room(self, live: int, longest: Callable[[], int]) -> None:  # noqa: ARG002
        """Grow where the next position has no place, or drop the blocks that no row has anything in."""
        capacity = self.cache_L[0].shape[1] * BLOCK
        if self.used < capacity:
            return
        rows, blocks, empty = len(self.owners_U), self._count_blocks(), int(self.begins_U.min()) // BLOCK
        if empty * BLOCK < min(BUCKET, self.most + BLOCK - capacity):
            positions = max(self.used + BUCKET, int(self.used * GROWTH))
            for index, old in enumerate(self.cache_L):
                self.cache_L[index] = cache = self._allocate(
                    old.shape[2], old.shape[3], old.shape[4], positions
                )
                cache[:, :blocks, :rows] = old[:, :, :rows]
            return
        for cache in self.cache_L:
            cache[:, : blocks - empty, :rows] = cache[:, empty:, :rows].clone()
        self.used -= empty * BLOCK
        self.begins_U = self.begins_U - empty * BLOCK

    def settle(self) -> None:
        """A position more holds something."""
        self.used += 1

    def _count_blocks(self) -> int:
        return -(-self.used // BLOCK)

    def _allocate(self, rows: int, heads: int, block: int, positions: int) -> Tensor:
        """Blocks for so many positions, no more than a row may need: one that joined may begin within one."""
        most = self.most + BLOCK if bool(self.begins_U.any()) else self.most
        return torch.empty(2, -(-min(most, positions) // BLOCK), rows, heads, block)


def _arrange_prompts(keys_PKSE: Tensor, values_PKSE: Tensor) -> tuple[Tensor, Tensor]:
    """As the kernels read them: whole blocks of positions, of keys E x 16 each."""
    return arrange_in_blocks(keys_PKSE), pad_to_blocks(values_PKSE)


def _lay_in_rows(keys_PKSE: Tensor, values_PKSE: Tensor, prompt: int) -> tuple[Tensor, Tensor]:
    """What `_arrange_prompts` was given, of `prompt` positions."""
    blocks = keys_PKSE.shape[2] // BLOCK
    keys_PKSE = (
        keys_PKSE.view(*keys_PKSE.shape[:2], blocks, -1, BLOCK).transpose(-1, -2).reshape(keys_PKSE.shape)
    )
    return keys_PKSE[:, :, :prompt], values_PKSE[:, :, :prompt]


def _fit(table_PKSE: Tensor, width: int) -> Tensor:
    """Of `width` positions, the last of them those of before; padded, or cut, on the left."""
    return functional.pad(table_PKSE, (0, 0, width - table_PKSE.shape[2], 0))


def pad_to_blocks(table_PKSE: Tensor) -> Tensor:
    """Filled up with 0 to whole blocks of positions."""
    return functional.pad(table_PKSE, (0, 0, 0, -table_PKSE.shape[2] % BLOCK)).contiguous()


def arrange_in_blocks(keys_PKSE: Tensor) -> Tensor:
    """Keys as the kernels read them: blocks of 16 positions, E x 16 each."""
    whole_PKSE = pad_to_blocks(keys_PKSE)
    return whole_PKSE.unflatten(2, (-1, BLOCK)).transpose(-1, -2).contiguous().view(whole_PKSE.shape)
