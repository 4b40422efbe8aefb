"""Decoding through a model's own forward pass over a cache that stays where it is, so that a step can be
recorded.

For what transformers can compile: models whose layers keep keys and values, attend to all of them or to a
window, and look at no value on the way. A window is a mask here, since every layer keeps all positions.

Shapes: U rows, K key/value heads, S positions, E head size, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import StaticLayer

from .caches import KeptRow
from .captures import Recorder
from .casts import keep_no_casts
from .decoding import Extent, GeneralDecoding
from .fixed import FixedShapes
from .row_cache import CLOSED, KeptCache, Prefill, RowCache, list_shapes, read_prefill
from .row_decoding import RowDecoding

_KINDS = {"full_attention", "sliding_attention"}


class StaticBuffers(FixedShapes):
    """Buffers, cache and recorded steps of a model that stay from call to call.

    tokens_U, positions_U, out_UV: of all rows that there may be.
    """

    tokens_U: Tensor
    positions_U: Tensor
    out_UV: Tensor

    def __init__(self, record: Recorder | None) -> None:
        super().__init__(record)
        self._cache: KeptCache | None = None

    def fit(self, start: Prefill, extent: Extent) -> KeptCache:
        """An empty cache for `extent`, as `start` has its keys and values."""
        if self.grow(extent) or self._cache is None:
            self._cache, logits_PV, first = None, start.logits_PV, start.layers[0].keys
            assert first is not None
            with torch.inference_mode(False), torch.no_grad():
                numbers_2U = torch.zeros(2, self.rows, dtype=torch.long, device=first.device)
                self.tokens_U, self.positions_U = numbers_2U
                self.out_UV = torch.zeros(
                    self.rows, logits_PV.shape[1], dtype=logits_PV.dtype, device=first.device
                )
                self._cache = KeptCache.allocate(
                    list_shapes(start), self.rows, self.positions, first.dtype, first.device
                )
        self._cache.bias_R1S.fill_(CLOSED)
        return self._cache

    def drop(self) -> None:
        super().drop()
        self._cache = None


class _Layer(StaticLayer):
    """Keys and values U x K x S x E that are there already; the next position is written at `slot`."""

    def __init__(self, keys_UKSE: Tensor, values_UKSE: Tensor, slot: Tensor) -> None:
        super().__init__(keys_UKSE.shape[2])
        self.cumulative_length, self.is_initialized = slot[0], True
        self._tables, self._slot = (keys_UKSE, values_UKSE), slot

    def update(
        self,
        key_states: Tensor,
        value_states: Tensor,
        *args: Any,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        keys_UKSE, values_UKSE = self._tables
        keys_UKSE.index_copy_(2, self._slot, key_states.to(keys_UKSE.dtype))
        values_UKSE.index_copy_(2, self._slot, value_states.to(values_UKSE.dtype))
        return self._tables


class StaticDecoding(RowDecoding):
    """Rows decoded through `model` over a static cache."""

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        samples: Sequence[int],
        extent: Extent,
        buffers: StaticBuffers,
        pasts: Sequence[KeptRow] = (),
    ) -> None:
        """pasts: what was kept of texts, which the prompts go on from.

        Raises ValueError for a model whose attention or cache this can't stand in for."""
        self.model, self._windows = model, _find_windows(model)
        start = self._read_on(pasts, prompts) if pasts else self._read(prompts, samples)
        self._all = buffers
        kept = buffers.fit(start, extent)

        def make_cache(rows_U: Tensor) -> RowCache:
            return RowCache(start, rows_U, extent, kept.bias_R1S.dtype, kept)

        super().__init__(start, buffers, make_cache, buffers)

    def _read(self, prompts: Sequence[Sequence[int]], samples: Sequence[int]) -> Prefill:
        return read_prefill(GeneralDecoding(self.model, prompts, samples))

    def _read_on(self, pasts: Sequence[KeptRow], ids: Sequence[Sequence[int]]) -> Prefill:
        return read_prefill(GeneralDecoding.resume(self.model, pasts, ids))

    def _run_step(self) -> None:
        cache, width, state = self.cache, self.width, self._all
        assert isinstance(cache, RowCache)

        def step() -> None:
            bias_U1S = cache.open_next()
            assert bias_U1S is not None
            layers: list[Any] = [_Layer(*tables, cache.slot) for tables in cache.views_L]
            with keep_no_casts(bias_U1S.device):  # a recorded step would go on reading them
                output = self.model(
                    input_ids=state.tokens_U[:width, None],
                    position_ids=state.positions_U[:width, None],
                    attention_mask=self._make_masks(bias_U1S, cache.slot),
                    past_key_values=Cache(layers=layers),
                    use_cache=True,
                )
            state.out_UV[:width].copy_(output.logits[:, -1])

        self._run_fixed(step)

    def _make_masks(self, bias_U1S: Tensor, slot: Tensor) -> Any:
        """What the model's layers may read: by kind, where its config says of which kind each is."""
        bias_U11S = bias_U1S[:, None]
        places_S = torch.arange(bias_U1S.shape[2], device=slot.device)
        masks = {
            kind: bias_U11S if window is None else bias_U11S.masked_fill(places_S <= slot - window, CLOSED)
            for kind, window in self._windows.items()
        }
        return masks.get("", masks)


def _find_windows(model: Any) -> dict[str, int | None]:
    """Positions that layers of each kind read, this one included; None for all. One kind is named "" where
    the config names none."""
    config = model.config.get_text_config(decoder=True)
    if not getattr(model, "_can_compile_fullgraph", False):
        raise ValueError("transformers does not compile it with a static cache")
    kinds = set(getattr(config, "layer_types", None) or ())
    window, chunk = getattr(config, "sliding_window", None), getattr(config, "attention_chunk_size", None)
    if (
        kinds - _KINDS
        or (chunk and not kinds)
        or not {"attention_mask", "position_ids"} <= set(inspect.signature(model.forward).parameters)
    ):
        raise ValueError("its layers attend in another way than to all positions or to a window")
    if not kinds:
        return {"": window}
    return {kind: window if kind == "sliding_attention" else None for kind in kinds}
