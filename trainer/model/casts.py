"""Weights in the arithmetic that products are done in, each cast once for all micro-batches of a step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class _Held:
    """The casts that are kept, by weight and dtype, with the weight itself: an id is given again once its
    owner is gone. depth: of `hold_casts` inside of one another."""

    casts: dict[tuple[int, torch.dtype], tuple[Tensor, Tensor]] = field(default_factory=dict)
    depth: int = 0


_held = _Held()


def find_arithmetic(weight: Tensor) -> torch.dtype:
    """What products with a weight are done in here and now: autocast's dtype where it is on, else the
    weight's own."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def keep_no_casts(device: torch.device) -> torch.autocast:
    """A context with the arithmetic of here and now, in which autocast keeps none of its copies of weights:
    they would stay until its outermost context ends, which a recorded step outlives."""
    kind = device.type
    dtype, on = torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)
    return torch.autocast(kind, dtype, enabled=on, cache_enabled=False)


@contextlib.contextmanager
def hold_casts(device: torch.device) -> Iterator[None]:
    """Weights that stay as they are inside are cast once, by `cast_weight` and by autocast alike.

    Autocast itself is off inside until it is entered: its copies live as long as its outermost context.
    """
    _held.depth += 1
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        _held.depth -= 1
        if not _held.depth:
            _held.casts.clear()


@torch.no_grad()
def cast_weight(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight in `dtype`, without a gradient: itself where it has that type."""
    if weight.dtype is dtype:
        return weight.detach()
    if not _held.depth:
        return weight.detach().to(dtype)
    key = (id(weight), dtype)
    if key not in _held.casts:
        _held.casts[key] = (weight, weight.detach().to(dtype))
    return _held.casts[key][1]


def find_gradient_type(weight: Tensor) -> torch.dtype:
    """The type that a weight's gradient is summed in: its own, unless it has been given another."""
    return getattr(weight, "grad_dtype", None) or weight.dtype


def multiply_transposed(grad_NO: Tensor, x_NI: Tensor, dtype: torch.dtype) -> Tensor:
    """grad^T x, the gradient (O, I) of a weight, in `dtype`. On CUDA the sums leave the product in float32
    where the weight has it; elsewhere they are rounded once."""
    if dtype is torch.float32 and grad_NO.dtype is torch.bfloat16 and grad_NO.device.type == "cuda":
        return torch.mm(grad_NO.t(), x_NI, out_dtype=torch.float32)
    return torch.mm(grad_NO.t(), x_NI).to(dtype)
