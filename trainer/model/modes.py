"""How a model is decoded by its own forward pass: the modes there are, and how each begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .caches import KeptRow
from .decoding import Decoding, Extent, GeneralDecoding, UncachedDecoding
from .static_decoding import StaticBuffers, StaticDecoding


@dataclass(frozen=True)
class DecodingMode:
    """How a model is decoded.

    cache: "static" stays where it is, for steps that are recorded; "configured" is made from the model's
    config and handed to it, and grows; "own" is made by the model, in a class of its own (MiniMax); "none"
    has the whole text go through the model at every step, exact for any causal model and slow.  padded:
    whether texts of different lengths are decoded together. Recurrent layers that do not heed the mask
    (RecurrentGemma) would read padding.  joins: whether a prompt may take the place of a row that has
    ended.  keeps: whether what a row holds can wait and join again (between the turns of an episode).  Both
    where every kind of layer in its cache is known.  folds: what the copies of weights hold that stand in
    for the model's own meanwhile (`folding`): "casts" to the type of the products, or "adapters", too;
    "nothing" where there are none.
    """

    cache: Literal["static", "configured", "own", "none"] = "configured"
    padded: bool = True
    joins: bool = False
    keeps: bool = False
    folds: Literal["adapters", "casts", "nothing"] = "nothing"


STATIC = DecodingMode("static", joins=True, keeps=True)
"""The first where steps are recorded. Elsewhere it is slower than a cache that grows: it reads all of its
places."""
MODES = (
    DecodingMode("configured", joins=True, keeps=True),
    DecodingMode("configured", joins=True),
    *(DecodingMode(cache, padded) for cache in ("configured", "own", "none") for padded in (True, False)),
)
"""All others, the faster first."""


def start_decoding(
    model: Any,
    mode: DecodingMode,
    prompts: Sequence[Sequence[int]],
    samples: Sequence[int],
    extent: Extent,
    buffers: StaticBuffers | None = None,
    pasts: Sequence[KeptRow] = (),
) -> Decoding:
    """Prefill the prompts. samples: completions of each.  buffers: what the static mode needs.  pasts: what
    was kept of texts, which the prompts go on from, in a mode that `keeps`.

    Prompts have one length where the mode is not `padded`.
    """
    if mode.cache == "static":
        assert buffers is not None, "a static mode keeps its buffers from call to call"
        return StaticDecoding(model, prompts, samples, extent, buffers, pasts)
    if mode.cache == "none":
        return UncachedDecoding(model, prompts, samples)
    if pasts:
        return GeneralDecoding.resume(model, pasts, prompts)
    own = mode.cache == "own"
    return GeneralDecoding(model, prompts, samples, own_cache=own, joins=mode.joins, keeps=mode.keeps)
