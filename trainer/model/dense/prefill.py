"""The prompts of a call, each once, before the fast path decodes their completions.

Prompts often begin alike (a system message, a few worked examples) and differ in length. Where that is so,
and in float32, they go through the packed pass, which computes a common beginning once and no padding;
elsewhere through the model's own forward pass.

Shapes: P prompts, R completions, N packed tokens, K key/value heads, S positions of the longest prompt, E
head size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..casts import find_arithmetic
from ..decoding import GeneralDecoding
from ..row_cache import Prefill, PromptLayer, read_prefill
from ..sequences import Sequences, sort_by_beginning
from .ops import read_keys_and_values
from .packed import can_pack, compute_hidden_states
from .packing import Packing

WORTH_PACKING = (
    0.75  # share of the padded table that is left to compute, below which the packed pass is taken
)


def prefill(
    model: Any, prompts: Sequence[Sequence[int]], samples: Sequence[int], *, packs: bool = True
) -> Prefill:
    """Run the prompts through the model. samples: completions of each.  packs: False leaves the packed pass
    out in any case."""
    exact = find_arithmetic(next(model.parameters())) is torch.float32
    if packs and exact and is_worth_packing(prompts) and can_pack(model):
        sequences = Sequences.of(prompts, [[0]] * len(prompts), next(model.parameters()).device)
        return _prefill_packed(model, Packing.of(sequences), samples)
    return read_prefill(GeneralDecoding(model, prompts, samples))


def is_worth_packing(prompts: Sequence[Sequence[int]]) -> bool:
    """Whether enough of the padded table is padding, or the beginning of another prompt."""
    lengths_P = np.array([len(prompt) for prompt in prompts])
    ids_PS = np.zeros((len(prompts), lengths_P.max()), dtype=np.int64)
    for row_S, prompt in zip(ids_PS, prompts, strict=True):
        row_S[: len(prompt)] = prompt
    order_P, shared_P = sort_by_beginning(ids_PS, lengths_P)
    return (lengths_P[order_P] - shared_P).sum() <= WORTH_PACKING * ids_PS.size


def _prefill_packed(model: Any, packing: Packing, samples: Sequence[int]) -> Prefill:
    """By the packed pass; its tokens are laid out as rows that are padded on the left."""
    lengths_P, width, device = packing.lengths_B, int(packing.lengths_B.max()), packing.ids_N.device
    shift_PS = torch.arange(width, device=device) - (width - lengths_P)[:, None]
    place_PS = packing.index_BS.gather(1, shift_PS.clamp(min=0))
    layers: list[PromptLayer] = []

    def keep(attention: Any, qkv_NO: Tensor, rope: tuple[Tensor, Tensor], eps: float) -> None:
        tables = (
            flat[place_PS].transpose(1, 2) for flat in read_keys_and_values(attention, qkv_NO, rope, eps)
        )
        layers.append(PromptLayer(*tables))

    hidden_ND = compute_hidden_states(model, packing, keep)
    start_R = torch.arange(len(lengths_P), device=device).repeat_interleave(
        torch.tensor(samples, device=device)
    )
    mask_PS = (shift_PS >= 0).long()
    return Prefill(
        width,
        lengths_P,
        None if bool(mask_PS.all()) else mask_PS,
        start_R,
        model.lm_head(hidden_ND[packing.sources_L]),
        layers,
    )
