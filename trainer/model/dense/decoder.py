"""A decoder written for the dense family: the sampler's fast path.

One token for each row by fused projections over a preallocated key/value cache, whose length grows by
buckets. The live rows are always the first: forks, and the last live rows, are copied to where a row has
ended. `prefill` reads the prompts; `find_refusal` holds all of it to the model's own forward pass, on a
probe, before the path is used at all.

Shapes: R completions, U rows (distinct texts), K key/value heads, J queries of a key head (J1: with the key
itself), E head size, S cache positions, N = U * K, L layers, D hidden, F inner width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..lora import has_adapters, move_adapters
from ..probe import BOUNDS, measure_decoding
from . import kernels
from .decode_step import run_kernel_step, run_torch_step
from .family import DenseWeights, find_misfit
from .kv_cache import BlockCache, RowCache, move_rows
from .prefill import prefill

_MEASURED = "_palaestra_fast"  # on a model: with adapters or not, how far the fast path is from it


class FastDecoding:
    """Rows decoded over fused weights.

    fixed: shapes stay the same from step to step (whole cache under a mask, rows halved rather than cut), so
    that the step can be captured as a CUDA graph. `capture` does that; the same code runs without.
    """

    def __init__(
        self,
        model: Any,
        weights: DenseWeights,
        prompts: Sequence[Sequence[int]],
        samples: Sequence[int],
        limit: int,
        *,
        fixed: bool = False,
        capture: bool = False,
        packs: bool = True,
    ) -> None:
        """limit: tokens that a completion may have.  packs: whether `prefill` may."""
        self.weights, self.fixed, self.capture = weights, fixed or capture, capture
        device = weights.embedding_VD.device
        start = prefill(model, prompts, samples, packs=packs)
        rows_U, self.start_R = torch.arange(len(prompts), device=device), start.start_R
        if self.fixed:
            rows_U, self.start_R = start.start_R, torch.arange(len(start.start_R), device=device)
        self.rows = self.width = len(rows_U)  # live rows, and rows that are computed
        self.logits_UV = start.logits_PV[rows_U]
        self.positions_U = (
            start.positions_P[rows_U] if start.mask_PS is not None or self.fixed else start.positions_P[:1]
        )
        self.cos_SE, self.sin_SE = compute_rope(model, start.width + limit, device)
        self.cache: RowCache | BlockCache
        if not self.fixed and kernels.supports(device, weights.dtype, weights.head_size):
            self.cache = BlockCache(start, weights, limit)
        else:
            self.cache = RowCache(start, weights, rows_U, limit, fixed=self.fixed)
        self._rebuild()

    def _rebuild(self) -> None:
        """Buffers for the rows that are computed now; after every change of their number."""
        w, n = self.weights, self.width
        device, layer = w.embedding_VD.device, w.layers[0]
        inner = len(layer.down_FD)

        def allocate(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=w.dtype, device=device)

        self.hidden_UD = allocate(n, w.embedding_VD.shape[1])
        self.qkv_UO, self.up_U2F = allocate(n, layer.qkv_DO.shape[1]), allocate(n, 2 * inner)
        self.rotated_NJE = allocate(n * w.key_heads, w.queries + 1, w.head_size)
        self.attended_NJE = allocate(n * w.key_heads, w.queries, w.head_size)
        self.gated_UF = allocate(n, inner)
        self.out_UV = allocate(n, len(w.head_VD))
        self.tokens_U = torch.zeros(n, dtype=torch.long, device=device)
        self.graph: Any = None

    def _go_on_with(self, parents_U: Tensor) -> Tensor:
        """Give each row that goes on a place among the first ones; only forks, and rows that fill a gap,
        are copied."""
        count, device = len(parents_U), parents_U.device
        stays_U = parents_U < count
        stays_U[1:] &= parents_U[1:] != parents_U[:-1]  # of several, the first
        free = torch.ones(count, dtype=torch.bool, device=device)
        free[parents_U[stays_U]] = False
        place_U = parents_U.clone()
        place_U[~stays_U] = targets = free.nonzero()[:, 0]
        # None of the sources is a target: the first child of a row below `count` stays there.
        sources = parents_U[~stays_U]
        width = self.width if self.fixed else count
        while self.fixed and width >= 2 * count and width > 1:
            width = -(-width // 2)
        self.cache.move(targets, sources, width)
        if len(self.positions_U) > 1 or self.fixed:
            self.positions_U = move_rows(self.positions_U, targets, sources, width)
        self.rows = count
        if width != self.width:
            self.width = width
            self._rebuild()
        return place_U

    @torch.inference_mode()
    def advance(self, parents_U: Tensor | None, tokens_U: Tensor) -> Tensor | None:
        place_U = None if parents_U is None else self._go_on_with(parents_U)
        if self.cache.make_room():
            self.graph = None
        if place_U is None:
            self.tokens_U[: self.rows] = tokens_U
        else:
            self.tokens_U[place_U] = tokens_U
        if self.capture and self.graph is None:
            # Eager once: it computes this very step, and warms up what a capture must not meet first.
            self._run_step()
            self._settle()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self._run_step()
        elif self.graph is not None:
            self.graph.replay()
            self._settle()
        else:
            self._run_step()
            self._settle()
        self.logits_UV = self.out_UV[: self.rows]
        return place_U

    def _run_step(self) -> None:
        if isinstance(self.cache, BlockCache):
            run_kernel_step(self, self.cache)
        else:
            run_torch_step(self, self.cache)

    def _settle(self) -> None:
        self.positions_U += 1
        self.cache.settle()


def compute_rope(model: Any, positions: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos_SE and sin_SE of every position, from the model's own rotary embedding."""
    probe = torch.zeros(1, device=device)
    cos, sin = model.model.rotary_emb(probe, torch.arange(positions, device=device)[None])
    return cos[0].float(), sin[0].float()


def find_refusal(model: Any) -> str:
    """Why a model can't take the fast path, as a clause; "" when it can.

    Its class, config and parameters must be those of the family, and on the probe (ragged prompts, forked and
    ended rows) it must have the log-probabilities of the model's own forward pass. What can be changed in
    place (hooks, modules) is looked at each time; the probe is run once, and again for adapters.
    """
    reason = find_misfit(model)
    if reason:
        return reason
    adapted, known = has_adapters(model), getattr(model, _MEASURED, {})
    if adapted not in known:
        known = {**known, adapted: _measure(model)}
        setattr(model, _MEASURED, known)
    worst, bound = known[adapted], BOUNDS[model.model.embed_tokens.weight.dtype]
    return "" if worst <= bound else f"on a probe it differs from the model by {worst:.2g} nats"


def _measure(model: Any) -> float:
    """How far the fast path is from the model's own forward pass, in nats, with either way to prefill."""
    with move_adapters(model), torch.autocast(next(model.parameters()).device.type, enabled=False):
        weights = DenseWeights.of(model, torch.float32)

        def measure(packs: bool) -> float:
            def start(prompts: Sequence[Sequence[int]], samples: Sequence[int], tokens: int) -> FastDecoding:
                return FastDecoding(model, weights, prompts, samples, tokens, packs=packs)

            return measure_decoding(model, start)

        return max(measure(packs) for packs in (True, False))
