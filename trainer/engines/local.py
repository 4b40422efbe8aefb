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
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from ...tasks.core.errors import RunError, UserError, shorten
from ...verifiers import Completion
from ..model.decoding import Decoding, DecodingMode, start_decoding
from ..model.dense.decoder import FastDecoding, find_refusal
from ..model.dense.family import DenseWeights, find_misfit
from ..model.kept import pack_kept_ids
from ..model.machine import is_out_of_memory
from ..model.policy import Policy
from ..model.probe import choose_mode
from ..model.prompts import decode
from .base import Finished, Request, Row, Sampling
from .drawing import Stream, draw_uniforms
from .live import Ended, LiveRows, Owner

ROWS = 256  # decoded at once where nothing else is asked for
Item = TypeVar("Item")
Result = TypeVar("Result")
LOOK_EVERY_CUDA = 8  # steps between two looks for ended rows: each look makes the host wait for the device


class LocalEngine:
    """An `Engine` that samples from the policy's own model, in the policy's arithmetic, without a copy.

    rows: completions that are decoded at once, 1 or more; None takes 256.
    fast: False takes the general path in any case.
    path: "fast" (a decoder written for the dense family) or "general" (the model's own forward).  reason: why
    not "fast".
    end_ids: the tokens that end a completion.

    >>> import palaestra as pal
    >>> engine = pal.LocalEngine(pal.load_policy("embedded"), rows=2)
    >>> engine.path, engine.rows, engine.version
    ('fast', 2, 0)
    """

    def __init__(self, policy: Policy, rows: int | None = None, *, fast: bool = True) -> None:
        if rows is not None and rows < 1:
            raise ValueError(f"An engine with rows={rows}: give 1 or more, or None for {ROWS}.")
        self.policy, self.version, self.rows = policy, 0, ROWS if rows is None else rows
        self._fast, self._longest = fast, 1
        self._look_at_model()

    def load(self, policy: Policy, version: int) -> None:
        """Sample from the model of `policy` itself, whatever weights it has at each call."""
        known, self.policy, self.version = self.policy, policy, version
        if policy is not known:
            self._look_at_model()

    def sample(
        self, requests: Sequence[Request], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        """See `Engine.sample`. Requests of like length are decoded together, `rows` completions at a time."""
        results: list[list[Completion | None]] = [[None] * request.samples for request in requests]
        self._longest = sampling.max_new_tokens
        self._check_ids(request.ids for request in requests)
        with self._prepare() as weights:
            waves = plan_waves(requests, self.rows, even=not self._pads)
            for owner, completion in self._run_waves(
                waves, lambda wave: self._decode(weights, requests, wave, sampling)
            ):
                results[owner.request][owner.sample] = completion
                if finished is not None:
                    finished(owner.request, owner.sample, completion)
        return [[completion for completion in group if completion is not None] for group in results]

    def compute_logprobs(self, rows: Sequence[Row], temperature: float = 1.0) -> list[list[float]]:
        """See `Engine.compute_logprobs`. The tokens go through the decoder step by step, as drawn ones do."""
        if not temperature > 0:
            raise ValueError(f"Log-probabilities at temperature {temperature}: give one above 0.")
        self._check_ids(itertools.chain.from_iterable((row.prompt_ids, row.ids) for row in rows))
        results: list[list[float]] = [[] for _ in rows]
        with self._prepare() as weights:
            waves = plan_rows(rows, self.rows, even=not self._pads)
            for place, logprobs in self._run_waves(
                waves, lambda w: self._follow(weights, rows, w, temperature)
            ):
                results[place] = logprobs
        return results

    @property
    def _model(self) -> Any:
        return self.policy.model

    def _look_at_model(self) -> None:
        self.end_ids = self.policy.end_ids
        self.reason = find_refusal(self._model) if self._fast else "the fast path was not asked for"
        self.path = "general" if self.reason else "fast"
        self._mode = choose_mode(self.policy) if self.reason else DecodingMode()

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
                    self.path, self.reason, self._mode = "general", reason, choose_mode(self.policy)
                # The trainer has changed the weights since the last call, so they are fused anew.
                yield DenseWeights.of(self._model, self._choose_dtype()) if self.path == "fast" else None
            finally:
                self._model.train(training)

    def _choose_dtype(self) -> torch.dtype:
        """What matrix products are done in: the autocast's type inside of one, else that of the weights."""
        kind = next(self._model.parameters())
        autocast = torch.is_autocast_enabled(kind.device.type)
        return torch.get_autocast_dtype(kind.device.type) if autocast else kind.dtype

    def _start(
        self,
        weights: DenseWeights | None,
        prompts: Sequence[Sequence[int]],
        samples: Sequence[int],
        limit: int,
    ) -> Decoding:
        """Prefill the prompts. samples: completions of each.  limit: tokens that a completion may have."""
        if weights is None:
            return start_decoding(self._model, self._mode, prompts, samples)
        capture = weights.embedding_VD.is_cuda
        return FastDecoding(self._model, weights, prompts, samples, limit, capture=capture)

    def _run_waves(
        self, waves: Sequence[list[Item]], run: Callable[[list[Item]], Iterator[tuple[Item, Result]]]
    ) -> Iterator[tuple[Item, Result]]:
        """What `run` gives for each item of the waves. When memory runs out, what is left of the wave is run
        again, half as many at a time from then on: the same streams draw the same tokens."""
        waiting = deque(waves)
        while waiting:
            wave, done = waiting.popleft(), []
            if len(wave) > self.rows:
                waiting.extendleft([wave[self.rows :], wave[: self.rows]])
                continue
            try:
                for item, result in run(wave):
                    done.append(item)
                    yield item, result
                continue
            except (RuntimeError, MemoryError) as failure:
                if not is_out_of_memory(failure):
                    raise
                reason = shorten(str(failure), 120)
            # Outside of the handler: the exception held the frames, and these their tensors.
            self._retreat(len(wave), reason)
            given = set(done)
            waiting.appendleft([item for item in wave if item not in given])

    def _retreat(self, rows: int, reason: str) -> None:
        """Half as many rows from now on. Raises UserError where there was one."""
        if rows == 1:
            raise RunError(
                f"Memory ran out while sampling a single completion ({reason}). Take a smaller model, or "
                "lower --max-prompt-tokens and --max-new-tokens.",
                f"--max-new-tokens {max(1, self._longest // 2)}",
            )
        self.rows = rows // 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(
            f"Memory ran out while sampling {rows} rows ({reason}); going on with {self.rows} at a time.",
            file=sys.stderr,
        )

    def _decode(
        self,
        weights: DenseWeights | None,
        requests: Sequence[Request],
        wave: Sequence[Owner],
        sampling: Sampling,
    ) -> Iterator[tuple[Owner, Completion]]:
        """Draw the completions of a wave, each given once it is seen to have ended."""
        limit = sampling.max_new_tokens
        counts = Counter(owner.request for owner in wave)
        prompts = [requests[index].ids for index in counts]
        decoding = self._start(weights, prompts, list(counts.values()), limit)
        asked = [(requests[owner.request], owner.sample) for owner in wave]
        streams = [Stream(request.stream, request.first + place) for request, place in asked]
        live = LiveRows(decoding, wave, draw_uniforms(streams, limit))
        is_end_V = self._mark_end_tokens(decoding.logits_UV)
        every = LOOK_EVERY_CUDA if is_end_V.is_cuda and not sampling.stop else 1
        while True:
            live.draw_tokens(sampling)
            live.close(is_end_V[live.last_R])
            if sampling.stop:
                live.close(self._find_stopped(live.tokens_TR[: live.step], sampling.stop))
            last = live.step == limit
            kept_R: Tensor | None = None
            if last or (live.step % every == 0 and not bool(live.open_R.all())):
                for ended in live.list_ended(everything=last):
                    yield ended.owner, self._make_completion(requests[ended.owner.request], ended)
                kept_R = live.open_R.nonzero()[:, 0]
                if last or not len(kept_R):
                    return
            live.advance(kept_R)

    def _follow(
        self, weights: DenseWeights | None, rows: Sequence[Row], wave: Sequence[int], temperature: float
    ) -> Iterator[tuple[int, list[float]]]:
        """Log-probabilities of the tokens of a wave: rows by their places, longest first, so that the first
        are those that go on."""
        lengths = [len(rows[place].ids) for place in wave]
        prompts = [rows[place].prompt_ids for place in wave]
        decoding = self._start(weights, prompts, [1] * len(wave), lengths[0])
        device = decoding.logits_UV.device
        padded = [[*rows[place].ids, *[0] * (lengths[0] - len(rows[place].ids))] for place in wave]
        tokens_TR = torch.tensor(padded, device=device).T.contiguous()
        logprobs_TR = torch.zeros(tokens_TR.shape, device=device)
        live = len(wave)
        for step, tokens_R in enumerate(tokens_TR):
            logits_RV = decoding.logits_UV.float() / temperature
            chosen_R = logits_RV.gather(-1, tokens_R[:live, None])[:, 0]
            logprobs_TR[step, :live] = chosen_R - logits_RV.logsumexp(-1)
            going = sum(length > step + 1 for length in lengths[:live])
            if going:
                kept_U = None if going == live else torch.arange(going, device=device)
                decoding.advance(kept_U, tokens_R[:going])
            live = going
        for row, (place, length) in enumerate(zip(wave, lengths, strict=True)):
            yield place, logprobs_TR[:length, row].tolist()

    def _mark_end_tokens(self, logits_UV: Tensor) -> Tensor:
        """is_end_V: whether a token ends a completion."""
        is_end_V = torch.zeros(logits_UV.shape[1], dtype=torch.bool, device=logits_UV.device)
        is_end_V[self.end_ids] = True
        return is_end_V

    def _find_stopped(self, tokens_TR: Tensor, stop: tuple[str, ...]) -> Tensor:
        """Whether a stop string is in the last tokens of each row."""
        # A stop string may begin several tokens back. A token may carry only a part of a character, which
        # has 4 bytes at most.
        tail = 4 * max(map(len, stop)) + 4
        texts = [decode(self.policy.tokenizer, ids) for ids in tokens_TR[-tail:].T.tolist()]
        return torch.tensor([any(s in text for s in stop) for text in texts], device=tokens_TR.device)

    def _make_completion(self, request: Request, ended: Ended) -> Completion:
        ids, logprobs = ended.ids, ended.logprobs
        length = next((place + 1 for place, token in enumerate(ids) if token in self.end_ids), len(ids))
        ids, logprobs = ids[:length], logprobs[:length]
        shown = ids[:-1] if ids[-1] in self.end_ids else ids
        text = decode(self.policy.tokenizer, shown)
        reason = "length" if ended.open else "stop"
        kept = pack_kept_ids(ended.kept[:length]) if ended.kept else None
        return Completion(text, tuple(request.ids), tuple(ids), tuple(logprobs), reason, kept)


