"""The packed pass's products with weights: in float32 fused, and for adapters or bfloat16 part by part.

Shapes: N packed tokens, D hidden, O outputs of all parts, R rank of an adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..casts import cast_weight, find_arithmetic, find_gradient_type, multiply_transposed
from ..lora import NAME, is_adapted
from .ops import rms_norm


def normalize(x_ND: Tensor, gain_D: Tensor, eps: float) -> Tensor:
    """RMSNorm with its weight; in float32 whatever the arithmetic of the products."""
    if x_ND.dtype is torch.float32 and find_arithmetic(gain_D) is torch.float32:
        return rms_norm(x_ND, eps) * gain_D
    return functional.rms_norm(x_ND.float(), gain_D.shape, gain_D.float(), eps)


def project_normed(x_ND: Tensor, gain_D: Tensor, eps: float, layers: Sequence[Any]) -> Tensor:
    """out_NO: RMSNorm with its weight, then linear layers side by side."""
    if _goes_by_parts(layers):
        return project(normalize(x_ND, gain_D, eps), layers)
    weight = torch.cat([_base(layer).weight for layer in layers])
    biases = [_base(layer).bias for layer in layers]
    bias = None if biases[0] is None else torch.cat(biases)
    return functional.linear(rms_norm(x_ND, eps), weight * gain_D, bias)


def add_projection(x_ND: Tensor, inner_NI: Tensor, layer: Any) -> Tensor:
    """x + a linear layer of `inner_NI`, in the type of x."""
    if _goes_by_parts([layer]):
        return x_ND + project(inner_NI, [layer])
    return torch.addmm(x_ND, inner_NI, _base(layer).weight.t())


def _goes_by_parts(layers: Sequence[Any]) -> bool:
    return find_arithmetic(_base(layers[0]).weight) is not torch.float32 or any(map(is_adapted, layers))


def _base(layer: Any) -> Any:
    return getattr(layer, "base_layer", layer)


def project(x_NI: Tensor, layers: Sequence[Any]) -> Tensor:
    """out_NO: linear layers side by side, adapters that are on beside their weights: W x + scale * B (A x).

    A weight that does not learn takes no gradient, which is a third of the arithmetic of one that does.
    """
    tensors, scales = [], []
    for layer in layers:
        base, adapted = _base(layer), is_adapted(layer)
        pair = (layer.lora_A[NAME].weight, layer.lora_B[NAME].weight) if adapted else (None, None)
        tensors += [base.weight, base.bias, *pair]
        scales.append(float(layer.scaling[NAME]) if adapted else 1.0)
    return _Project.apply(x_NI, tuple(scales), *tensors)


@dataclass(frozen=True)
class _Part:
    """One layer: where its outputs stand, its weight in the arithmetic of the product, its adapter."""

    columns: slice
    scale: float
    weight: Tensor
    bias: Tensor | None
    down_RI: Tensor | None
    up_OR: Tensor | None


def _list_parts(tensors: Sequence[Tensor | None], scales: Sequence[float], dtype: torch.dtype) -> list[_Part]:
    parts, start = [], 0
    for place, scale in enumerate(scales):
        cast = [
            None if one is None else cast_weight(one, dtype) for one in tensors[4 * place : 4 * place + 4]
        ]
        weight, bias, down_RI, up_OR = cast
        assert weight is not None
        parts.append(_Part(slice(start, start + len(weight)), scale, weight, bias, down_RI, up_OR))
        start += len(weight)
    return parts


class _Project(torch.autograd.Function):
    """`project`. Outputs are written and gradients added in place: no table of a part by itself."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scales: tuple[float, ...], *tensors: Tensor | None) -> Tensor:
        assert tensors[0] is not None
        dtype = find_arithmetic(tensors[0])
        parts = _list_parts(tensors, scales, dtype)
        cast, lows = x.to(dtype), []
        out = cast.new_empty(len(x), parts[-1].columns.stop)
        for part in parts:
            own = out[:, part.columns]
            if part.bias is None:
                torch.mm(cast, part.weight.t(), out=own)
            else:
                torch.addmm(part.bias, cast, part.weight.t(), out=own)
            low = None
            if part.down_RI is not None and part.up_OR is not None:
                low = cast @ part.down_RI.t()
                torch.addmm(own, low, part.up_OR.t(), alpha=part.scale, out=own)
            lows.append(low)
        learns = any(ctx.needs_input_grad[2:])
        ctx.save_for_backward(
            cast if learns else None,
            *lows,
            *(one for part in parts for one in (part.weight, part.down_RI, part.up_OR)),
        )
        ctx.scales, ctx.types = (
            scales,
            (x.dtype, [None if one is None else find_gradient_type(one) for one in tensors]),
        )
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyrefly: ignore
        cast, *saved = ctx.saved_tensors
        count, (x_type, types) = len(ctx.scales), ctx.types
        needed = ctx.needs_input_grad[2:]
        d_x, d_tensors, start = None, [], 0
        for place, (low, scale) in enumerate(zip(saved[:count], ctx.scales, strict=True)):
            weight, down_RI, up_OR = saved[count + 3 * place : count + 3 * place + 3]
            own, start = grad[:, start : start + len(weight)], start + len(weight)
            of_weight, of_bias, of_down, of_up = needed[4 * place : 4 * place + 4]
            kinds = types[4 * place : 4 * place + 4]
            d_low = None if low is None else (own @ up_OR).mul_(scale)
            d_tensors += [
                multiply_transposed(own, cast, kinds[0]) if of_weight else None,
                own.sum(0, dtype=torch.float32).to(kinds[1]) if of_bias else None,
                multiply_transposed(d_low, cast, kinds[2]) if of_down and d_low is not None else None,
                multiply_transposed(own, low, kinds[3]).mul_(scale) if of_up else None,
            ]
            if ctx.needs_input_grad[0]:
                d_x = own @ weight if d_x is None else torch.addmm(d_x, own, weight, out=d_x)
                if d_low is not None:
                    torch.addmm(d_x, d_low, down_RI, out=d_x)
        return (None if d_x is None else d_x.to(x_type), None, *d_tensors)
