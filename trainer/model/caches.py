"""Caches of transformers' models: made for an arithmetic, their rows chosen, forked and joined.

Shapes: U rows, K key heads, S positions, E head size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer


class NarrowCache(DynamicCache):
    """Keys and values in the type that matrix products are done in.

    Under autocast a rotary embedding makes float32 of them, and attention casts them back at each step: the
    numbers are the same, the cache is half as large.
    """

    def __init__(self, config: Any, dtype: torch.dtype) -> None:
        super().__init__(config=config)
        self.dtype = dtype

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        keys, values = key_states.to(self.dtype), value_states.to(self.dtype)
        return super().update(keys, values, layer_idx, *args, **kwargs)


def make_cache(model: Any) -> DynamicCache:
    """An empty cache for the arithmetic of now."""
    kind = next(model.parameters()).device.type
    if torch.is_autocast_enabled(kind):
        return NarrowCache(model.config, torch.get_autocast_dtype(kind))
    return DynamicCache(config=model.config)


def select_rows(cache: Any, rows_U: Tensor) -> None:
    """Keep these rows of a cache, in this order; a row named twice is forked.

    Layers of every kind know how to reorder themselves for beam search, recurrent ones included; a cache
    whose class keeps more than its layers says itself how its rows are chosen.
    """
    if type(cache).batch_select_indices is Cache.batch_select_indices:
        for layer in cache.layers:
            layer.reorder_cache(rows_U)
    else:
        cache.batch_select_indices(rows_U)


def can_join(cache: Any) -> bool:
    """Whether `join` knows every layer of a cache: keys and values of all positions, or of a window."""
    plain = type(cache) in (DynamicCache, NarrowCache)
    return plain and all(type(one) in (DynamicLayer, DynamicSlidingWindowLayer) for one in cache.layers)


def join(cache: Any, other: Any, positions: int) -> None:
    """The rows of another cache behind those of `cache`; all end together, after `positions` positions.

    Rows that are shorter are padded on the left; of longer ones the beginning is left away, which must be
    padding.
    """
    for mine, theirs in zip(cache.layers, other.layers, strict=True):
        held = positions
        if isinstance(mine, DynamicSlidingWindowLayer):
            held, mine.cumulative_length = min(positions, mine.sliding_window - 1), positions
        for name in ("keys", "values"):
            parts = [fit(getattr(layer, name), held, 2) for layer in (mine, theirs)]
            setattr(mine, name, torch.cat(parts))


def fit(table: Tensor, positions: int, axis: int) -> Tensor:
    """The last `positions` places along an axis, 0 before them where there are fewer."""
    behind = 2 * (table.ndim - 1 - axis)
    return functional.pad(table, (*(0,) * behind, positions - table.shape[axis], 0))
