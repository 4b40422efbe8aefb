"""A decoder written for the dense family: the sampler's fast path.

One token for each row by fused projections over a preallocated key/value cache. The live rows are always the
first: forks, and the last live rows, are copied to where a row has ended, and what joins comes behind them.
`prefill` reads the prompts; `find_refusal` holds all of it to the model's own forward pass, on a probe,
before the path is used at all.

Shapes: R completions, U rows (distinct texts), P prompts, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..captures import Recorder
from ..decoding import Extent
from ..lora import has_adapters, move_adapters
from ..probe import BOUNDS, measure_decoding
from . import kernels
from .buffers import FixedSteps, StepBuffers
from .decode_step import run_kernel_step, run_torch_step
from .family import DenseWeights, find_misfit
from .kv_cache import BlockCache, RowCache
from .prefill import Prefill, prefill

_MEASURED = (
    "_palaestra_fast"  # on a model: with adapters or not, arithmetic, captured or not -> what is wrong
)


class FastDecoding:
    """Rows decoded over fused weights.

    fixed: the shapes of a step stay (a row for each completion, whole caches under a mask, rows halved rather
    than cut), so that it can be recorded, and buffers stay from call to call.
    """

    admits = True

    def __init__(
        self,
        model: Any,
        weights: DenseWeights,
        prompts: Sequence[Sequence[int]],
        samples: Sequence[int],
        extent: Extent,
        *,
        fixed: FixedSteps | None = None,
        packs: bool = True,
    ) -> None:
        """packs: whether `prefill` may."""
        self.model, self.weights, self.fixed, self._packs = model, weights, fixed, packs
        start = prefill(model, prompts, samples, packs=packs)
        self.cache: RowCache | BlockCache
        if fixed is not None:
            self._all, kept = fixed.fit(model, extent)
            self.weights = weights = self._all.weights
            rows_U, self.start_R = (
                start.start_R,
                torch.arange(len(start.start_R), device=start.start_R.device),
            )
            self.cache = RowCache(start, weights, rows_U, extent, kept)
        else:
            self._all = StepBuffers.allocate(model, weights, extent.rows, extent.positions)
            device = weights.embedding_VD.device
            rows_U, self.start_R = torch.arange(len(prompts), device=device), start.start_R
            if kernels.supports(device, weights.dtype, weights.head_size):
                self.cache = BlockCache(start, weights, extent)
            else:
                self.cache = RowCache(start, weights, rows_U, extent)
        self.rows = len(rows_U)  # live ones
        self._even = fixed is None and start.mask_PS is None  # whether all texts have one length
        positions_U = start.positions_P[rows_U]
        self.positions_U = positions_U[:1] if self._even else self._all.positions_U[: self.rows]
        self.positions_U.copy_(positions_U[: len(self.positions_U)])
        self._resize(self.rows)
        self.logits_UV = self._set_logits(start, rows_U, 0)

    @torch.inference_mode()
    def admit(self, prompts: Sequence[Sequence[int]], samples: Sequence[int]) -> Tensor:
        live, start = self.rows, prefill(self.model, prompts, samples, packs=self._packs)
        positions_U = self.positions_U[:live].expand(live)
        if isinstance(self.cache, BlockCache):
            self.cache.admit(start, live)
            rows_U, joined_R = torch.arange(len(prompts), device=positions_U.device), start.start_R
        else:
            rows_U = torch.arange(len(prompts), device=positions_U.device)
            joined_R = start.start_R
            if self.fixed is not None:
                rows_U, joined_R = start.start_R, torch.arange(len(start.start_R), device=positions_U.device)
            self.cache.admit(start, rows_U, live, int(positions_U.max()))
        self.rows, self._even = live + len(rows_U), False
        lengths_U = torch.cat([positions_U, start.positions_P[rows_U]])
        self._all.positions_U[: self.rows] = lengths_U
        self._resize(self.rows)
        self.logits_UV = self._set_logits(start, rows_U, live)
        return live + joined_R

    def _set_logits(self, start: Prefill, rows_U: Tensor, live: int) -> Tensor:
        """logits_UV: those of the prompts behind those of the live rows."""
        self._all.out_UV[live : self.rows] = start.logits_PV[rows_U]
        return self._all.out_UV[: self.rows]

    def _resize(self, width: int) -> None:
        """Rows that are computed from now on."""
        if self.fixed is not None:
            assert isinstance(self.cache, RowCache)
            width = self.fixed.choose_width(width)
            self.cache.resize(width, self.fixed.choose_length(self.cache.used + 1))
        self.width = width
        if not self._even:
            self.positions_U = self._all.positions_U[:width]
        self.buffers = self._all.view_first(width)
        self.buffers.positions_U = self.positions_U

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
        width = count if self.fixed is None else self.fixed.choose_width(count)
        self.cache.move(targets, sources, width)
        if not self._even:
            self._all.positions_U[targets] = self._all.positions_U[sources]
        self.rows = count
        if width != self.width:
            self._resize(count)
        return place_U

    @torch.inference_mode()
    def advance(self, parents_U: Tensor | None, tokens_U: Tensor) -> Tensor | None:
        place_U = None if parents_U is None else self._go_on_with(parents_U)
        if isinstance(self.cache, BlockCache):
            self.cache.make_room()
        else:
            self.cache.make_room(self.rows, lambda: int(self.positions_U[: self.rows].max()))
        tokens = self.buffers.tokens_U
        if place_U is None:
            tokens[: self.rows] = tokens_U
        else:
            tokens[place_U] = tokens_U
        self._run_step()
        self.positions_U += 1
        if self.fixed is not None:  # rows that have ended are computed as well, and stay within the tables
            self.positions_U.clamp_(max=self.fixed.positions - 1)
        self.cache.settle()
        self.logits_UV = self.buffers.out_UV[: self.rows]
        return place_U

    def _run_step(self) -> None:
        buffers, cache = self.buffers, self.cache
        if isinstance(cache, BlockCache):
            run_kernel_step(buffers, cache)
            return
        if self.fixed is None:
            run_torch_step(buffers, cache)
            return
        length = self.fixed.choose_length(cache.used + 1)
        if length != cache.length:
            cache.resize(self.width, length)
        if self.fixed.steps is None:
            run_torch_step(buffers, cache)
        else:
            self.fixed.steps.run((self.width, length), lambda: run_torch_step(buffers, cache))


def find_refusal(model: Any, dtype: torch.dtype = torch.float32, record: Recorder | None = None) -> str:
    """Why a model can't take the fast path, as a clause; "" when it can.

    Its class, config and parameters must be those of the family, and on the probe (ragged prompts, rows
    that are forked, end and join) it must have the log-probabilities of the model's own forward pass: in
    float32, where a difference can only be a mistake, and in the arithmetic `dtype` of the run. What can be
    changed in place (hooks, modules) is looked at each time; the probe is run once, and again for adapters.

    record: how the steps of the run are captured; they are probed captured and uncaptured.
    """
    reason = find_misfit(model)
    if reason:
        return reason
    key, known = (has_adapters(model), dtype, record is not None), getattr(model, _MEASURED, {})
    if key not in known:
        with move_adapters(model):
            found = [_compare(model, kind, record) for kind in dict.fromkeys((torch.float32, dtype))]
        known = {**known, key: next(filter(None, found), "")}
        setattr(model, _MEASURED, known)
    return known[key]


def _compare(model: Any, dtype: torch.dtype, record: Recorder | None) -> str:
    """What is wrong with the path on a probe in some arithmetic, as a clause; "" for nothing."""
    worst = _measure(model, dtype, record)
    if worst <= BOUNDS.get(dtype, BOUNDS[torch.bfloat16]):
        return ""
    kind = str(dtype).removeprefix("torch.")
    return f"on a probe it differs from the model by {worst:.2g} nats in {kind}"


def _measure(model: Any, dtype: torch.dtype, record: Recorder | None) -> float:
    """How far the fast path is from the model's own forward pass, in nats, with either way to prefill, and of
    the steps that are captured either way to run them."""
    with torch.autocast(next(model.parameters()).device.type, dtype, enabled=dtype is not torch.float32):
        weights = DenseWeights.of(model, dtype)

        def measure(packs: bool, fixed: FixedSteps | None) -> float:
            if fixed is not None:
                fixed.load(model, dtype)

            def start(
                prompts: Sequence[Sequence[int]], samples: Sequence[int], extent: Extent
            ) -> FastDecoding:
                return FastDecoding(model, weights, prompts, samples, extent, fixed=fixed, packs=packs)

            return measure_decoding(model, start)

        kept = (
            None if record is None else FixedSteps(record)
        )  # the second call replays what the first recorded
        found = [measure(packs, kept) for packs in (True, False)]
        return max(found) if record is None else max(*found, measure(False, FixedSteps(None)))
