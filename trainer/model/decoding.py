"""Decoding through a model's own forward pass, for any causal language model: the sampler's general path.

Which of the `modes` serves a model is found by a probe (`probe.choose_mode`), never by its name.

Shapes: P prompts, R completions, U rows (distinct texts that are decoded), S positions in the cache, N
positions of a pass, D hidden, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from .caches import KeptRow, can_cut, can_join, fill, fit, join, keep_row, make_cache, select_rows
from .logprobs import has_plain_head

COMPACT_BELOW = 0.8  # drop dead rows from the cache once this share of its rows is left


@dataclass(frozen=True)
class Extent:
    """How large a decoding may become. rows: completions at once.  prompt, new: tokens of the longest prompt,
    and of a completion."""

    rows: int
    prompt: int
    new: int

    @property
    def positions(self) -> int:
        return self.prompt + self.new


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


class OpenDecoding(Decoding, Protocol):
    """One that prompts may join on its way, where `admits` says so."""

    @property
    def admits(self) -> bool: ...

    def admit(self, prompts: Sequence[Sequence[int]], samples: Sequence[int]) -> Tensor:
        """Prefill prompts whose completions join those that are being decoded; logits_UV goes on with theirs.

        Gives the row of each new completion. Between two calls of `advance`; the rows of now keep their
        numbers.
        """
        ...


class KeepingDecoding(OpenDecoding, Protocol):
    """One whose rows may wait, where `keeps` says so: what they hold is taken out, and joins again later.

    cuts: whether the beginning of a row can be kept; elsewhere only all that has gone through the model.
    """

    @property
    def keeps(self) -> bool: ...

    @property
    def cuts(self) -> bool: ...

    def keep(self, row: int, length: int) -> KeptRow | None:
        """What the first `length` positions of a row hold; None for a part of a row where nothing `cuts`."""
        ...

    def go_on(self, pasts: Sequence[KeptRow], ids: Sequence[Sequence[int]]) -> Tensor:
        """Rows that were kept join again, each after tokens more, one at least. Gives the row of each."""
        ...


def find_keeping(decoding: Decoding) -> KeepingDecoding | None:
    """The decoding itself where its rows may wait."""
    return cast(KeepingDecoding, decoding) if getattr(decoding, "keeps", False) else None


def find_open(decoding: Decoding) -> OpenDecoding | None:
    """The decoding itself where prompts may join it."""
    return cast(OpenDecoding, decoding) if getattr(decoding, "admits", False) else None


class GeneralDecoding:
    """Rows decoded through `model` with a cache. mask_US: None while no row has padding on its left."""

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        samples: Sequence[int],
        *,
        own_cache: bool = False,
        joins: bool = True,
        keeps: bool = True,
        pasts: Sequence[KeptRow] = (),
    ) -> None:
        """One forward pass over the prompts, each once, padded on the left. samples: completions of each.

        own_cache: the model makes its cache itself.  joins: whether prompts may join later.  keeps: whether
        rows may wait.  pasts: what was kept of texts, which the prompts, all of one length, go on from.
        """
        self.model, self._known = model, inspect.signature(model.forward).parameters
        self._takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in self._known.values())
        self._cache_name = "cache_params" if self._takes("cache_params") else "past_key_values"
        device = next(model.parameters()).device
        kept = [past.length for past in pasts] or [0] * len(prompts)
        lengths = [past + len(prompt) for past, prompt in zip(kept, prompts, strict=True)]
        self.width, before = max(lengths), max(kept)
        width = self.width
        ids_PN = torch.tensor(
            [[0] * (width - before - len(prompt)) + list(prompt) for prompt in prompts], device=device
        )
        self.cache: Any = None if own_cache else make_cache(model)
        if pasts:
            fill(self.cache, pasts)
        self.mask_US: Tensor | None = None
        position_ids = None
        if min(lengths) < width:
            self.mask_US = (torch.arange(width) >= width - torch.tensor(lengths)[:, None]).long().to(device)
            position_ids = (self.mask_US.cumsum(-1) - 1).clamp(min=0)[:, before:]
        if pasts and self._cache_name == "cache_params":
            self.mask_US = None  # as in a step
        output = self._forward(ids_PN, position_ids, logits_to_keep=1)
        if own_cache:
            self.cache = getattr(output, self._cache_name)
        self.positions_U = torch.tensor(lengths, device=device)
        self.logits_UV = output.logits[:, -1]
        self.rows_U = torch.arange(
            len(prompts), device=device
        )  # where in the cache each is; other rows there are dead
        self.start_R = self.rows_U.repeat_interleave(torch.tensor(samples, device=device))
        self._joins, self._keeps = joins and not own_cache, keeps

    @classmethod
    def resume(cls, model: Any, pasts: Sequence[KeptRow], ids: Sequence[Sequence[int]]) -> GeneralDecoding:
        """Texts that go on from what was kept of them: a forward pass over what is new of each, one token at
        least, for all that have as many new ones. So nothing stands between the two: a window would count it,
        and a recurrence read it."""
        by_length: dict[int, list[int]] = {}
        for place, new in enumerate(ids):
            by_length.setdefault(len(new), []).append(place)
        decoding: GeneralDecoding | None = None
        for places in by_length.values():
            news, olds = [ids[place] for place in places], [pasts[place] for place in places]
            more = cls(model, news, [1] * len(news), pasts=olds)
            if decoding is None:
                decoding = more
            else:
                decoding._append(more)
        assert decoding is not None, "texts to go on with"
        if len(by_length) > 1:
            order = [place for places in by_length.values() for place in places]
            decoding._reorder(torch.tensor(order).argsort())
        decoding.start_R = decoding.rows_U
        return decoding

    @property
    def admits(self) -> bool:
        return self._joins and can_join(self.cache)

    @property
    def keeps(self) -> bool:
        return self._keeps and self.admits

    @property
    def cuts(self) -> bool:
        return can_cut(self.cache)

    def admit(self, prompts: Sequence[Sequence[int]], samples: Sequence[int]) -> Tensor:
        return self._append(GeneralDecoding(self.model, prompts, samples))

    def keep(self, row: int, length: int) -> KeptRow | None:
        place = int(self.rows_U[row])
        positions = int(self.positions_U[place])
        if length < positions and not self.cuts:
            return None
        return keep_row(self.cache, place, positions, length)

    def go_on(self, pasts: Sequence[KeptRow], ids: Sequence[Sequence[int]]) -> Tensor:
        return self._append(GeneralDecoding.resume(self.model, pasts, ids))

    def _append(self, more: GeneralDecoding) -> Tensor:
        """The rows of another one behind those of now. Gives the row of each of its completions."""
        live = len(self.rows_U)
        if live < len(self.positions_U):  # else all are alive, in their order
            self._compact()
        width = max(int(self.positions_U.max()), more.width)
        masks = [one.positions_U.new_ones(len(one.positions_U), one.width) for one in (self, more)]
        masks = [
            mask if one.mask_US is None else one.mask_US
            for mask, one in zip(masks, (self, more), strict=True)
        ]
        join(self.cache, more.cache, width)
        self.mask_US, self.width = torch.cat([fit(mask_US, width, 1) for mask_US in masks]), width
        self.positions_U = torch.cat([self.positions_U, more.positions_U])
        self.logits_UV = torch.cat([self.logits_UV, more.logits_UV])
        self.rows_U = torch.arange(len(self.positions_U), device=self.rows_U.device)
        return live + more.start_R

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
        position_ids = None
        if self._cache_name == "cache_params":
            self.mask_US = None  # layers that are all recurrent have left the padding behind them
        if self.mask_US is not None:
            self.mask_US = torch.cat([self.mask_US, self.mask_US.new_ones(len(ids_U), 1)], 1)
            position_ids = self.positions_U[:, None]
        output = self._forward(ids_U[:, None], position_ids)
        self.positions_U, self.width = self.positions_U + 1, self.width + 1
        logits_UV = output.logits[:, -1]
        self.logits_UV = logits_UV[self.rows_U] if len(self.rows_U) < len(logits_UV) else logits_UV
        return None if parents_U is None else torch.arange(len(parents_U), device=parents_U.device)

    def _forward(self, ids_US: Tensor, position_ids: Tensor | None, **extra: Any) -> Any:
        """Run the model with what it knows of: its cache, and mask and positions where rows are padded."""
        if self.mask_US is not None:
            extra |= {"attention_mask": self.mask_US, "position_ids": position_ids}
        if self.cache is not None:
            extra[self._cache_name] = self.cache
        known = {name: value for name, value in extra.items() if self._takes(name) or self._takes_any}
        return self.model(input_ids=ids_US, use_cache=True, **known)

    def _takes(self, name: str) -> bool:
        return name in self._known

    def _go_on_with(self, parents_U: Tensor) -> None:
        self.rows_U = self.rows_U[parents_U]
        forked = bool((parents_U[1:] == parents_U[:-1]).any())
        if forked or len(parents_U) <= COMPACT_BELOW * len(self.positions_U):
            self._compact()

    def _reorder(self, order_U: Tensor) -> None:
        """Rows that no completion has gone on from yet, in another order."""
        self.rows_U = order_U.to(self.rows_U.device)
        self.logits_UV = self.logits_UV[self.rows_U]
        self._compact()

    def _compact(self) -> None:
        """Leave the dead rows of the cache."""
        select_rows(self.cache, self.rows_U)
        self.positions_U = self.positions_U[self.rows_U]
        if self.mask_US is not None:
            self.mask_US = self.mask_US[self.rows_U]
        self.rows_U = torch.arange(len(self.rows_U), device=self.rows_U.device)


class UncachedDecoding:
    """Rows whose whole text goes through the model at every step, padded on the right as in an update.

    For models without a cache that can be forked. A step costs as much as a prefill of all that was said.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], samples: Sequence[int]) -> None:
        """samples: completions of each prompt."""
        self.model, device = model, next(model.parameters()).device
        lengths = [len(prompt) for prompt in prompts]
        padded = [[*prompt, *[0] * (max(lengths) - len(prompt))] for prompt in prompts]
        self.ids_US = torch.tensor(padded, device=device)
        self.lengths_U = torch.tensor(lengths, device=device)
        rows_U = torch.arange(len(prompts), device=device)
        self.start_R = rows_U.repeat_interleave(torch.tensor(samples, device=device))
        self.logits_UV = self._compute_logits()

    def advance(self, parents_U: Tensor | None, tokens_U: Tensor) -> Tensor | None:
        if parents_U is not None:
            self.ids_US, self.lengths_U = self.ids_US[parents_U], self.lengths_U[parents_U]
        self.ids_US = torch.cat([self.ids_US, self.ids_US.new_zeros(len(tokens_U), 1)], 1)
        self.ids_US.scatter_(1, self.lengths_U[:, None], tokens_U[:, None])
        self.lengths_U = self.lengths_U + 1
        self.ids_US = self.ids_US[:, : int(self.lengths_U.max())]
        self.logits_UV = self._compute_logits()
        return None if parents_U is None else torch.arange(len(parents_U), device=parents_U.device)

    def _compute_logits(self) -> Tensor:
        """logits_UV after the last token of each row; the head runs on that token alone where it can."""
        last_U, rows_U = self.lengths_U - 1, torch.arange(len(self.ids_US), device=self.ids_US.device)
        if has_plain_head(self.model):
            hidden_USD = self.model.base_model(input_ids=self.ids_US, use_cache=False)[0]
            return self.model.get_output_embeddings()(hidden_USD[rows_U, last_U])
        return self.model(input_ids=self.ids_US, use_cache=False).logits[rows_U, last_U]
