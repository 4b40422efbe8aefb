"""What the packed pass computes beside matrix products, each with its backward pass: norm, gate,
attention over a tree.

Each runs in a compiled kernel where there is one (`kernels/`), else through torch;
both give the same numbers.

Shapes: N packed tokens, B rows, S positions, D hidden, F inner, H query heads, K key heads, E head size,
O = (H + 2 K) E.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from . import kernels, tree_attention

if TYPE_CHECKING:
    from .packing import Packing


def rms_norm(x_ND: Tensor, eps: float) -> Tensor:
    """RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467) over the last dimension, without its weight."""
    return _Norm.apply(x_ND, eps)


def swiglu(both_N2F: Tensor) -> Tensor:
    """silu(gate) * up of both side by side (SwiGLU, Shazeer 2020, arXiv:2002.05202)."""
    return _Gate.apply(both_N2F)


def attend(
    attention: Any, qkv_NO: Tensor, rope: tuple[Tensor, Tensor], packing: Packing, eps: float
) -> Tensor:
    """attended_NHE, flat: causal attention of every token over its row, by a layer's module `attention`.

    qkv_NO: queries, keys and values of all heads.  rope: cos_NE and sin_NE of the rotary embedding.
    """
    size = attention.head_dim
    if kernels.supports(qkv_NO.device, qkv_NO.dtype, size):
        queries, keys = attention.q_proj.weight.shape[0] // size, attention.k_proj.weight.shape[0] // size
        q_gain_E, k_gain_E = qkv_NO.new_ones(2, size)
        has_norm = hasattr(attention, "q_norm")
        if has_norm:
            q_gain_E, k_gain_E = attention.q_norm.weight, attention.k_norm.weight
        scaled_E = q_gain_E * attention.scaling
        return _Attention.apply(
            qkv_NO,
            scaled_E,
            k_gain_E,
            rope,
            packing,
            (keys, queries // keys, size),
            eps if has_norm else -1.0,
        )
    q_NHE, k_NKE, v_NKE = read_heads(attention, qkv_NO, rope, eps)
    heads = q_NHE.shape[1], k_NKE.shape[1], size
    if tree_attention.supports(qkv_NO.device, qkv_NO.dtype, *heads):
        mask = packing.block_mask
        return tree_attention.attend_to_ancestors(q_NHE, k_NKE, v_NKE, mask, attention.scaling).flatten(1)
    return _attend_by_rows(attention, q_NHE, k_NKE, v_NKE, packing)


class _Norm(torch.autograd.Function):
    """RMSNorm without its weight; keeps only its result, which the projection after it keeps anyway."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        if _has_kernel(x):
            x, out, scale = x.contiguous(), torch.empty_like(x), x.new_empty(x.shape[:-1])
            kernels.call("norm_forward", x, out, scale, scale.numel(), x.shape[-1], eps)
            ctx.save_for_backward(out, scale)
            return out
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = torch.hypot(length, length.new_full((), (eps * x.shape[-1]) ** 0.5)).mul_(x.shape[-1] ** -0.5)
        out = x / scale
        ctx.save_for_backward(out, scale)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # pyrefly: ignore
        out, scale = ctx.saved_tensors
        if _has_kernel(grad):
            grad, result = grad.contiguous(), torch.empty_like(out)
            kernels.call("norm_backward", grad, out, scale, result, scale.numel(), out.shape[-1])
            return result, None
        share = torch.linalg.vecdot(grad, out)[..., None].div_(out.shape[-1])
        return torch.addcmul(grad, out, share, value=-1).div_(scale), None


class _Attention(torch.autograd.Function):
    """`attend` by the kernels. q_gain_E, k_gain_E: scale of queries and keys before the rotation.  heads:
    (K, H / K, E)."""

    @staticmethod
    def forward(
        ctx: Any,
        qkv: Tensor,
        q_gain: Tensor,
        k_gain: Tensor,
        rope: tuple[Tensor, Tensor],
        packing: Packing,
        heads: tuple[int, int, int],
        eps: float,
    ) -> Tensor:
        keys, queries, size = heads
        out, logs = qkv.new_empty(len(qkv), keys * queries * size), qkv.new_empty(len(qkv), keys * queries)
        shape = (len(qkv), *packing.index_BS.shape, *heads)
        tree = (packing.index_BS, packing.firsts_B, packing.lengths_B)
        rotated = qkv.new_empty(len(qkv), keys * (queries + 1) * size)
        kernels.call("attention_forward", qkv, *rope, q_gain, k_gain, *tree, *shape, eps, out, logs, rotated)
        ctx.save_for_backward(qkv, q_gain, k_gain, out, logs)
        ctx.rest = (rope, tree, shape, eps)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyrefly: ignore
        qkv, q_gain, k_gain, out, logs = ctx.saved_tensors
        rope, tree, shape, eps = ctx.rest
        d_qkv, d_q, d_k = torch.empty_like(qkv), torch.empty_like(q_gain), torch.empty_like(k_gain)
        rotated, d_rotated = qkv.new_empty(2, len(qkv), (shape[3] * (shape[4] + 1)) * shape[5])
        inputs = (grad.contiguous(), qkv, *rope, q_gain, k_gain, *tree, *shape)
        outputs = (d_qkv, d_q, d_k, rotated, d_rotated)
        kernels.call("attention_backward", *inputs, eps, out, logs, *outputs)
        return d_qkv, d_q, d_k, None, None, None, None


