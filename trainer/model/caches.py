"""Caches of transformers' models: made for an arithmetic, their rows chosen, forked, joined and kept.

A layer holds keys and values of all positions or of a window, the states of a recurrence, or both.

Shapes: U rows, P texts, K key heads, S positions, E head size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import Cache, DynamicCache, cache_utils
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

_OTHERS = (  # older releases lack some of them
    "LinearAttentionLayer",
    "LinearAttentionAndFullAttentionLayer",
    "LinearAttentionAndSlidingWindowAttentionLayer",
    "DummyLayer",
)
_KINDS = {
    DynamicLayer,
    DynamicSlidingWindowLayer,
    *(getattr(cache_utils, name) for name in _OTHERS if hasattr(cache_utils, name)),
}
"""The kinds of layers whose every tensor is known here."""
_TABLES, _STATES = ("keys", "values"), ("conv", "recurrent")


@dataclass(frozen=True)
class KeptRow:
    """What is kept of a row that waits. length: positions of its text.  layers: of each layer, by name, what
    it holds of the row: "keys" and "values", K x S x E, where S is less than `length` in a window; and the
    states of a recurrence, "conv" and "recurrent" with their numbers."""

    length: int
    layers: list[Mapping[str, Tensor]]

    @classmethod
    def of(cls, length: int, tables: Sequence[Tensor]) -> KeptRow:
        """tables: the keys of a layer and then its values, K x S x E."""
        pairs = zip(tables[::2], tables[1::2], strict=True)
        return cls(length, [{"keys": keys, "values": values} for keys, values in pairs])


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
    """Whether `join` and `keep_row` know every layer of a cache."""
    plain = type(cache) in (DynamicCache, NarrowCache)
    return plain and all(
        type(layer) in _KINDS and all(isinstance(states, dict) for states in _list_states(layer).values())
        for layer in cache.layers
    )


def holds_tables(cache: Any) -> bool:
    """Whether every layer of a cache holds keys and values, and nothing else."""
    kinds = (DynamicLayer, DynamicSlidingWindowLayer)
    return can_join(cache) and all(type(layer) in kinds for layer in cache.layers)


def can_cut(cache: Any) -> bool:
    """Whether a text's beginning can be had of what a cache holds of it: not where a window or a recurrence
    has forgotten it."""
    forgets = {*_KINDS} - {DynamicLayer, getattr(cache_utils, "DummyLayer", None)}
    return can_join(cache) and all(type(layer) not in forgets for layer in cache.layers)


def join(cache: Any, other: Any, positions: int) -> None:
    """The rows of another cache behind those of `cache`; all end together, after `positions` positions.

    Rows that are shorter are padded on the left; of longer ones the beginning is left away, which must be
    padding.
    """

    def merge(mine: Tensor, theirs: Tensor, held: int | None) -> Tensor:
        parts = [mine, theirs] if held is None else [fit(part, held, 2) for part in (mine, theirs)]
        return torch.cat(parts)

    for mine, theirs in zip(cache.layers, other.layers, strict=True):
        held = _settle(mine, positions)
        for name in _TABLES:
            if getattr(mine, name, None) is not None:
                setattr(mine, name, merge(getattr(mine, name), getattr(theirs, name), held))
        for kind, states in _list_states(mine).items():
            for number, state in states.items():
                if state is not None:
                    states[number] = merge(state, _list_states(theirs)[kind][number], None)


def keep_row(cache: Any, row: int, positions: int, length: int) -> KeptRow:
    """The first `length` positions of a row whose text has `positions` of them; all, where a cache can't be
    cut."""
    layers = list[Mapping[str, Tensor]]()
    for layer in cache.layers:
        kept = dict[str, Tensor]()
        for name in _TABLES:
            if (table := getattr(layer, name, None)) is not None:
                begin = max(0, table.shape[2] - positions)
                kept[name] = table[row, :, begin : begin + length].clone()
        for kind, states in _list_states(layer).items():
            held = {number: state for number, state in states.items() if state is not None}
            kept |= {f"{kind} {number}": state[row].clone() for number, state in held.items()}
        layers.append(kept)
    return KeptRow(length, layers)


def fill(cache: Any, pasts: Sequence[KeptRow]) -> None:
    """Put what was kept of texts into an empty cache, a row each; all end together. Nothing of it is kept any
    more: layer by layer, so that there is never more than one of them twice."""
    width = max(past.length for past in pasts)
    for number, layer in enumerate(cache.layers):
        kept = [past.layers[number] for past in pasts]
        for past in pasts:
            past.layers[number] = {}
        if "keys" in kept[0]:
            held = _settle(layer, width)
            keys, values = (torch.stack([fit(one[name], held, 1) for one in kept]) for name in _TABLES)
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys, values
        for name in kept[0]:
            kind, _, index = name.partition(" ")
            if kind in _STATES:
                update = getattr(layer, f"update_{kind}_state")
                update(torch.stack([one[name] for one in kept]), state_idx=int(index))


def _settle(layer: Any, positions: int) -> int:
    """Have a layer's rows end after `positions` positions. Gives how many of them it holds."""
    if not isinstance(layer, DynamicSlidingWindowLayer):
        return positions
    layer.cumulative_length = positions
    return min(positions, layer.sliding_window - 1)


def _list_states(layer: Any) -> dict[str, Any]:
    """The states of a layer's recurrences by kind, each by its number."""
    return {kind: getattr(layer, f"{kind}_states") for kind in _STATES if hasattr(layer, f"{kind}_states")}


def fit(table: Tensor, positions: int, axis: int) -> Tensor:
    """The last `positions` places along an axis, 0 before them where there are fewer."""
    behind = 2 * (table.ndim - 1 - axis)
    return functional.pad(table, (*(0,) * behind, positions - table.shape[axis], 0))
