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

from ..caches import KeptRow
from ..captures import Recorder
from ..continuing import read_on
from ..decoding import Extent
from ..lora import has_adapters, move_adapters
from ..probe import BOUNDS, measure_decoding
from ..row_cache import Prefill, RowCache
from ..row_decoding import RowDecoding
from . import kernels
from .buffers import FixedSteps, StepBuffers
from .decode_step import run_kernel_step, run_torch_step
from .family import DenseWeights, find_misfit
from .kv_cache import BlockCache
from .prefill import prefill

_MEASURED = (
    "_palaestra_fast"  # on a model: with adapters or not, arithmetic, captured or not -> what is wrong
)


class FastDecoding(RowDecoding):
    """Rows decoded over fused weights."""

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
        pasts: Sequence[KeptRow] = (),
    ) -> None:
        """fixed: the weights are its own.  packs: whether `prefill` may.  pasts: what was kept of texts,
        which the prompts go on from."""
        self.model, self._packs, kept = model, packs, None
        start = self._read_on(pasts, prompts) if pasts else self._read(prompts, samples)
        if fixed is not None:
            self._all, kept = fixed.fit(model, extent)
        else:
            self._all = StepBuffers.allocate(model, weights, extent.rows, extent.positions)
        self.buffers, w = self._all, self._all.weights

        def make_cache(rows_U: Tensor) -> RowCache | BlockCache:
            if fixed is None and kernels.supports(rows_U.device, w.dtype, w.head_size):
                return BlockCache(start, w, extent)
            return RowCache(start, rows_U, extent, w.dtype, kept)

        super().__init__(start, self._all, make_cache, fixed)

    def _read(self, prompts: Sequence[Sequence[int]], samples: Sequence[int]) -> Prefill:
        return prefill(self.model, prompts, samples, packs=self._packs)

    def _read_on(self, pasts: Sequence[KeptRow], ids: Sequence[Sequence[int]]) -> Prefill:
        return read_on(self.model, pasts, ids)

    def _resize(self, rows: int) -> None:
        super()._resize(rows)
        self.buffers = self._all.view_first(self.width)
        self.buffers.positions_U = self.positions_U

    def _run_step(self) -> None:
        buffers, cache = self.buffers, self.cache
        if isinstance(cache, BlockCache):
            run_kernel_step(buffers, cache)
        elif isinstance(cache, RowCache):
            self._run_fixed(lambda: run_torch_step(buffers, cache))


def find_refusal(model: Any, dtype: torch.dtype = torch.float32, record: Recorder | None = None) -> str:
    """Why a model can't take the fast path, as a clause; "" when it can.

    Its class, config and parameters must be those of the family, and on the probe (ragged prompts, rows
    that are forked, end and join) it must have the log-probabilities of the model's own forward pass: in the
    type of its weights (in float32 a difference can only be a mistake), and in the products' type `dtype` of
    the run. What can be
    changed in place (hooks, modules) is looked at each time; the probe is run once, and again for adapters.

    record: how the steps of the run are captured; they are probed captured and uncaptured.
    """
    reason = find_misfit(model)
    if reason:
        return reason
    key, known = (has_adapters(model), dtype, record is not None), getattr(model, _MEASURED, {})
    if key not in known:
        with move_adapters(model):
            kinds = dict.fromkeys((model.model.embed_tokens.weight.dtype, dtype))
            found = [_compare(model, kind, record) for kind in kinds]
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
    the steps that are captured either way to run them. There is one fused copy of the weights at a time."""
    with torch.autocast(next(model.parameters()).device.type, dtype, enabled=dtype is not torch.float32):

        def measure(packs: bool, fixed: FixedSteps | None) -> float:
            weights = DenseWeights.of(model, dtype) if fixed is None else fixed.load(model, dtype)

            def start(
                prompts: Sequence[Sequence[int]], samples: Sequence[int], extent: Extent
            ) -> FastDecoding:
                return FastDecoding(model, weights, prompts, samples, extent, fixed=fixed, packs=packs)

            return measure_decoding(model, start)

        uncaptured = 0.0 if record is None else measure(False, FixedSteps(None))
        kept = None if record is None else FixedSteps(record)
        # The second call replays what the first recorded.
        return max(uncaptured, *(measure(packs, kept) for packs in (True, False)))