class _Rope(torch.autograd.Function):
    """Rotary embedding; the backward pass rotates the other way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _apply_rope(x, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # pyrefly: ignore
        cos, sin = ctx.saved_tensors
        return _apply_rope(grad, cos, sin, -1), None, None


def _apply_rope(x: Tensor, cos: Tensor, sin: Tensor, sign: int) -> Tensor:
    half = x.shape[-1] // 2
    out = x * cos
    out[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-sign)
    out[..., half:].addcmul_(x[..., :half], sin[..., half:], value=sign)
    return out


class _Gate(torch.autograd.Function):
    """silu(gate) * up, of both side by side."""

    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        if _has_kernel(both):
            out = both.new_empty(*both.shape[:-1], both.shape[-1] // 2)
            kernels.call("gate_forward", both, out, len(both), out.shape[-1])
            return out
        gate, up = both.chunk(2, -1)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyrefly: ignore
        (both,) = ctx.saved_tensors
        if _has_kernel(both):
            result = torch.empty_like(both)
            kernels.call("gate_backward", grad.contiguous(), both, result, len(both), grad.shape[-1])
            return result
        gate, up = both.chunk(2, -1)
        result = torch.empty_like(both)
        d_gate, d_up = result.chunk(2, -1)
        torch.mul(functional.silu(gate), grad, out=d_up)
        torch.ops.aten.silu_backward.grad_input(grad * up, gate, grad_input=d_gate)
        return result


class _Rows(torch.autograd.Function):
    """Packed tokens laid out as rows; a token's gradients from all of its rows are summed."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, packing: Packing) -> Tensor:
        ctx.packing = packing
        return flat[packing.index_BS]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # pyrefly: ignore
        packing: Packing = ctx.packing
        # What stands beyond the end of a row is read by nothing, so its gradient is 0,
        # and may be added to any token. A prompt's gradients come from all rows: they are summed in float32.
        result = grad.new_zeros(len(packing.ids_N), *grad.shape[2:], dtype=torch.float32)
        result.index_add_(0, packing.index_BS.flatten(), grad.flatten(0, 1).float())
        return result.to(grad.dtype), None


class _Collect(torch.autograd.Function):
    """Cells of a table of rows as a flat list; the others get no gradient."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, cells: Tensor) -> Tensor:
        ctx.save_for_backward(cells)
        ctx.shape = table.shape
        return table.flatten(0, 1)[cells]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # pyrefly: ignore
        (cells,) = ctx.saved_tensors
        result = grad.new_zeros(ctx.shape)
        result.flatten(0, 1)[cells] = grad
        return result, None


def read_heads(
    attention: Any, qkv_NO: Tensor, rope: tuple[Tensor, Tensor], eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """q_NHE and k_NKE, normed and rotated, and v_NKE of what a layer has projected (see `attend`)."""
    size = attention.head_dim
    k_NKE, v_NKE = read_keys_and_values(attention, qkv_NO, rope, eps)
    q_NHE = qkv_NO[:, : qkv_NO.shape[1] - 2 * k_NKE.shape[1] * size].unflatten(1, (-1, size))
    return _rotate(q_NHE, getattr(attention, "q_norm", None), rope, eps), k_NKE, v_NKE


def read_keys_and_values(
    attention: Any, qkv_NO: Tensor, rope: tuple[Tensor, Tensor], eps: float
) -> tuple[Tensor, Tensor]:
    """k_NKE, normed and rotated, and v_NKE of what a layer has projected (see `attend`)."""
    size = attention.head_dim
    keys = attention.k_proj.weight.shape[0] // size
    k_NKE, v_NKE = qkv_NO[:, -2 * keys * size :].view(len(qkv_NO), 2 * keys, size).split([keys, keys], 1)
    return _rotate(k_NKE, getattr(attention, "k_norm", None), rope, eps), v_NKE


def _rotate(x_NHE: Tensor, norm: Any, rope: tuple[Tensor, Tensor], eps: float) -> Tensor:
    """Heads normed where a layer does so, and rotated; in float32, and returned as they came."""
    kind, x_NHE = x_NHE.dtype, x_NHE.float()
    if norm is not None:
        x_NHE = rms_norm(x_NHE, eps) * norm.weight
    return _Rope.apply(x_NHE, *(part[:, None] for part in rope)).to(kind)


def _attend_by_rows(attention: Any, q_NHE: Tensor, k_NKE: Tensor, v_NKE: Tensor, packing: Packing) -> Tensor:
    """The same through torch: queries, keys and values laid out as rows."""
    q_BHSE, k_BKSE, v_BKSE = (_Rows.apply(flat, packing).transpose(1, 2) for flat in (q_NHE, k_NKE, v_NKE))
    attended_BHSE = functional.scaled_dot_product_attention(
        q_BHSE,
        k_BKSE,
        v_BKSE,
        is_causal=True,
        scale=attention.scaling,
        enable_gqa=q_NHE.shape[1] != k_NKE.shape[1],
    )
    return _Collect.apply(attended_BHSE.transpose(1, 2), packing.cells_N).flatten(1)


def _has_kernel(x: Tensor) -> bool:
    return kernels.supports(x.device, x.dtype, 0)
