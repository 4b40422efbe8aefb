"""Decoding through a model's own forward pass, for any causal language model: the sampler's general path.

Shapes: P prompts, R completions, U rows (distinct texts that are decoded), S positions in the cache,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import DynamicCache

COMPACT_BELOW = 0.8  # drop dead rows from the cache once this share of its rows is left


class Decoding(Protocol):
    """Distinct texts that are being decoded, a row each. A row may serve several completions:
    all that agree so far.

    logits_UV: of each row's next token.  start_R: the row of each completion's prompt,
    before the first `advance`.
    """

    logits_UV: Tensor
    start_R: Tensor

    def advance(self, parents_U: Tensor | None, tokens_U: Tensor) -> Tensor | None:
        """Go on with row parents_U[u] by tokens_U[u], and compute the logits of the next token.

        parents_U: not decreasing; a row named twice is forked, one not named is dropped. None: every row goes
        on. Gives the row at which each is from now on; None where that has not changed.
        """


class GeneralDecoding:
    """Rows decoded through `model`. mask_US: None while no row has padding on its left."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], samples: Sequence[int]) -> None:
        """One forward pass over the prompts, each once, padded on the left. samples: completions of each."""
        self.model = model
        device = next(model.parameters()).device
        lengths = [len(prompt) for prompt in prompts]
        self.width = width = max(lengths)
        ids_PS = torch.tensor(
            [[0] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device
        )
        self.cache = DynamicCache(config=model.config)
        extra, self.mask_US = {}, None
        if min(lengths) < width:
            self.mask_US = (torch.arange(width) >= width - torch.tensor(lengths)[:, None]).long().to(device)
            extra = {
                "attention_mask": self.mask_US,
                "position_ids": (self.mask_US.cumsum(-1) - 1).clamp(min=0),
            }
        output = model(
            input_ids=ids_PS, past_key_values=self.cache, use_cache=True, logits_to_keep=1, **extra
        )
        self.positions_U = torch.tensor(lengths, device=device)
        self.logits_UV = output.logits[:, -1]
        self.rows_U = torch.arange(
            len(prompts), device=device
        )  # where in the cache each is; other rows there are dead
        self.start_R = self.rows_U.repeat_interleave(torch.tensor(samples, device=device))

    def list_layers(self) -> list[Any]:
        """The cache's layers: `keys` and `values`, P x K x S x E."""
        return list(self.cache.layers)

    def advance(self, parents_U: Tensor | None, tokens_U: Tensor) -> Tensor | None:
        if parents_U is not None:
            self._go_on_with(parents_U)
        ids_U = tokens_U
        if len(self.rows_U) < len(self.positions_U):
            ids_U = torch.zeros_like(self.positions_U)
            ids_U[self.rows_U] = tokens_U
        extra = {}
        if self.mask_US is not None:
            self.mask_US = torch.cat([self.mask_US, self.mask_US.new_ones(len(ids_U), 1)], 1)
            extra = {"attention_mask": self.mask_US, "position_ids": self.positions_U[:, None]}
        output = self.model(input_ids=ids_U[:, None], past_key_values=self.cache, use_cache=True, **extra)
        self.positions_U = self.positions_U + 1
        logits_UV = output.logits[:, -1]
        self.logits_UV = logits_UV[self.rows_U] if len(self.rows_U) < len(logits_UV) else logits_UV
        return None if parents_U is None else torch.arange(len(parents_U), device=parents_U.device)

    def _go_on_with(self, parents_U: Tensor) -> None:
        self.rows_U = self.rows_U[parents_U]
        forked = bool((parents_U[1:] == parents_U[:-1]).any())
        if forked or len(parents_U) <= COMPACT_BELOW * len(self.positions_U):
            self.cache.batch_select_indices(self.rows_U)
            self.positions_U = self.positions_U[self.rows_U]
            if self.mask_US is not None:
                self.mask_US = self.mask_US[self.rows_U]
            self.rows_U = torch.arange(len(parents_U), device=parents_U.device)
