"""Texts that go on after a pause: only what is new goes through the model, over what was kept of the rest.

Shapes: P texts, K key/value heads, S positions, N new positions, E head size, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .caches import KeptRow, fill, make_cache
from .row_cache import Prefill, PromptLayer


@torch.no_grad()
def read_on(model: Any, pasts: Sequence[KeptRow], ids: Sequence[Sequence[int]]) -> Prefill:
    """One forward pass over what is new of each text, one token at least, padded on the left.

    pasts: of models whose layers keep the keys and values of all positions, so that padding between what was
    kept and what is new is no matter.
    """
    device = next(model.parameters()).device
    lengths_P = torch.tensor([past.length for past in pasts], device=device)
    news_P = torch.tensor([len(new) for new in ids], device=device)
    before, more = int(lengths_P.max()), int(news_P.max())
    padded = [[*[0] * (more - len(new)), *new] for new in ids]
    seen_PS, new_PN = _mark_right(lengths_P, before), _mark_right(news_P, more)
    mask_PS = torch.cat([seen_PS, new_PN], 1)
    positions_PN = lengths_P[:, None] + (new_PN.cumsum(1) - 1).clamp(min=0)
    cache = make_cache(model)
    fill(cache, pasts)
    last = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    output = model(
        input_ids=torch.tensor(padded, device=device),
        attention_mask=mask_PS,
        position_ids=positions_PN,
        past_key_values=cache,
        use_cache=True,
        **last,
    )
    return _lay_out(cache, mask_PS, lengths_P + news_P, output.logits[:, -1])


def _mark_right(lengths_P: Tensor, width: int) -> Tensor:
    """1 on the last positions of each row, as many as it has."""
    return (torch.arange(width, device=lengths_P.device) >= width - lengths_P[:, None]).long()


def _lay_out(cache: Any, mask_PS: Tensor, positions_P: Tensor, logits_PV: Tensor) -> Prefill:
    """Without the padding between what was kept and what is new: all of it stands on the left."""
    width = int(positions_P.max())
    place_PS = torch.argsort(mask_PS, dim=1, stable=True)[:, -width:]
    layers = []
    for one in cache.layers:  # each is let go of once it has been copied
        layers.append(PromptLayer(_gather(one.keys, place_PS), _gather(one.values, place_PS)))
        one.keys = one.values = None
    seen_PS = _mark_right(positions_P, width)
    start_R = torch.arange(len(positions_P), device=positions_P.device)
    return Prefill(width, positions_P, None if bool(seen_PS.all()) else seen_PS, start_R, logits_PV, layers)


def _gather(table_PKSE: Tensor, place_PS: Tensor) -> Tensor:
    rows, heads, _, size = table_PKSE.shape
    index = place_PS[:, None, :, None].expand(rows, heads, place_PS.shape[1], size)
    return table_PKSE.gather(2, index)
