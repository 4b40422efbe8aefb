"""Keys and values of the rows that the fast path decodes, as torch reads them and as the compiled kernels do.

Both grow by buckets, hold only what has been asked for, and copy a row only where it is forked or fills a
gap.

Shapes: P prompts, U rows, K key/value heads, S positions, E head size, N = U * K, L layers.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .family import DenseWeights
from .prefill import Prefill, PromptLayer

BUCKET = 64  # positions by which a cache grows at least
GROWTH = 1.5
BLOCK = 16  # positions in a block of the kernels


class RowCache:
    """A table for each row, prompt included: keys and values 2 x U x K x S x E a layer.

    used: positions that hold something.  bias_U1S: 0 on the positions of a row, -inf on padding (and, where
    `fixed`, on what is not used yet, since the whole table is read);
    None while every position counts for every row.
    """

    def __init__(
        self, start: Prefill, weights: DenseWeights, rows_U: Tensor, limit: int, *, fixed: bool
    ) -> None:
        """rows_U: the prompt of each row.  limit: positions that a row may have behind its prompt."""
        self.fixed, self.used, self.width, rows = fixed, start.width, len(rows_U), len(start.start_R)
        self.most = self.used + limit
        self.capacity = min(self.most, self.used + 2 * BUCKET)
        device = rows_U.device
        self.slot = torch.tensor([self.used], device=device)  # `used` as a graph reads it
        self.bias_U1S: Tensor | None = None
        if start.mask_PS is not None or fixed:
            seen_PS = (
                torch.ones(len(start.positions_P), self.used, device=device)
                if start.mask_PS is None
                else start.mask_PS
            )
            self.bias_U1S = torch.full(
                (self.width, 1, self.capacity), float("-inf") if fixed else 0.0, device=device
            )
            self.bias_U1S[:, 0, : self.used] = torch.where(seen_PS[rows_U].bool(), 0.0, float("-inf"))
            self.bias_U1S = self.bias_U1S.to(weights.dtype)
        self.cache_L: list[Tensor] = []
        for layer in start.layers:
            cache = self._allocate(rows, weights.key_heads, weights.head_size, weights.dtype, device)
            for table, prompts in zip(cache, take(layer), strict=True):
                table[: self.width, :, : self.used] = prompts[rows_U]
            self.cache_L.append(cache)
        self.views_L = self._view_rows()

    def move(self, targets: Tensor, sources: Tensor, width: int) -> None:
        """Copy rows; the first `width` are computed from now on."""
        for cache in self.cache_L:
            cache[:, targets, :, : self.used] = cache[:, sources, :, : self.used]
        if self.bias_U1S is not None:
            self.bias_U1S = move_rows(self.bias_U1S, targets, sources, width)
        if width != self.width:
            self.width = width
            self.views_L = self._view_rows()

    def make_room(self) -> bool:
        """Grow where the next position has no place; whether it has."""
        if self.used < self.capacity:
            return False
        self.capacity = min(self.most, max(self.used + BUCKET, int(self.used * GROWTH) // BUCKET * BUCKET))
        for index, old in enumerate(self.cache_L):
            rows = self.width if self.fixed else old.shape[1]
            self.cache_L[index] = cache = self._allocate(
                rows, old.shape[2], old.shape[4], old.dtype, old.device
            )
            cache[:, : self.width, :, : self.used] = old[:, : self.width, :, : self.used]
        if self.bias_U1S is not None:
            more = self.capacity - self.bias_U1S.shape[2]
            self.bias_U1S = functional.pad(
                self.bias_U1S, (0, more), value=float("-inf") if self.fixed else 0.0
            )
        self.views_L = self._view_rows()
        return True

    def settle(self) -> None:
        """A position more holds something."""
        self.used += 1
        self.slot += 1

    def _view_rows(self) -> list[tuple[Tensor, Tensor]]:
        """keys_NSE and values_NSE of the rows that are computed."""
        return [
            (cache[0, : self.width].flatten(0, 1), cache[1, : self.width].flatten(0, 1))
            for cache in self.cache_L
        ]

    def _allocate(self, rows: int, heads: int, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        make = torch.zeros if self.fixed else torch.empty  # what is masked must be finite: 0 * nan is nan
        return make((2, rows, heads, self.capacity, size), dtype=dtype, device=device)


class BlockCache:
    """Prompts, each once, and behind them what rows have drawn, in blocks of 16 positions
    (`decode_attention`).

    prompt: positions of the longest prompt; they are padded on the left.  starts_P: a prompt's first
    position.  owners_U: each row's prompt.  used: positions that have been drawn.  prompts_L: keys and values
    P x K x S x E.  cache_L: keys and values 2 x blocks x U x K x 16 E a layer. Keys of a block lie E x 16.
    """

    def __init__(self, start: Prefill, weights: DenseWeights, limit: int) -> None:
        """limit: positions that a row may draw."""
        self.prompt, self.starts_P = start.width, start.width - start.positions_P
        self.owners_U = torch.arange(len(start.positions_P))
        self.used, self.most = 0, limit
        self.prompts_L: list[tuple[Tensor, Tensor]] = []
        self.cache_L: list[Tensor] = []
        for layer in start.layers:
            keys_PKSE, values_PKSE = (table.to(weights.dtype) for table in take(layer))
            self.prompts_L.append((arrange_in_blocks(keys_PKSE), pad_to_blocks(values_PKSE)))
            self.cache_L.append(
                self._allocate(len(start.start_R), weights.key_heads, weights.head_size * BLOCK, 2 * BUCKET)
            )

    def move(self, targets: Tensor, sources: Tensor, width: int) -> None:
        """Copy rows; the first `width` are computed from now on."""
        for cache in self.cache_L:
            cache[:, : self._count_blocks(), targets] = cache[:, : self._count_blocks(), sources]
        self.owners_U = move_rows(self.owners_U, targets, sources, width)

    def make_room(self) -> bool:
        """Grow where the next position has no place; whether it has."""
        if self.used < self.cache_L[0].shape[1] * BLOCK:
            return False
        for index, old in enumerate(self.cache_L):
            self.cache_L[index] = cache = self._allocate(
                old.shape[2], old.shape[3], old.shape[4], max(self.used + BUCKET, int(self.used * GROWTH))
            )
            rows = len(self.owners_U)
            cache[:, : self._count_blocks(), :rows] = old[:, : self._count_blocks(), :rows]
        return True

    def settle(self) -> None:
        """A position more holds something."""
        self.used += 1

    def _count_blocks(self) -> int:
        return -(-self.used // BLOCK)

    def _allocate(self, rows: int, heads: int, block: int, positions: int) -> Tensor:
        return torch.empty(2, -(-min(self.most, positions) // BLOCK), rows, heads, block)


def take(layer: PromptLayer) -> tuple[Tensor, Tensor]:
    """Keys and values of the prompts, P x K x S x E, which nobody else needs any more."""
    keys, values = layer.keys, layer.values
    assert keys is not None
    assert values is not None
    layer.keys = layer.values = None
    return keys, values


def pad_to_blocks(table_PKSE: Tensor) -> Tensor:
    """Filled up with 0 to whole blocks of positions."""
    return functional.pad(table_PKSE, (0, 0, 0, -table_PKSE.shape[2] % BLOCK)).contiguous()


def arrange_in_blocks(keys_PKSE: Tensor) -> Tensor:
    """Keys as the kernels read them: blocks of 16 positions, E x 16 each."""
    whole_PKSE = pad_to_blocks(keys_PKSE)
    return whole_PKSE.unflatten(2, (-1, BLOCK)).transpose(-1, -2).contiguous().view(whole_PKSE.shape)


def move_rows(state: Tensor, targets: Tensor, sources: Tensor, width: int) -> Tensor:
    """Per-row state after rows `sources` were copied to `targets`, `width` rows of it; in place where it has
    as many already, since a captured graph goes on reading it."""
    moving = state[sources]
    if width != len(state):
        state = state[torch.arange(width, device=state.device).clamp_(max=len(state) - 1)]
    state[targets] = moving
    return state