def plan_waves(requests: Sequence[Request], rows: int, *, even: bool = False) -> list[list[Owner]]:
    """What is decoded together, longest prompts first: samples of each request, at most `rows` in all.

    even: only prompts of one length.
    """
    waves: list[list[Owner]] = []
    room, length = 0, 0
    for index in sorted(range(len(requests)), key=lambda i: -len(requests[i].ids)):
        first, samples = 0, requests[index].samples
        if even and len(requests[index].ids) != length:
            room, length = 0, len(requests[index].ids)
        while first < samples:
            if room < min(samples - first, rows):
                waves.append([])
                room = rows
            count = min(room, samples - first)
            waves[-1] += [Owner(index, number) for number in range(first, first + count)]
            first, room = first + count, room - count
    return waves


def plan_rows(given: Sequence[Row], rows: int, *, even: bool = False) -> list[list[int]]:
    """Places of rows that are followed together, longest first, at most `rows` in all; those without tokens
    are left out. even: only prompts of one length."""
    order = sorted((i for i, row in enumerate(given) if len(row.ids)), key=lambda i: -len(given[i].ids))
    by_length: dict[int, list[int]] = {}
    for place in order:
        by_length.setdefault(len(given[place].prompt_ids) if even else 0, []).append(place)
    return [
        places[first : first + rows] for places in by_length.values() for first in range(0, len(places), rows)
    ]
