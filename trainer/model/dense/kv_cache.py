"""Keys and values of the rows that the fast path decodes, as torch reads them and as the compiled kernels do.

All rows write their next position in the same place, the head, and begin where their own texts began: what
joins later begins later. So a row that goes on costs nothing when another takes the place of an ended one.
Both grow by buckets, hold only what has been asked for, and copy a row only where it is forked or fills a
gap.

Shapes: P prompts, U rows, K key/value heads, S positions, E head size, N = U * K, L layers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ..decoding import Extent
from .buffers import KeptCache
from .family import DenseWeights
from .prefill import Prefill, PromptLayer

BUCKET = 64  # positions by which a cache grows at least, and that are moved away at least
GROWTH = 1.5
BLOCK = 16  # positions in a block of the kernels
CLOSED = float("-inf")


class RowCache:
    """A table for each row, prompt included: keys and values 2 x R x K x S x E a layer.

    used: the head, before which rows hold something; each from the place on that leaves room for its text.
    bias_R1S: 0 on the positions of a row, -inf elsewhere; None while every position counts for every row.
    fixed: shapes stay, the whole of `length` positions is read under the bias.
    """

    def __init__(
        self,
        start: Prefill,
        weights: DenseWeights,
        rows_U: Tensor,
        extent: Extent,
        kept: KeptCache | None = None,
    ) -> None:
        """rows_U: the prompt of each row.  kept: tables that stay where they are, and are all read."""
        self.fixed, self.used, self.width = kept is not None, start.width, len(rows_U)
        self.most, device = extent.positions, rows_U.device
        self.bias_R1S: Tensor | None = None
        if kept is None:
            self.capacity = min(self.most, self.used + 2 * BUCKET)
            self.slot = torch.tensor([self.used], device=device)
            shape = (2, extent.rows, weights.key_heads, self.capacity, weights.head_size)
            self.cache_L = [torch.empty(shape, dtype=weights.dtype, device=device) for _ in weights.layers]
            if start.mask_PS is not None:
                self.bias_R1S = self._close_all()
        else:
            self.capacity, self.slot, self.bias_R1S = kept.bias_R1S.shape[2], kept.slot, kept.bias_R1S
            self.cache_L = kept.cache_L
            self.slot.fill_(self.used)
        self.length = self.capacity
        self._place(start, rows_U, 0)
        self.views_L = self._view_rows()

    def admit(self, start: Prefill, rows_U: Tensor, live: int, longest: int) -> None:
        """More rows behind the first `live`, whose longest text has `longest` positions."""
        target = max(longest, start.width)
        if target > self.used or self.used - target >= BUCKET:
            self._align(target, live)
        if self.bias_R1S is None:
            self.bias_R1S = self._close_all()
            self.bias_R1S[:live, :, : self.used] = 0.0
        self.width = live + len(rows_U)
        self._place(start, rows_U, live)
        self.views_L = self._view_rows()

    def _place(self, start: Prefill, rows_U: Tensor, first: int) -> None:
        """Prompts into rows from `first` on, so that they end at the head."""
        rows, begin = slice(first, first + len(rows_U)), self.used - start.width
        for cache, layer in zip(self.cache_L, start.layers, strict=True):
            for table, prompts in zip(cache, take(layer), strict=True):
                table[rows, :, begin : self.used] = prompts[rows_U]
                table[rows, :, :begin] = 0.0  # what is masked must be finite: 0 * nan is nan
        if self.bias_R1S is not None:
            self.bias_R1S[rows] = CLOSED
            seen_PS = start.mask_PS
            self.bias_R1S[rows, 0, begin : self.used] = (
                0.0
                if seen_PS is None
                else torch.where(seen_PS[rows_U].bool(), 0.0, CLOSED).to(self.bias_R1S.dtype)
            )

    def move(self, targets: Tensor, sources: Tensor, width: int) -> None:
        """Copy rows; the first `width` are computed from now on."""
        for cache in self.cache_L:
            cache[:, targets, :, : self.used] = cache[:, sources, :, : self.used]
        if self.bias_R1S is not None:
            self.bias_R1S[targets] = self.bias_R1S[sources]
        self.resize(width)

    def resize(self, width: int, length: int | None = None) -> None:
        """Rows and positions that are computed from now on."""
        length = self.length if length is None else length
        if (width, length) != (self.width, self.length):
            self.width, self.length = width, length
            self.views_L = self._view_rows()

    def make_room(self, live: int, longest: Callable[[], int]) -> None:
        """Grow where the next position has no place, or move the first `live` rows to the front.

        longest: positions of the longest of them."""
        if self.used < self.capacity:
            return
        if self.fixed or self.capacity == self.most:
            self._align(longest(), live)
            return
        self._grow(min(self.most, max(self.used + BUCKET, int(self.used * GROWTH) // BUCKET * BUCKET)))
        self.views_L = self._view_rows()

    def _grow(self, capacity: int) -> None:
        more, self.capacity = capacity - self.capacity, capacity
        for index, old in enumerate(self.cache_L):
            shape = (*old.shape[:3], capacity, old.shape[4])
            self.cache_L[index] = cache = torch.empty(shape, dtype=old.dtype, device=old.device)
            cache[:, : self.width, :, : self.used] = old[:, : self.width, :, : self.used]
        if self.bias_R1S is not None:
            self.bias_R1S = functional.pad(self.bias_R1S, (0, more), value=CLOSED)
        self.length = capacity

    def _align(self, used: int, live: int) -> None:
        """Move the head, and what the live rows hold before it."""
        if used > self.capacity:
            self._grow(min(self.most, used + BUCKET))
        kept = min(used, self.used)  # the last positions before the head
        before, now = slice(self.used - kept, self.used), slice(used - kept, used)
        for cache in self.cache_L:
            cache[:, :live, :, now] = cache[:, :live, :, before].clone()
            cache[:, :live, :, : used - kept] = 0.0
        if self.bias_R1S is not None or used > self.used:
            old_R1S = self.bias_R1S
            if old_R1S is None:
                old_R1S = self._close_all()
                old_R1S[:live, :, : self.used] = 0.0
            moved_U1S = old_R1S[:live, :, before].clone()
            old_R1S[:live] = CLOSED
            old_R1S[:live, :, now] = moved_U1S
            self.bias_R1S = old_R1S
        self.slot.fill_(used)
        self.used = used

    def open_next(self) -> Tensor | None:
        """bias_N1S of the step that writes the next position, which counts for every row."""
        if self.bias_R1S is None:
            return None
        if self.fixed:
            bias_U1S = self.bias_R1S[: self.width, :, : self.length]
            bias_U1S.index_fill_(2, self.slot, 0.0)
        else:
            self.bias_R1S[: self.width, :, self.used] = 0.0
            bias_U1S = self.bias_R1S[: self.width, :, : self.used + 1]
        heads = self.cache_L[0].shape[2]
        return bias_U1S.repeat_interleave(heads, 0) if heads > 1 else bias_U1S

    def settle(self) -> None:
        """A position more holds something."""
        self.used += 1
        self.slot += 1

    def _view_rows(self) -> list[tuple[Tensor, Tensor]]:
        """keys_NSE and values_NSE of the rows that are computed."""
        return [
            (cache[0, : self.width].flatten(0, 1)[:, : self.length],
             cache[1, : self.width].flatten(0, 1)[:, : self.length])
            for cache in self.cache_L
        ]  # fmt: skip

    def _close_all(self) -> Tensor:
        cache = self.cache_L[0]
        return torch.full((cache.shape[1], 1, self.capacity), CLOSED, dtype=cache.dtype, device=cache.device)


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

    def admit(self, start: Prefill, live: int) -> None:
        """A row more for each prompt, behind the first `live`. Prompts that no row reads are left out."""
        kept_P, owners_U = torch.unique(self.owners_U[:live], return_inverse=True)
        more = len(start.positions_P)
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
        self.owners_U = torch.cat([owners_U, len(kept_P) + torch.arange(more)])
        self.begins_U = torch.cat([self.begins_U[:live], torch.full((more,), self.used)])

    def move(self, targets: Tensor, sources: Tensor, width: int) -> None:
        """Copy rows; the first `width` are computed from now on."""
        for cache in self.cache_L:
            cache[:, : self._count_blocks(), targets] = cache[:, : self._count_blocks(), sources]
        self.owners_U = move_rows(self.owners_U, targets, sources, width)
        self.begins_U = move_rows(self.begins_U, targets, sources, width)

    def make_room(self) -> None:
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


def take(layer: PromptLayer) -> tuple[Tensor, Tensor]:
    """Keys and values of the prompts, P x K x S x E, which nobody else needs any more."""
    keys, values = layer.keys, layer.values
    assert keys is not None
    assert values is not None
    layer.keys = layer.values = None
    return keys, values


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


def move_rows(state: Tensor, targets: Tensor, sources: Tensor, width: int) -> Tensor:
    """Per-row state after rows `sources` were copied to `targets`, `width` rows of it."""
    moving = state[sources]
    if width != len(state):
        state = state[torch.arange(width, device=state.device).clamp_(max=len(state) - 1)]
    state[targets] = moving
    return state
