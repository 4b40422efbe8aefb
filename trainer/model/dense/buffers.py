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

from ..captures import Recorder
from ..decoding import Extent
from ..fixed import FixedShapes
from ..row_cache import CLOSED, KeptCache
from .family import DenseWeights


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


class FixedSteps(FixedShapes):
    """Weights, buffers, cache and recorded steps that stay from call to call."""

    def __init__(self, record: Recorder | None) -> None:
        super().__init__(record)
        self._weights: DenseWeights | None = None
        self._kept: tuple[StepBuffers, KeptCache] | None = None

    def load(self, model: Any, dtype: torch.dtype) -> DenseWeights:
        """The weights that `model` has now, at the addresses of before where it is the same model."""
        with torch.inference_mode(False), torch.no_grad():
            if self._weights is None or not self._weights.refill(model, dtype):
                self.drop()
                self._weights = DenseWeights.of(model, dtype)
        return self._weights

    def fit(self, model: Any, extent: Extent) -> tuple[StepBuffers, KeptCache]:
        """Buffers and an empty cache for `extent`: those of before where they are large enough."""
        w = self._weights
        assert w is not None, "load comes first"
        if self.grow(extent) or self._kept is None:
            self._kept, shapes = None, [(w.key_heads, w.head_size)] * (2 * len(w.layers))
            with torch.inference_mode(False), torch.no_grad():
                self._kept = (
                    StepBuffers.allocate(model, w, self.rows, self.positions),
                    KeptCache.allocate(shapes, self.rows, self.positions, w.dtype, w.embedding_VD.device),
                )
        self._kept[1].bias_R1S.fill_(CLOSED)
        return self._kept

    def drop(self) -> None:
        super().drop()
        self._kept = None
