"""What a decode step of the dense family reads and writes, allocated once for the most rows.

Fewer rows use the beginning of each buffer. Where steps are captured, all of it stays from call to call,
since a recorded step goes on reading the same addresses: the fused weights are filled in place, the cache
is used again.

Shapes: R rows at most, U of them that are computed, K key/value heads, J queries of a key head, E head
size, S positions, D hidden, F inner width, V vocabulary, L layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..captures import CapturedSteps, Recorder
from ..decoding import Extent
from .family import DenseWeights

ROUND_UP = 128  # positions to which a kept cache is rounded up: slightly longer prompts need no other one
WIDTHS = 3  # of a batch whose steps are captured: all rows, half of them, a quarter


@dataclass
class StepBuffers:
    """One step's inputs and results, U rows each. positions_U: one for all where every row has the same.

    cos_SE, sin_SE: of every position that a row may reach.
    """

    weights: DenseWeights
    tokens_U: Tensor
    positions_U: Tensor
    cos_SE: Tensor
    sin_SE: Tensor
    hidden_UD: Tensor
    qkv_UO: Tensor
    up_U2F: Tensor
    rotated_NJE: Tensor
    attended_NJE: Tensor
    gated_UF: Tensor
    out_UV: Tensor

    @classmethod
    def allocate(cls, model: Any, weights: DenseWeights, rows: int, positions: int) -> StepBuffers:
        w, layer, device = weights, weights.layers[0], weights.embedding_VD.device

        def empty(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=w.dtype, device=device)

        numbers_2R = torch.zeros(2, rows, dtype=torch.long, device=device)
        return cls(
            w,
            numbers_2R[0],
            numbers_2R[1],
            *compute_rope(model, positions, device),
            empty(rows, w.embedding_VD.shape[1]),
            empty(rows, layer.qkv_DO.shape[1]),
            empty(rows, layer.gate_up_D2F.shape[1]),
            empty(rows * w.key_heads, w.queries + 1, w.head_size),
            empty(rows * w.key_heads, w.queries, w.head_size),
            empty(rows, len(layer.down_FD)),
            empty(rows, len(w.head_VD)),
        )

    def view_first(self, rows: int) -> StepBuffers:
        """The same of the first rows."""
        w, heads = self.weights, self.weights.key_heads
        return StepBuffers(
            w,
            self.tokens_U[:rows],
            self.positions_U[:rows],
            self.cos_SE,
            self.sin_SE,
            self.hidden_UD[:rows],
            self.qkv_UO[:rows],
            self.up_U2F[:rows],
            self.rotated_NJE[: rows * heads],
            self.attended_NJE[: rows * heads],
            self.gated_UF[:rows],
            self.out_UV[:rows],
        )


def compute_rope(model: Any, positions: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos_SE and sin_SE of every position, from the model's own rotary embedding."""
    probe = torch.zeros(1, device=device)
    cos, sin = model.model.rotary_emb(probe, torch.arange(positions, device=device)[None])
    return cos[0].float(), sin[0].float()


@dataclass(frozen=True)
class KeptCache:
    """Keys and values of R rows of S positions. cache_L: 2 x R x K x S x E a layer.  bias_R1S: 0 where a row
    has something, -inf elsewhere.  slot: the place of the next position, as a recorded step reads it."""

    cache_L: list[Tensor]
    bias_R1S: Tensor
    slot: Tensor

    @classmethod
    def allocate(cls, weights: DenseWeights, rows: int, positions: int) -> KeptCache:
        w, device = weights, weights.embedding_VD.device
        shape = (2, rows, w.key_heads, positions, w.head_size)  # zeros: what is masked must be finite
        return cls(
            [torch.zeros(shape, dtype=w.dtype, device=device) for _ in w.layers],
            torch.zeros(rows, 1, positions, dtype=w.dtype, device=device),
            torch.zeros(1, dtype=torch.long, device=device),
        )


class FixedSteps:
    """Weights, buffers, cache and recorded steps that stay from call to call, for shapes that stay too.

    Rows are computed all, or half, or a quarter of them; attention reads the whole cache or its first half,
    under a mask. So a run has at most `captures.MOST_SHAPES` shapes, until a call needs more rows or
    positions.

    record: None runs the same code without recording.
    """

    def __init__(self, record: Recorder | None) -> None:
        self.steps = CapturedSteps(record) if record is not None else None
        self.rows = self.positions = 0
        self._weights: DenseWeights | None = None
        self._buffers: StepBuffers | None = None
        self._cache: KeptCache | None = None

    def load(self, model: Any, dtype: torch.dtype) -> DenseWeights:
        """The weights that `model` has now, at the addresses of before where it is the same model."""
        with torch.inference_mode(False), torch.no_grad():
            if self._weights is None or not self._weights.refill(model, dtype):
                self.drop()
                self._weights = DenseWeights.of(model, dtype)
        return self._weights

    def fit(self, model: Any, extent: Extent) -> tuple[StepBuffers, KeptCache]:
        """Buffers and an empty cache for `extent`: those of before where they are large enough."""
        assert self._weights is not None, "load comes first"
        wide = extent.rows <= self.rows and extent.positions <= self.positions
        if not wide or self._buffers is None or self._cache is None:
            self.rows = max(self.rows, extent.rows)
            self.positions = max(self.positions, -(-extent.positions // ROUND_UP) * ROUND_UP)
            self._buffers = self._cache = None
            if self.steps is not None:
                self.steps.forget()
            with torch.inference_mode(False), torch.no_grad():
                self._buffers = StepBuffers.allocate(model, self._weights, self.rows, self.positions)
                self._cache = KeptCache.allocate(self._weights, self.rows, self.positions)
        self._cache.bias_R1S.fill_(float("-inf"))
        return self._buffers, self._cache

    def choose_width(self, rows: int) -> int:
        """Rows to compute for so many live ones: the fewest of the widths that hold them."""
        width = self.rows
        for _ in range(WIDTHS - 1):
            if rows > -(-width // 2):
                break
            width = -(-width // 2)
        return width

    def choose_length(self, used: int) -> int:
        """Positions to read where the first `used` hold something."""
        half = -(-self.positions // 2)
        return half if used <= half else self.positions

    def drop(self) -> None:
        """Give the memory of buffers, cache and recorded steps back; the next call makes them anew."""
        self.rows = self.positions = 0
        self._buffers = self._cache = None
        if self.steps is not None:
            self.steps.forget()
