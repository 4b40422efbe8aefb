"""Prompts that have been read, and tables in which rows go on from them.

All rows write their next position in the same place, the head, and begin where their own texts began: what
joins later begins later. So a row that goes on costs nothing when another takes the place of an ended one.

Shapes: P prompts, R rows at most, U of them that are computed, K key/value heads, S positions, E head size, V
vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .caches import KeptRow, fit, holds_tables
from .decoding import Extent, GeneralDecoding

BUCKET = 64  # positions by which a cache grows at least, and that are moved away at least
GROWTH = 1.5
CLOSED = float("-inf")


@dataclass
class PromptLayer:
    """Keys and values of one layer, P x K x S x E; None once a cache has taken them over."""

    keys: Tensor | None
    values: Tensor | None


@dataclass(frozen=True)
class Prefill:
    """What is known after the prompts. width: S.  positions_P: lengths of the prompts.  mask_PS: 0 on the
    padding on their left, None where there is none.  start_R: the prompt of each completion.  logits_PV: of
    the token after each prompt."""

    width: int
    positions_P: Tensor
    mask_PS: Tensor | None
    start_R: Tensor
    logits_PV: Tensor
    layers: list[PromptLayer]


def take(layer: PromptLayer) -> tuple[Tensor, Tensor]:
    """Keys and values of the prompts, P x K x S x E, which nobody else needs any more."""
    keys, values = layer.keys, layer.values
    assert keys is not None
    assert values is not None
    layer.keys = layer.values = None
    return keys, values


def read_prefill(start: GeneralDecoding) -> Prefill:
    """What a decoding has read of its prompts; its cache is empty afterwards.

    Raises ValueError for a cache that is not one of keys and values.
    """
    if not holds_tables(start.cache):
        raise ValueError(f"{type(start.cache).__name__} holds more than keys and values of positions")
    layers = []
    for layer in start.list_layers():
        layers.append(PromptLayer(fit(layer.keys, start.width, 2), fit(layer.values, start.width, 2)))
        layer.keys = layer.values = None
    return Prefill(start.width, start.positions_U, start.mask_US, start.start_R, start.logits_UV, layers)


def list_shapes(start: Prefill) -> list[tuple[int, int]]:
    """Heads and head size of each layer's keys, then of its values."""
    tables = [table for layer in start.layers for table in (layer.keys, layer.values)]
    return [(table.shape[1], table.shape[3]) for table in tables if table is not None]


@dataclass(frozen=True)
class KeptCache:
    """Tables that stay where they are from call to call. tables: R x K x S x E, keys and then values of each
    layer. bias_R1S: 0 where a row has something, -inf elsewhere.  slot: the place of the next position, as a
    recorded step reads it."""

    tables: list[Tensor]
    bias_R1S: Tensor
    slot: Tensor

    @classmethod
    def allocate(
        cls,
        shapes: Sequence[tuple[int, int]],
        rows: int,
        positions: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> KeptCache:
        """shapes: heads and head size of each table."""
        return cls(  # zeros: what is masked must be finite
            [torch.zeros(rows, heads, positions, size, dtype=dtype, device=device) for heads, size in shapes],
            torch.zeros(rows, 1, positions, dtype=dtype, device=device),
            torch.zeros(1, dtype=torch.long, device=device),
        )


class RowCache:
    """Every row's own positions, prompt included: tables R x K x S x E, the keys of a layer and then its
    values.

    used: the head, before which rows hold something; each from the place on that leaves room for its text.
    bias_R1S: 0 on the positions of a row, -inf elsewhere; None while every position counts for every row.
    fixed: shapes stay, the whole of `length` positions is read under the bias.
    """

    def __init__(
        self,
        start: Prefill,
        rows_U: Tensor,
        extent: Extent,
        dtype: torch.dtype,
        kept: KeptCache | None = None,
    ) -> None:
        """rows_U: the prompt of each row.  dtype: of keys and values.  kept: tables that stay where they are,
        and are all read."""
        self.fixed, self.used, self.width = kept is not None, start.width, len(rows_U)
        self.most, device = extent.positions, rows_U.device
        self.bias_R1S: Tensor | None = None
        if kept is None:
            self.capacity = min(self.most, self.used + 2 * BUCKET)
            self.slot = torch.tensor([self.used], device=device)
            self.tables = [
                torch.empty(extent.rows, heads, self.capacity, size, dtype=dtype, device=device)
                for heads, size in list_shapes(start)
            ]
            if start.mask_PS is not None:
                self.bias_R1S = self._close_all()
        else:
            self.capacity, self.slot, self.bias_R1S = kept.bias_R1S.shape[2], kept.slot, kept.bias_R1S
            self.tables = kept.tables
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
        read = [prompts for layer in start.layers for prompts in take(layer)]
        for table, prompts in zip(self.tables, read, strict=True):
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

    def copy_row(self, row: int, positions: int, length: int) -> KeptRow:
        """The first `length` positions of a row whose text has `positions` of them."""
        text = slice(self.used - positions, self.used - positions + length)
        copies = [table[row, :, text].clone() for table in self.tables]
        return KeptRow.of(length, copies)

    def move(self, targets: Tensor, sources: Tensor, width: int) -> None:
        """Copy rows; the first `width` are computed from now on."""
        for table in self.tables:
            table[targets, :, : self.used] = table[sources, :, : self.used]
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
        for index, old in enumerate(self.tables):
            self.tables[index] = table = old.new_empty(*old.shape[:2], capacity, old.shape[3])
            table[: self.width, :, : self.used] = old[: self.width, :, : self.used]
        if self.bias_R1S is not None:
            self.bias_R1S = functional.pad(self.bias_R1S, (0, more), value=CLOSED)
        self.length = capacity

    def _align(self, used: int, live: int) -> None:
        """Move the head, and what the live rows hold before it."""
        if used > self.capacity:
            self._grow(min(self.most, used + BUCKET))
        kept = min(used, self.used)  # the last positions before the head
        before, now = slice(self.used - kept, self.used), slice(used - kept, used)
        for table in self.tables:
            table[:live, :, now] = table[:live, :, before].clone()
            table[:live, :, : used - kept] = 0.0
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
        """bias_U1S of the step that writes the next position, which counts for every row."""
        if self.bias_R1S is None:
            return None
        if self.fixed:
            bias_U1S = self.bias_R1S[: self.width, :, : self.length]
            return bias_U1S.index_fill_(2, self.slot, 0.0)
        self.bias_R1S[: self.width, :, self.used] = 0.0
        return self.bias_R1S[: self.width, :, : self.used + 1]

    def settle(self) -> None:
        """A position more holds something."""
        self.used += 1
        self.slot += 1

    def _view_rows(self) -> list[tuple[Tensor, Tensor]]:
        """keys_UKSE and values_UKSE of the rows and positions that are computed, a layer each."""
        views = [table[: self.width, :, : self.length] for table in self.tables]
        return list(zip(views[::2], views[1::2], strict=True))

    def _close_all(self) -> Tensor:
        table = self.tables[0]
        shape = (table.shape[0], 1, self.capacity)
        return torch.full(shape, CLOSED, dtype=table.dtype, device=table.device)
