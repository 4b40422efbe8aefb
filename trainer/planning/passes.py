"""The memory of a model's passes from those of smaller models of its kind: with few layers, and narrow.

A pass is measured (`model/measure.py`) on a CPU, in bfloat16 as on a GPU: the tensors are those that a GPU
would allocate, but for what attention keeps inside of its operation. Bytes grow with the layers along a
straight line. With the width (hidden, inner and head size together) those of tokens grow along a straight
line, and those of weights, which are there too, with its square: three widths are measured, and continued by
the parabola through them. A model that is narrow itself is measured as wide as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig
from transformers.initialization import no_init_weights

from ..config.train import TrainConfig
from ..model import lora
from ..model.live_bytes import Profile
from ..model.measure import CacheProfile, Passes, measure_passes
from ..model.policy import Policy
from .shapes import Shape

FEW = (2, 3)  # layers of the models that are measured
TOKENS = (4096, 16384)  # of the micro-batches between which a pass is taken as linear
VOCABULARY = 512  # of the models that are measured; the head is billed apart
NARROW = 1024  # hidden width up to which a model is measured as it is
LEAST = 512  # hidden width, about, of the narrowest that is measured in the place of a wider one


@dataclass(frozen=True)
class Learns:
    """weights: the type they are held in.  rank: of adapters, 0 where all weights learn.  recomputes: layers,
    in the backward pass.  dtype: of products."""

    weights: str
    rank: int
    recomputes: bool = False
    dtype: str = "bfloat16"

    @classmethod
    def of(cls, config: TrainConfig) -> Learns:
        """As a run's settings have it."""
        model = config.model
        return cls(model.weights, model.lora_rank, model.gradient_checkpointing, model.dtype)


def make_config(shape: Shape) -> PretrainedConfig:
    """The config of a transformers model of that shape."""
    return AutoConfig.for_model(
        shape.kind, vocab_size=shape.vocabulary, hidden_size=shape.hidden, intermediate_size=shape.inner,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads, head_dim=shape.head_size, tie_word_embeddings=shape.tied,
        max_position_embeddings=32768, bos_token_id=None, eos_token_id=1, pad_token_id=2,
        attention_bias=shape.biases, sliding_window=None,
    )  # fmt: skip


def make_policy(shape: Shape, config: TrainConfig, device: str, *, empty: bool = True) -> Policy:
    """A policy of this shape, with the settings' adapters and arithmetic. device: that it is billed for.
    empty: its weights are on the meta device, whatever the device is."""
    with torch.device("meta" if empty else device):
        model = AutoModelForCausalLM.from_config(
            make_config(shape), attn_implementation="sdpa", dtype=getattr(torch, config.model.weights)
        )
    if config.model.lora_rank:
        lora.add_adapters(model, config.model, 0)
    dtype = getattr(torch, config.model.dtype)
    nothing: Any = None  # a shape has no tokenizer
    return Policy(model.eval(), nothing, torch.device(device), dtype, "shape")


@dataclass(frozen=True)
class _Ends:
    """Bytes after the forward pass and at the peak, as base_2 + per_token_2 * tokens: two numbers each."""

    base_2: np.ndarray
    per_token_2: np.ndarray

    @classmethod
    def of(cls, profile: Profile) -> _Ends:
        """The straight lines through a profile's numbers at two sizes of a micro-batch."""
        few_2, many_2 = (
            np.array([profile.at_mark(tokens), profile.peak(tokens)], float) for tokens in TOKENS
        )
        slope_2 = (many_2 - few_2) / (TOKENS[1] - TOKENS[0])
        return cls(few_2 - TOKENS[0] * slope_2, slope_2)

    def to_profile(self) -> Profile:
        return Profile(self.base_2, self.per_token_2, 0)


def _continue_layers(few: _Ends, more: _Ends, layers: int) -> _Ends:
    """Along a straight line to so many layers."""
    share = (layers - FEW[0]) / (FEW[1] - FEW[0])
    return _Ends(
        few.base_2 + share * (more.base_2 - few.base_2),
        few.per_token_2 + share * (more.per_token_2 - few.per_token_2),
    )


def _continue_widths(profiles: Sequence[Profile], widths: Sequence[float]) -> Profile:
    """To width 1, operation by operation: the parabola through what the widths say."""
    if len(profiles) == 1:
        return profiles[0]
    if len({len(profile.base_O) for profile in profiles}) > 1:  # they differ in their operations
        profiles = [_Ends.of(profile).to_profile() for profile in profiles]
    weights = [
        np.prod([(1 - other) / (width - other) for other in widths if other != width]) for width in widths
    ]
    base_O = sum(w * profile.base_O for w, profile in zip(weights, profiles, strict=True))
    per_token_O = sum(w * profile.per_token_O for w, profile in zip(weights, profiles, strict=True))
    return Profile(np.asarray(base_O), np.asarray(per_token_O), profiles[0].kept)


def narrow(shape: Shape, head_size: int) -> Shape:
    """The shape with a smaller head size and as much narrower; the numbers of heads stay."""
    cut = head_size / shape.head_size
    return replace(
        shape, head_size=head_size, hidden=round(shape.hidden * cut), inner=round(shape.inner * cut)
    )


def _choose_head_sizes(shape: Shape) -> list[int]:
    """Of the models that are measured: even, since rotary angles need that, and 1 : 1.5 : 2."""
    least = 4 * max(1, round(shape.head_size * LEAST / shape.hidden / 4))
    if shape.hidden <= NARROW or 2 * least >= shape.head_size:
        return [shape.head_size]
    return [least, least * 3 // 2, 2 * least]


def foretell(shape: Shape, learns: Learns) -> Passes:
    """The passes of a model, from those of smaller ones. See the top of this file."""
    sizes = _choose_head_sizes(shape)
    small = replace(shape, name="", vocabulary=VOCABULARY)
    measured = [[_measure(narrow(replace(small, layers=few), size), learns) for size in sizes] for few in FEW]
    widths = [size / shape.head_size for size in sizes]

    def foretell_pass(name: str) -> Profile:
        few, more = (
            _Ends.of(_continue_widths([getattr(passes, name) for passes in wider], widths))
            for wider in measured
        )
        return _continue_layers(few, more, shape.layers).to_profile()

    cache, last = measured[0][-1].cache, widths[-1]
    per_layer = len(cache.row_N) // FEW[0]
    cached = CacheProfile(
        *(np.tile(part[:per_layer], shape.layers) / last for part in (cache.row_N, cache.position_N))
    )
    return Passes(foretell_pass("update"), foretell_pass("plain"), foretell_pass("prefill"), cached)


@cache
def _measure(shape: Shape, learns: Learns) -> Passes:
    config = TrainConfig.of(
        weights=learns.weights, lora_rank=learns.rank, gradient_checkpointing=learns.recomputes,
        dtype=learns.dtype,
    )  # fmt: skip
    with no_init_weights():  # what they hold is of no matter, and takes longer than all else
        policy = make_policy(shape, config, "cpu", empty=False)
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.zero_()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the passes are tiny: more threads wait for each other
    try:
        return measure_passes(policy, config)
    finally:
        torch.set_num_threads(threads)
