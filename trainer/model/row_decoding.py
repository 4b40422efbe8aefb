"""Decoding over tables whose live rows are always the first: forks, and the last live rows, are copied to
where a row has ended, and what joins comes behind them.

Shapes: R completions, U rows (distinct texts), P prompts, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from .caches import KeptRow
from .captures import Step
from .fixed import FixedShapes
from .row_cache import Prefill


class Past(Protocol):
    """What a decoding's rows hold of the past, `used` positions behind their beginnings or their prompts."""

    used: int

    def admit(self, start: Prefill, rows_U: Tensor, live: int, longest: int) -> None:
        """More rows behind the first `live`, whose longest text has `longest` positions. rows_U: their
        prompts."""

    def copy_row(self, row: int, positions: int, length: int) -> KeptRow:
        """The first `length` positions of a row whose text has `positions` of them."""
        ...

    def move(self, targets: Tensor, sources: Tensor, width: int) -> None:
        """Copy rows; the first `width` are computed from now on."""

    def resize(self, width: int, length: int) -> None:
        """Rows and positions that are computed from now on."""

    def make_room(self, live: int, longest: Callable[[], int]) -> None:
        """Have a place for the next position. longest: positions of the longest of the `live` rows."""

    def settle(self) -> None:
        """A position more holds something."""


class RowState(Protocol):
    """What a step reads and writes of every row that there may be: its last token, the position of that,
    and the logits of the next one."""

    tokens_U: Tensor
    positions_U: Tensor
    out_UV: Tensor


class RowDecoding(ABC):
    """Rows in tables. A class says how prompts are read and how a step is computed.

    fixed: the shapes of a step stay (a row for each completion, whole caches under a mask, rows halved
    rather than cut), so that it can be recorded, and buffers stay from call to call.  rows: live ones.
    width: rows that are computed.  positions_U: one for all rows while they have the same.
    """

    admits = keeps = cuts = True

    def __init__(
        self,
        start: Prefill,
        state: RowState,
        make_cache: Callable[[Tensor], Past],
        fixed: FixedShapes | None,
    ) -> None:
        """make_cache: of the rows that go on from `start`, given the prompt of each."""
        self.fixed, self._state = fixed, state
        rows_U, self.start_R = self._divide(start)
        self.cache, self.rows = make_cache(rows_U), len(rows_U)
        self._even = fixed is None and start.mask_PS is None  # whether all texts have one length
        positions_U = start.positions_P[rows_U]
        self.positions_U = positions_U[:1] if self._even else state.positions_U[: self.rows]
        self.positions_U.copy_(positions_U[: len(self.positions_U)])
        self._resize(self.rows)
        self.logits_UV = self._set_logits(start, rows_U, 0)

    @abstractmethod
    def _read(self, prompts: Sequence[Sequence[int]], samples: Sequence[int]) -> Prefill:
        """One forward pass over prompts. samples: completions of each."""

    @abstractmethod
    def _read_on(self, pasts: Sequence[KeptRow], ids: Sequence[Sequence[int]]) -> Prefill:
        """A forward pass over what is new of texts that go on from what was kept of them."""

    @abstractmethod
    def _run_step(self) -> None:
        """From the tokens and positions of the first `width` rows to their logits, and into the cache."""

    def _divide(self, start: Prefill) -> tuple[Tensor, Tensor]:
        """The prompt of each new row, and of each new completion its row among them."""
        prompts_P = torch.arange(len(start.positions_P), device=start.start_R.device)
        if self.fixed is None:
            return prompts_P, start.start_R
        return start.start_R, torch.arange(len(start.start_R), device=start.start_R.device)

    @torch.inference_mode()
    def admit(self, prompts: Sequence[Sequence[int]], samples: Sequence[int]) -> Tensor:
        return self._join(self._read(prompts, samples))

    @torch.inference_mode()
    def keep(self, row: int, length: int) -> KeptRow:
        positions = int(self.positions_U[: self.rows].expand(self.rows)[row])
        return self.cache.copy_row(row, positions, length)

    @torch.inference_mode()
    def go_on(self, pasts: Sequence[KeptRow], ids: Sequence[Sequence[int]]) -> Tensor:
        return self._join(self._read_on(pasts, ids))

    def _join(self, start: Prefill) -> Tensor:
        """Rows more that go on from what has been read. Gives the row of each new completion."""
        live = self.rows
        rows_U, row_R = self._divide(start)
        positions_U = self.positions_U[:live].expand(live)
        self.cache.admit(start, rows_U, live, int(positions_U.max()))
        self.rows, self._even = live + len(rows_U), False
        self._state.positions_U[: self.rows] = torch.cat([positions_U, start.positions_P[rows_U]])
        self._resize(self.rows)
        self.logits_UV = self._set_logits(start, rows_U, live)
        return live + row_R

    def _set_logits(self, start: Prefill, rows_U: Tensor, live: int) -> Tensor:
        """logits_UV: those of the prompts behind those of the live rows."""
        self._state.out_UV[live : self.rows] = start.logits_PV[rows_U]
        return self._state.out_UV[: self.rows]

    def _resize(self, rows: int) -> None:
        """Rows that are live from now on; with fixed shapes some more are computed."""
        self.width = rows
        if self.fixed is not None:
            self.width = self.fixed.choose_width(rows)
            self.cache.resize(self.width, self.fixed.choose_length(self.cache.used + 1))
        if not self._even:
            self.positions_U = self._state.positions_U[: self.width]

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
            self._state.positions_U[targets] = self._state.positions_U[sources]
        self.rows = count
        if width != self.width:
            self._resize(count)
        return place_U

    @torch.inference_mode()
    def advance(self, parents_U: Tensor | None, tokens_U: Tensor) -> Tensor | None:
        place_U = None if parents_U is None else self._go_on_with(parents_U)
        self.cache.make_room(self.rows, lambda: int(self.positions_U[: self.rows].max()))
        self._state.tokens_U[slice(self.rows) if place_U is None else place_U] = tokens_U
        self._run_step()
        self.positions_U += 1
        if self.fixed is not None:  # rows that have ended are computed as well, and stay within the tables
            self.positions_U.clamp_(max=self.fixed.positions - 1)
        self.cache.settle()
        self.logits_UV = self._state.out_UV[: self.rows]
        return place_U

    def _run_fixed(self, step: Step) -> None:
        """The step; replayed where its shape has been recorded."""
        if self.fixed is None:
            step()
            return
        length = self.fixed.choose_length(self.cache.used + 1)
        self.cache.resize(self.width, length)
        if self.fixed.steps is None:
            step()
        else:
            self.fixed.steps.run((self.width, length), step)
