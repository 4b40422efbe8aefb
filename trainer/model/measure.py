"""What is measured of a model before its run: bytes of its passes and of its cache, on few tokens.

All amounts are bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import Cache

from ..config.train import TrainConfig
from .casts import hold_casts
from .compact_adamw import sum_in_float32
from .context import count_positions
from .decoding import Extent, GeneralDecoding
from .dense.family import find_misfit
from .live_bytes import NOTHING, LiveBytes, Profile
from .logprobs import compute_logprobs
from .modes import DecodingMode, start_decoding
from .policy import Policy, enable_gradient_checkpointing
from .probe import choose_mode
from .sequences import Sequences

_LENGTHS, _ROWS = (16, 48), (4, 12)  # of the rows that are measured: tokens of a row, rows


@dataclass(frozen=True)
class CacheProfile:
    """Bytes of each of the N tensors that a cache keeps between two steps: row_N of a row, however long it is
    (the state of recurrent layers), and position_N of each of its positions (keys and values)."""

    row_N: np.ndarray
    position_N: np.ndarray

    @classmethod
    def of(cls, short_N: np.ndarray, long_N: np.ndarray, lengths: tuple[int, int]) -> CacheProfile:
        """From one row's tensors at two lengths. Where their number depends on the length, from their
        sums."""
        if len(short_N) != len(long_N):
            short_N, long_N = short_N.sum(keepdims=True), long_N.sum(keepdims=True)
        position_N = np.maximum(0, long_N - short_N) / (lengths[1] - lengths[0])
        return cls(np.maximum(0, long_N - lengths[1] * position_N), position_N)

    def count(self, rows: int, positions: int) -> int:
        """Bytes of so many rows of so many positions, all rows together. A window is taken as without
        bound."""
        return int((rows * self.row_N + positions * self.position_N).sum())

    def count_growth(self, rows: int, positions: int) -> int:
        """Bytes that a step needs beside the cache: it grows tensor by tensor, keys and values of a layer."""
        return 2 * int((rows * self.row_N + positions * self.position_N).max())


NO_CACHE = CacheProfile(np.zeros(1), np.zeros(1))


@dataclass(frozen=True)
class Passes:
    """What is measured of a policy, on few tokens. The head is left out: it runs in chunks, and is billed
    apart.

    update: forward and backward pass, with gradients that are there already.  plain: the same without
    gradient checkpointing, as a critic of the policy's architecture is run.  prefill: of prompts, with
    their keys and values.  cache: what is kept of them; nothing where every step runs the whole text.
    waits: whether rows wait with their caches while worlds answer (the run has episodes).
    """

    update: Profile = NOTHING
    plain: Profile = NOTHING
    prefill: Profile = NOTHING
    cache: CacheProfile = NO_CACHE
    waits: bool = False


def measure_passes(policy: Policy, config: TrainConfig) -> Passes:
    """Measure the passes of a policy that has no gradients. The random state of torch stays as it is.

    Bytes are taken as linear in the tokens of a pass. That is not so for attention that keeps its scores
    (`eager`), whose bytes grow with the length of a row too: rows of more than some hundred tokens then need
    more than is billed.
    """
    sum_in_float32(policy.model.parameters())  # as its optimizer will
    with torch.random.fork_rng([policy.device] if policy.device.type == "cuda" else []):
        plain = _measure_update(policy)
        update = plain
        if config.model.gradient_checkpointing:
            enable_gradient_checkpointing(policy.model)
            update = _measure_update(policy)
            enable_gradient_checkpointing(
                policy.model, on=False
            )  # the run turns it on once its other models are made
        return Passes(update, plain, _measure_prefill(policy), measure_cache(policy))


def measure_forward(
    model: Any, device: torch.device, forward: Callable[[list[list[int]]], object]
) -> Profile:
    """The forward pass of a model without gradient. forward: runs it on rows of token ids, all of one
    length."""

    length = _limit_lengths(model)[1]

    def run(rows: int, meter: LiveBytes) -> int:
        found = forward(_ids(model, rows, length))
        meter.mark()
        del found
        return rows * length

    with torch.no_grad():
        return Profile.of(run, _tensors(model), device, _ROWS)


def _measure_update(policy: Policy) -> Profile:
    model, training = policy.model, policy.model.training
    lengths = _limit_lengths(model)

    def run(length: int, meter: LiveBytes) -> int:
        prompts = _ids(model, _ROWS[0], length)
        sequences = Sequences.of([row[:-1] for row in prompts], [row[-1:] for row in prompts], policy.device)
        with hold_casts(policy.device):
            with policy.autocast():
                out = compute_logprobs(model, sequences)
            meter.mark()
            out.logprobs_BT.sum().backward()
        return len(prompts) * length

    model.train()
    run(lengths[0], LiveBytes(policy.device))  # the second and all later micro-batches find gradients
    found = Profile.of(run, _tensors(model), policy.device, lengths)
    model.zero_grad(set_to_none=True)
    model.train(training)
    return found


def _measure_prefill(policy: Policy) -> Profile:
    model, training, mode = policy.model, policy.model.training, _find_mode(policy)
    length = _limit_lengths(model)[1]

    def run(rows: int, meter: LiveBytes) -> int:
        prompts = _ids(model, rows, length)
        ragged = [row[row is prompts[0] :] for row in prompts] if mode.padded else prompts
        decoding = start_decoding(model, mode, ragged, [1] * rows, Extent(rows, length, 1))
        meter.mark()
        del decoding
        return rows * length

    model.eval()
    with torch.no_grad(), policy.autocast():
        found = Profile.of(run, _tensors(model), policy.device, _ROWS)
    model.train(training)
    return found


def measure_cache(policy: Policy) -> CacheProfile:
    """The cache that a policy's rows keep, in the cache's own types."""
    model, training, mode = policy.model, policy.model.training, _find_mode(policy)
    if mode.cache == "none":
        return NO_CACHE
    lengths = _limit_lengths(model)
    model.eval()
    with torch.no_grad(), policy.autocast():
        short_N, long_N = (_weigh_cache(model, mode, length) for length in lengths)
    model.train(training)
    return CacheProfile.of(short_N, long_N, lengths)


def _weigh_cache(model: Any, mode: DecodingMode, length: int) -> np.ndarray:
    """Bytes of each tensor of the cache of one row."""
    decoding = GeneralDecoding(model, _ids(model, 1, length), [1], own_cache=mode.cache == "own")
    return np.array([kept.numel() * kept.element_size() for kept in _list_cached(decoding.cache)], float)


def _list_cached(part: Any) -> Iterator[torch.Tensor]:
    """The tensors of a cache, of its layers, and of the collections that either keeps."""
    if isinstance(part, torch.Tensor):
        if part.ndim:  # a number alone counts positions, and does so for all rows
            yield part
    elif isinstance(part, (list, tuple)):
        for inner in part:
            yield from _list_cached(inner)
    elif isinstance(part, dict):
        yield from _list_cached(list(part.values()))
    elif type(part).__module__.startswith("transformers.") or isinstance(part, Cache):
        yield from _list_cached(dict(getattr(part, "__dict__", {})))


def _find_mode(policy: Policy) -> DecodingMode:
    """How prompts are prefilled: the fast path does it as usual."""
    return choose_mode(policy) if find_misfit(policy.model) else DecodingMode()


def _limit_lengths(model: Any) -> tuple[int, int]:
    """Tokens of the shorter and of the longer rows that are measured, within the model's positions."""
    longest = min(_LENGTHS[1], count_positions(model) or _LENGTHS[1])
    return min(_LENGTHS[0], longest // 2), longest


def _ids(model: Any, rows: int, length: int) -> list[list[int]]:
    """Rows that differ from their first token on."""
    size = model.get_input_embeddings().weight.shape[0]
    return [[(row + place) % size for place in range(length)] for row in range(rows)]


def _tensors(model: Any) -> list[torch.Tensor]:
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return [*model.parameters(), *model.buffers(), *gradients]
