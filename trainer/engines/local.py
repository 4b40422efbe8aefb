"""Sample completions from the very model that is trained.

Each prompt is prefilled once for its whole group; a row that has ended leaves the batch, so no step is spent on it. A row
draws from a random stream of its own, so what else is in the batch does not matter to it.

Shapes: R live rows, T positions of the completion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ...verifiers import Completion
from ..model.decoding import Decoding, GeneralDecoding
from ..model.dense.decoder import FastDecoding, refusal
from ..model.dense.family import DenseWeights, misfit
from .base import Finished, Request, Sampling
from .drawing import draw, uniforms

__all__ = ["Finished", "Request", "Sampler", "Sampling", "end_tokens"]

ROWS = 256  # decoded at once where nothing else is asked for
LOOK_EVERY_CUDA = 8  # steps between two looks for ended rows: each look makes the host wait for the device


class Sampler:
    """Draws completions from `model`. rows: how many completions are decoded at once; 0 takes 256.

    path: "fast" (a decoder written for the dense family) or "general" (the model's own forward).  reason: why not "fast".
    fast: False takes the general path in any case.
    """

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase, rows: int = 256, *, fast: bool = True) -> None:
        self.model, self.tokenizer, self.rows = model, tokenizer, rows or ROWS
        self.end_ids = end_tokens(model, tokenizer)
        self.reason = refusal(model) if fast else "the fast path was not asked for"
        self.path = "general" if self.reason else "fast"
        self._weights: DenseWeights | None = None

    @torch.no_grad()
    def sample(
        self, requests: Sequence[Request], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        """The completions of each request, in order. `finished` hears of each completion as it ends.

        Requests of like length are decoded together, `rows` completions at a time.
        """
        results: list[list[Completion | None]] = [[None] * request.samples for request in requests]

        def done(owner: tuple[int, int], completion: Completion) -> None:
            request, number = owner
            results[request][number] = completion
            if finished is not None:
                finished(request, number, completion)

        training = self.model.training
        self.model.eval()
        if self.path == "fast" and (reason := misfit(self.model)):
            self.path, self.reason = "general", reason  # the model was changed since: an adapter, a hook
        if self.path == "fast":
            self._weights = DenseWeights.of(self.model, self._dtype())  # the trainer has changed them since the last call
        try:
            for wave in self._waves(requests):
                self._decode(requests, wave, sampling, done)
        finally:
            self._weights = None
            self.model.train(training)
        return [[completion for completion in group if completion is not None] for group in results]

    def _waves(self, requests: Sequence[Request]) -> list[dict[int, range]]:
        """What is decoded together: for each request the numbers of its samples, longest prompts first."""
        waves: list[dict[int, range]] = []
        room = 0
        for index in sorted(range(len(requests)), key=lambda i: -len(requests[i].ids)):
            first, samples = 0, requests[index].samples
            while first < samples:
                if room < min(samples - first, self.rows):
                    waves.append({})
                    room = self.rows
                count = min(room, samples - first)
                waves[-1][index] = range(first, first + count)
                first, room = first + count, room - count
        return waves

    def _decode(
        self,
        requests: Sequence[Request],
        wave: dict[int, range],
        sampling: Sampling,
        done: Callable[[tuple[int, int], Completion], None],
    ) -> None:
        decoding = self._start([requests[index].ids for index in wave], [len(samples) for samples in wave.values()], sampling)
        owners = [(index, number) for index, samples in wave.items() for number in samples]
        device, width = decoding.logits_UV.device, sampling.max_new_tokens
        uniforms_TR = uniforms(((requests[index].stream, number) for index, number in owners), width).to(device)
        tokens_TR = torch.zeros(width, len(owners), dtype=torch.long, device=device)
        logprobs_TR = torch.zeros(width, len(owners), device=device)
        is_end_V = torch.zeros(decoding.logits_UV.shape[1], dtype=torch.bool, device=device)
        is_end_V[self.end_ids] = True
        open_R = torch.ones(len(owners), dtype=torch.bool, device=device)
        every = LOOK_EVERY_CUDA if device.type == "cuda" and not sampling.stop else 1
        row_R = decoding.start_R
        alone = len(row_R) == len(decoding.logits_UV)  # every completion has a row of its own, in the same order
        for step in range(width):
            drawn = draw(decoding.logits_UV if alone else decoding.logits_UV[row_R], uniforms_TR[step], sampling)
            tokens_TR[step], logprobs_TR[step] = drawn.tokens_R, drawn.logprobs_R
            open_R &= ~is_end_V[drawn.tokens_R]
            if sampling.stop:
                open_R &= ~self._stopped(tokens_TR[: step + 1], sampling.stop)
            last = step + 1 == width
            kept_R: Tensor | None = None
            if last or ((step + 1) % every == 0 and not bool(open_R.all())):
                ended_E = torch.arange(len(owners), device=device) if last else (~open_R).nonzero()[:, 0]
                ids_ET, logprobs_ET = tokens_TR[: step + 1, ended_E].T.tolist(), logprobs_TR[: step + 1, ended_E].T.tolist()
                still_open = open_R[ended_E].tolist()
                for row, ids, logprobs, cut in zip(ended_E.tolist(), ids_ET, logprobs_ET, still_open, strict=True):
                    done(owners[row], self._completion(requests[owners[row][0]], ids, logprobs, "length" if cut else "stop"))
                if last or len(ended_E) == len(owners):
                    return
                kept_R = open_R.nonzero()[:, 0]
            if alone and kept_R is None:
                decoding.advance(None, tokens_TR[step])
                continue
            # Completions that agree so far share a row; where their tokens differ it is forked.
            parents_R, tokens_R = (row_R, drawn.tokens_R) if kept_R is None else (row_R[kept_R], drawn.tokens_R[kept_R])
            texts_U, text_R = torch.unique(parents_R * len(is_end_V) + tokens_R, return_inverse=True)
            place_U = decoding.advance(texts_U // len(is_end_V), texts_U % len(is_end_V))
            row_R = text_R if place_U is None else place_U[text_R]
            alone = len(texts_U) == len(row_R)
            if alone:
                row_R, order_R = row_R.sort()
                kept_R = order_R if kept_R is None else kept_R[order_R]
            if kept_R is not None:
                owners = [owners[row] for row in kept_R.tolist()]
                uniforms_TR, tokens_TR, logprobs_TR = uniforms_TR[:, kept_R], tokens_TR[:, kept_R], logprobs_TR[:, kept_R]
                open_R = open_R[kept_R]

    def _start(self, prompts: Sequence[Sequence[int]], samples: Sequence[int], sampling: Sampling) -> Decoding:
        if self._weights is None:
            return GeneralDecoding(self.model, prompts, samples)
        capture = self._weights.embedding_VD.is_cuda
        return FastDecoding(self.model, self._weights, prompts, samples, sampling.max_new_tokens, capture=capture)

    def _dtype(self) -> torch.dtype:
        """What matrix products are done in: the autocast's type inside of one, else that of the weights."""
        kind = next(self.model.parameters())
        return torch.get_autocast_dtype(kind.device.type) if torch.is_autocast_enabled(kind.device.type) else kind.dtype

    def _stopped(self, tokens_TR: Tensor, stop: tuple[str, ...]) -> Tensor:
        # A stop string may begin several tokens back. A token may carry a part of a character only, of 4 bytes at most.
        tail = 4 * max(map(len, stop)) + 4
        texts = self.tokenizer.batch_decode(tokens_TR[-tail:].T.tolist())
        return torch.tensor([any(s in text for s in stop) for text in texts], device=tokens_TR.device)

    def _completion(self, request: Request, ids: list[int], logprobs: list[float], reason: str) -> Completion:
        length = next((place + 1 for place, token in enumerate(ids) if token in self.end_ids), len(ids))
        ids, logprobs = ids[:length], logprobs[:length]
        shown = ids[:-1] if ids[-1] in self.end_ids else ids
        text = str(self.tokenizer.decode(shown, skip_special_tokens=True))
        return Completion(text, tuple(request.ids), tuple(ids), tuple(logprobs), reason)


def end_tokens(model: Any, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Every token id that ends a completion: the tokenizer's and those of the model's generation config."""
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = [tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])]
    return sorted({index for index in ids if index is not None})
