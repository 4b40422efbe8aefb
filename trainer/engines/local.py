"""The local engine: completions from the very model that is trained.

Each prompt is prefilled once for its whole group; a row that has ended leaves the batch, so no step is spent
on it. A row draws from a random stream of its own, so what else is in the batch does not matter to it.

Shapes: R live rows, T positions of the completion, V vocabulary.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from ...tasks.core.errors import RunError, UserError, shorten
from ...verifiers import Completion
from ..model.caches import KeptRow
from ..model.captures import CudaRecorder, Recorder
from ..model.casts import find_arithmetic
from ..model.decoding import Decoding, Extent, find_keeping, find_open
from ..model.dense.buffers import FixedSteps
from ..model.dense.decoder import FastDecoding, find_refusal
from ..model.dense.family import DenseWeights, find_misfit
from ..model.folding import Folded
from ..model.kept import pack_kept_ids
from ..model.machine import is_out_of_memory
from ..model.modes import DecodingMode, start_decoding
from ..model.policy import Policy
from ..model.probe import choose_mode
from ..model.prompts import decode
from ..model.static_decoding import StaticBuffers
from .base import Finished, More, Owner, Request, Row, Sampling, limit_tokens
from .following import follow
from .joining import Joining, divide, draw_uniforms_of
from .live import Ended, LiveRows
from .waiting import Waiting, plan_rows

ROWS = 256  # decoded at once where nothing else is asked for
REFILL = {"cpu": 2, "cuda": 8}
"""A batch is filled up again once one row in so many is free. On a CPU, where free rows cost little, later:
what it saves are the last steps of few rows, and it costs a prefill."""
Item = TypeVar("Item")
Result = TypeVar("Result")
LOOK_EVERY_CUDA = 8  # steps between two looks for ended rows: each look makes the host wait for the device


class LocalEngine:
    """An `Engine` that samples from the policy's own model, in the policy's arithmetic, without a copy.

    rows: completions that are decoded at once, 1 or more; None takes 256.
    fast: False takes the general path in any case, with the model's own weights: no copy of them is made.
    record: how decode steps are captured; None: as CUDA graphs on a GPU, elsewhere not. `captures.Tape`
    captures them on any device, to count and to compare. They stay, with what they read, until `free`.
    path: "fast" (a decoder written for the dense family) or "general" (the model's own forward).  reason: why
    not "fast".
    end_ids: the tokens that end a completion.
    prefilled: tokens of prompts, and of what was said between turns, that were read so far.
    steps, row_steps: decode steps so far, and completions that went on in them, all together: row_steps /
    (steps x rows) is how full the batch was.

    >>> import palaestra as pal
    >>> engine = pal.LocalEngine(pal.load_policy("embedded"), rows=2)
    >>> engine.path, engine.rows, engine.version
    ('fast', 2, 0)
    """

    takes_more = True
    in_place = True

    def __init__(
        self,
        policy: Policy,
        rows: int | None = None,
        *,
        fast: bool = True,
        record: Recorder | None = None,
    ) -> None:
        if rows is not None and rows < 1:
            raise ValueError(f"An engine with rows={rows}: give 1 or more, or None for {ROWS}.")
        self.policy, self.version, self.rows = policy, 0, ROWS if rows is None else rows
        self._fast, self._longest, self._together = fast, 1, 0
        self._fixed: FixedSteps | None = None
        self._static: StaticBuffers | None = None
        self._folded: Folded | None = None
        self._freed_captures = 0
        self.steps = self.row_steps = self.prefilled = 0
        self._refill = REFILL.get(policy.device.type, REFILL["cpu"])
        self._record = CudaRecorder() if record is None and policy.device.type == "cuda" else record
        self._look_at_model()

    @property
    def captures(self) -> int:
        """Decode steps that have been recorded so far; each is replayed for its shape from then on."""
        kept = sum(kept.captures for kept in (self._fixed, self._static) if kept is not None)
        return kept + self._freed_captures

    def load(self, policy: Policy, version: int) -> None:
        """Sample from the model of `policy` itself, whatever weights it has at each call."""
        known, self.policy, self.version = self.policy, policy, version
        if policy is not known:
            self._look_at_model()

    def sample(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        finished: Finished | None = None,
        more: More | None = None,
    ) -> list[list[Completion]]:
        """See `Engine.sample`. Requests of like length are decoded together, `rows` completions at a time.

        more: where further requests come from meanwhile. A row that waits for its own keeps its cache, where
        the decoder can hand it out; elsewhere its whole text is prefilled again.
        """
        results: dict[Owner, Completion] = {}
        self._longest = sampling.max_new_tokens
        self._check_ids(request.ids for request in requests)
        owners = [Owner(index, place) for index, one in enumerate(requests) for place in range(one.samples)]
        joining = Joining(list(requests), more)
        with self._prepare() as weights:
            for owner, completion in self._run(
                owners, lambda some: self._decode(weights, joining, some, sampling)
            ):
                results[owner] = completion
                if finished is not None:
                    finished(owner.request, owner.sample, completion)
        return [
            [results[Owner(index, place)] for place in range(request.samples)]
            for index, request in enumerate(joining.requests)
        ]

    def compute_logprobs(self, rows: Sequence[Row], temperature: float = 1.0) -> list[list[float]]:
        """See `Engine.compute_logprobs`. The tokens go through the decoder step by step, as drawn ones do."""
        if not temperature > 0:
            raise ValueError(f"Log-probabilities at temperature {temperature}: give one above 0.")
        self._check_ids(itertools.chain.from_iterable((row.prompt_ids, row.ids) for row in rows))
        results: list[list[float]] = [[] for _ in rows]
        with self._prepare() as weights:
            for place, logprobs in self._run(
                range(len(rows)), lambda some: self._follow(weights, rows, some, temperature)
            ):
                results[place] = logprobs
        return results

    def free(self) -> None:
        """See `Engine.free`: of captured steps, and what they read: the copy of the weights, the cache."""
        self._freed_captures = self.captures
        self._fixed = None if self._record is None else FixedSteps(self._record)
        self._static = None if self._record is None else StaticBuffers(self._record)
        self._folded = None

    def close(self) -> None:
        """See `Engine.close`: nothing was started for it."""

    @property
    def _model(self) -> Any:
        return self.policy.model

    def _look_at_model(self) -> None:
        self.end_ids = self.policy.end_ids
        self.free()
        self.reason = "the fast path was not asked for"
        if self._fast:
            self.reason = find_refusal(self._model, self.policy.dtype, self._record)
        self.path = "general" if self.reason else "fast"
        self._mode = choose_mode(self.policy, self._record) if self.reason else DecodingMode()

    @property
    def _pads(self) -> bool:
        """Whether prompts of different lengths are decoded together."""
        return self.path == "fast" or self._mode.padded

    def _check_ids(self, rows: Iterable[Sequence[int]]) -> None:
        """Raise UserError for a token that the model has no embedding of."""
        size = self._model.get_input_embeddings().weight.shape[0]
        most = max((max(ids) for ids in rows if len(ids)), default=0)
        if most >= size:
            raise UserError(
                f"{self.policy.source}: token {most} is beyond the model's {size} tokens, so its tokenizer "
                "is not the model's. Give the model its own tokenizer, or resize its embeddings."
            )

    @contextlib.contextmanager
    def _prepare(self) -> Iterator[DenseWeights | None]:
        """The model ready to be run; gives its weights of now for the fast path, None on the general one."""
        training = self._model.training
        with self.policy.autocast(), torch.no_grad():
            self._model.eval()
            try:
                if self.path == "fast" and (reason := find_misfit(self._model)):
                    # The model was changed since: an adapter, a hook.
                    self.path, self.reason, self._mode = (
                        "general",
                        reason,
                        choose_mode(self.policy, self._record),
                    )
                # The trainer has changed the weights since the last call, so they are fused anew.
                with self._fold():
                    yield self._fuse() if self.path == "fast" else None
            finally:
                self._model.train(training)

    @contextlib.contextmanager
    def _fold(self) -> Iterator[None]:
        """On the general path, the model with its weights of now made fast to sample with."""
        if not self._fast or self._mode.folds == "nothing":
            yield
            return
        folded = self._folded
        if folded is None:
            folded = Folded(self._model, self.policy.dtype, adapters=self._mode.folds == "adapters")
        self._folded = (
            folded if self._record is not None else None
        )  # what is recorded reads these very tensors
        folded.load()
        with folded.use():
            yield

    def _fuse(self) -> DenseWeights:
        dtype = find_arithmetic(next(self._model.parameters()))
        if self._fixed is not None:
            return self._fixed.load(self._model, dtype)
        return DenseWeights.of(self._model, dtype)

    def _start(
        self,
        weights: DenseWeights | None,
        prompts: Sequence[Sequence[int]],
        samples: Sequence[int],
        extent: Extent,
        pasts: Sequence[KeptRow] = (),
    ) -> Decoding:
        """Prefill the prompts. samples: completions of each.  pasts: what was kept of texts, which the
        prompts go on from."""
        self.prefilled += sum(map(len, prompts))
        if weights is None:
            return start_decoding(self._model, self._mode, prompts, samples, extent, self._static, pasts)
        return FastDecoding(self._model, weights, prompts, samples, extent, fixed=self._fixed, pasts=pasts)

    def _run(
        self, items: Iterable[Item], run: Callable[[list[Item]], Iterator[tuple[Item, Result]]]
    ) -> Iterator[tuple[Item, Result]]:
        """What `run` gives for the items. When memory runs out, what is left of them is run again, half as
        many at a time from then on: the same streams draw the same tokens."""
        left = list(items)
        while left:
            done = set()
            try:
                for item, result in run(left):
                    done.add(item)
                    yield item, result
                return
            except (RuntimeError, MemoryError) as failure:
                if not is_out_of_memory(failure):
                    raise
                reason = shorten(str(failure), 120)
            # Outside of the handler: the exception held the frames, and these their tensors.
            self._retreat(self._together, reason)
            left = [item for item in left if item not in done]

    def _retreat(self, rows: int, reason: str) -> None:
        """Half as many rows from now on. Raises UserError where there was one."""
        if rows == 1:
            raise RunError(
                f"Memory ran out while sampling a single completion ({reason}). Take a smaller model, or "
                "lower --max-prompt-tokens and --max-new-tokens.",
                f"--max-new-tokens {max(1, self._longest // 2)}",
            )
        self.rows = rows // 2
        for kept in (self._fixed, self._static):
            if kept is not None:
                kept.drop()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(
            f"Memory ran out while sampling {rows} rows ({reason}); going on with {self.rows} at a time.",
            file=sys.stderr,
        )

    def _decode(
        self, weights: DenseWeights | None, joining: Joining, owners: list[Owner], sampling: Sampling
    ) -> Iterator[tuple[Owner, Completion]]:
        """Draw completions, each given once it is seen to have ended. owners: those that join are added."""
        requests = joining.requests
        waiting = Waiting(requests, owners, even=not self._pads)
        joining.begin(owners, waiting)
        new = max(limit_tokens(request, sampling) for request in requests)
        # A text that grows by turns has no more than its first prompt and all that may be new.
        grown = joining.prompt + sampling.max_new_tokens - new if joining.more is not None else 0
        while joining.wait():
            extent = Extent(min(self.rows, joining.most), max(joining.longest, grown), new)
            if resumed := joining.resume(self.rows):
                first, prompts, samples = resumed.owners, resumed.ids, [1] * len(resumed.ids)
            else:
                first = waiting.take(self.rows, self.rows)
                prompts, samples = divide(requests, first)
            decoding = self._start(weights, prompts, samples, extent, resumed.pasts)
            limits = [limit_tokens(requests[owner.request], sampling) for owner in first]
            live = LiveRows(decoding, first, draw_uniforms_of(requests, first, extent.new), limits)
            for ended in self._decode_batch(live, joining, sampling):
                yield ended.owner, self._make_completion(requests[ended.owner.request], ended)
            del live, decoding  # its tables go before others come

    def _decode_batch(self, live: LiveRows, joining: Joining, sampling: Sampling) -> Iterator[Ended]:
        """Go on until all have ended; where rows become free, what is waiting joins, if the decoder takes
        it."""
        self._together = len(live.owners)
        is_end_V = self._mark_end_tokens(live.decoding.logits_UV)
        late = is_end_V.is_cuda and not sampling.stop and joining.can_look_late(live.decoding)
        every = LOOK_EVERY_CUDA if late else 1
        while True:
            live.draw_tokens(sampling)
            live.close(is_end_V[live.last_R])
            if sampling.stop:
                live.close(self._find_stopped(live, sampling.stop))
            going_R = None
            if live.spent or (live.step % every == 0 and not bool(live.open_R.all())):
                ended_R = live.mark_ended()
                ended_E = ended_R.nonzero()[:, 0]
                ended = live.list_ended(ended_E)
                joining.keep(live, ended_E.tolist(), [self._cut(one.ids) for one in ended])
                yield from ended
                going_R = (~ended_R).nonzero()[:, 0]
                if not len(going_R):
                    return
            self._advance(live, going_R)
            if going_R is not None or (joining.more is not None and live.step % every == 0):
                self._fill_up(live, joining, sampling)

    def _fill_up(self, live: LiveRows, joining: Joining, sampling: Sampling) -> None:
        """What waits joins where rows are free, if the decoder takes it."""
        opened, requests = find_open(live.decoding), joining.requests
        room = self.rows - len(live.owners)
        if not opened or not joining.is_worth(len(live.owners), self._refill * room >= self.rows):
            return
        joining.take()
        keeping = find_keeping(live.decoding)
        resumed = joining.resume(room if keeping else 0)
        if keeping and resumed:
            self.prefilled += sum(map(len, resumed.ids))
            row_J = keeping.go_on(resumed.pasts, resumed.ids)
            self._join(live, requests, resumed.owners, row_J, sampling)
        if joined := joining.waiting.take(room - len(resumed.owners), self.rows):
            prompts, samples = divide(requests, joined)
            self.prefilled += sum(map(len, prompts))
            self._join(live, requests, joined, opened.admit(prompts, samples), sampling)

    def _join(
        self,
        live: LiveRows,
        requests: Sequence[Request],
        owners: Sequence[Owner],
        row_J: Tensor,
        sampling: Sampling,
    ) -> None:
        limits = [limit_tokens(requests[owner.request], sampling) for owner in owners]
        live.join(owners, row_J, draw_uniforms_of(requests, owners, live.budget), limits)
        self._together = len(live.owners)

    def _advance(self, live: LiveRows, going_R: Tensor | None = None) -> None:
        live.advance(going_R)
        self.steps, self.row_steps = self.steps + 1, self.row_steps + len(live.owners)

    def _follow(
        self, weights: DenseWeights | None, rows: Sequence[Row], places: Sequence[int], temperature: float
    ) -> Iterator[tuple[int, list[float]]]:
        """Log-probabilities of the tokens of rows, by their places."""
        for wave in plan_rows(rows, places, self.rows, even=not self._pads):
            yield from self._follow_wave(weights, rows, wave, temperature)

    def _follow_wave(
        self, weights: DenseWeights | None, rows: Sequence[Row], wave: Sequence[int], temperature: float
    ) -> Iterator[tuple[int, list[float]]]:
        """Of a wave, longest first, so that the first rows are those that go on."""
        self._together = len(wave)
        lengths = [len(rows[place].ids) for place in wave]
        prompts = [rows[place].prompt_ids for place in wave]
        extent = Extent(len(wave), max(map(len, prompts)), lengths[0])
        decoding = self._start(weights, prompts, [1] * len(wave), extent)
        found = follow(decoding, [rows[place].ids for place in wave], temperature)
        yield from zip(wave, found, strict=True)

    def _mark_end_tokens(self, logits_UV: Tensor) -> Tensor:
        """is_end_V: whether a token ends a completion."""
        is_end_V = torch.zeros(logits_UV.shape[1], dtype=torch.bool, device=logits_UV.device)
        is_end_V[self.end_ids] = True
        return is_end_V

    def _find_stopped(self, live: LiveRows, stop: tuple[str, ...]) -> Tensor:
        """Whether a stop string is in the last tokens of each row."""
        # A stop string may begin several tokens back. A token may carry only a part of a character, which
        # has 4 bytes at most.
        tail = 4 * max(map(len, stop)) + 4
        texts = [decode(self.policy.tokenizer, ids) for ids in live.list_last(tail)]
        return torch.tensor([any(s in text for s in stop) for text in texts], device=live.open_R.device)

    def _make_completion(self, request: Request, ended: Ended) -> Completion:
        length = self._cut(ended.ids)
        ids, logprobs = ended.ids[:length], ended.logprobs[:length]
        shown = ids[:-1] if ids[-1] in self.end_ids else ids
        text = decode(self.policy.tokenizer, shown)
        reason = "length" if ended.open else "stop"
        kept = pack_kept_ids(ended.kept[:length]) if ended.kept else None
        return Completion(
            text, tuple(request.ids), tuple(ids), tuple(logprobs), reason, kept, version=self.version
        )

    def _cut(self, ids: Sequence[int]) -> int:
        """How many ids there are up to the first end token."""
        return next((place + 1 for place, token in enumerate(ids) if token in self.end_ids), len(ids))
