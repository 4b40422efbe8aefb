"""One token for each row through all layers of the dense family: by torch on any device,
by compiled kernels on a CPU.

Both read the tokens, positions and weights of a decoding's `Buffers`, write the new keys and values into its
cache, and leave the logits in its `out_UV`. Shapes are those of `decoder`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from . import kernels
from .family import DenseWeights, Layer, divide_by_rms

if TYPE_CHECKING:
    from .kv_cache import BlockCache, RowCache


class Buffers(Protocol):
    """What one step reads and writes: weights, the rows' tokens and positions,
    and a buffer for each of its results."""

    weights: DenseWeights
    fixed: bool
    width: int
    tokens_U: Tensor
    positions_U: Tensor
    cos_SE: Tensor
    sin_SE: Tensor
    hidden_UD: Tensor
    qkv_UO: Tensor
    up_U2F: Tensor
    rotated_NJE: Tensor
    attended_NJE: Tensor
    gated_UF: Tensor
    out_UV: Tensor


def run_kernel_step(d: Buffers, cache: BlockCache) -> None:
    """As `run_torch_step`, in float32 on a CPU."""
    w, rows = d.weights, d.width
    x_UD = functional.embedding(d.tokens_U, w.embedding_VD).float()
    cos_UE, sin_UE = d.cos_SE[d.positions_U], d.sin_SE[d.positions_U]
    rope_stride = w.head_size if len(cos_UE) > 1 else 0
    shape = (rows, w.key_heads, w.queries, w.head_size, w.eps if w.qk_norm else -1.0)
    prompts, place = (cache.starts_P, cache.owners_U, cache.prompt), (cache.cache_L[0].shape[2], cache.used)
    attended_UH = d.attended_NJE.view(rows, -1)
    for layer, shared, own in zip(w.layers, cache.prompts_L, cache.cache_L, strict=True):
        _normalise(x_UD, d.hidden_UD, w.eps)
        _project(d.hidden_UD, layer.qkv_DO, layer.bias_O, d.qkv_UO)
        kernels.call(
            "decode_attention",
            d.qkv_UO,
            cos_UE,
            sin_UE,
            rope_stride,
            layer.gain_KJE,
            *shared,
            *prompts,
            *own,
            *place,
            attended_UH,
            *shape,
        )
        x_UD.addmm_(attended_UH, layer.out_HD)
        _normalise(x_UD, d.hidden_UD, w.eps)
        torch.mm(d.hidden_UD, layer.gate_up_D2F, out=d.up_U2F)
        kernels.call("gate_forward", d.up_U2F, d.gated_UF, rows, d.gated_UF.shape[1])
        x_UD.addmm_(d.gated_UF, layer.down_FD)
    _normalise(x_UD, d.hidden_UD, w.eps)
    torch.mm(d.hidden_UD.mul_(w.norm_D), w.head_VD.t(), out=d.out_UV)


def _normalise(x_UD: Tensor, out_UD: Tensor, eps: float) -> None:
    kernels.call("norm_forward", x_UD, out_UD, None, *x_UD.shape, eps)


def _project(x_UD: Tensor, weight_DO: Tensor, bias_O: Tensor | None, out_UO: Tensor) -> None:
    if bias_O is None:
        torch.mm(x_UD, weight_DO, out=out_UO)
    else:
        torch.addmm(bias_O, x_UD, weight_DO, out=out_UO)


def run_torch_step(d: Buffers, cache: RowCache) -> None:
    """One token through all layers; reads tokens_U, positions_U and slot, writes the cache and out_UV."""
    w = d.weights
    x_UD = functional.embedding(d.tokens_U, w.embedding_VD).float()
    cos_U11E, sin_U11E = d.cos_SE[d.positions_U, None, None], d.sin_SE[d.positions_U, None, None]
    rope = None
    if d.fixed and cache.bias_U1S is not None:
        cache.bias_U1S.index_fill_(2, cache.slot, 0.0)
    bias_N1S = None
    if cache.bias_U1S is not None:
        bias_U1S = cache.bias_U1S if d.fixed else cache.bias_U1S[:, :, : cache.used + 1]
        bias_N1S = bias_U1S.repeat_interleave(w.key_heads, 0) if w.key_heads > 1 else bias_U1S
    for layer, (keys_NSE, values_NSE) in zip(w.layers, cache.views_L, strict=True):
        if rope is None or w.qk_norm:
            rope = compute_rope_factors(cos_U11E, sin_U11E, layer)
        _attend(d, cache, x_UD, layer, rope, keys_NSE, values_NSE, bias_N1S)
        _feed_forward(d, x_UD, layer)
    scaled_UD = torch.mul(divide_by_rms(x_UD, w.eps), w.norm_D, out=d.hidden_UD)
    torch.mm(scaled_UD, w.head_VD.t(), out=d.out_UV)


def _attend(
    d: Buffers,
    cache: RowCache,
    x_UD: Tensor,
    layer: Layer,
    rope: tuple[Tensor, Tensor],
    keys_NSE: Tensor,
    values_NSE: Tensor,
    bias_N1S: Tensor | None,
) -> None:
    w = d.weights
    hidden_UD, qkv_UO = divide_by_rms(x_UD, w.eps, out=d.hidden_UD), d.qkv_UO
    _project(hidden_UD, layer.qkv_DO, layer.bias_O, qkv_UO)
    qkv_UKJE = qkv_UO.view(len(qkv_UO), w.key_heads, w.queries + 2, w.head_size)
    rotated_NJE = apply_rope(qkv_UKJE[:, :, :-1], rope, w, d.rotated_NJE)
    value_NE = qkv_UKJE[:, :, -1].reshape(-1, w.head_size)
    if d.fixed:
        keys_NSE.index_copy_(1, cache.slot, rotated_NJE[:, -1:])
        values_NSE.index_copy_(1, cache.slot, value_NE[:, None])
    else:
        keys_NSE[:, cache.used], values_NSE[:, cache.used] = rotated_NJE[:, -1], value_NE
        keys_NSE, values_NSE = keys_NSE[:, : cache.used + 1], values_NSE[:, : cache.used + 1]
    query_NJE = rotated_NJE[:, :-1]
    if w.dtype is torch.float32:
        keys_NES = keys_NSE.transpose(1, 2)
        scores_NJS = (
            torch.bmm(query_NJE, keys_NES)
            if bias_N1S is None
            else torch.baddbmm(bias_N1S, query_NJE, keys_NES)
        )
        torch.softmax(scores_NJS, -1, out=scores_NJS)
        torch.bmm(scores_NJS, values_NSE, out=d.attended_NJE)
        attended_NJE = d.attended_NJE
    else:  # the fused kernels keep the scores in float32
        attended_NJE = functional.scaled_dot_product_attention(
            query_NJE[None],
            keys_NSE[None],
            values_NSE[None],
            None if bias_N1S is None else bias_N1S[None],
            scale=1.0,
        )[0]
    add_product(x_UD, attended_NJE.reshape(len(x_UD), -1), layer.out_HD)


def _feed_forward(d: Buffers, x_UD: Tensor, layer: Layer) -> None:
    torch.mm(divide_by_rms(x_UD, d.weights.eps, out=d.hidden_UD), layer.gate_up_D2F, out=d.up_U2F)
    gate_UF, up_UF = d.up_U2F.chunk(2, 1)
    add_product(x_UD, functional.silu(gate_UF, inplace=True).mul_(up_UF), layer.down_FD)


def add_product(x_UD: Tensor, left: Tensor, weight: Tensor) -> None:
    """x += left @ weight; x stays in float32."""
    if left.dtype is x_UD.dtype:
        x_UD.addmm_(left, weight)
    else:
        x_UD += left @ weight


def compute_rope_factors(cos_U11E: Tensor, sin_U11E: Tensor, layer: Layer) -> tuple[Tensor, Tensor]:
    """Factors of `apply_rope` with the layer's gains in: of each value,
    and of its partner half a head away (signed)."""
    half = layer.gain_KJE.shape[-1] // 2
    low, high = layer.gain_KJE[..., :half], layer.gain_KJE[..., half:]
    return cos_U11E * layer.gain_KJE, sin_U11E * torch.cat([-high, low], -1)


def apply_rope(
    qk_UKJE: Tensor, rope: tuple[Tensor, Tensor], weights: DenseWeights, out_NJE: Tensor
) -> Tensor:
    """Rotary embedding (Su et al. 2021, arXiv:2104.09864) of queries and keys,
    after their norms where there are any."""
    cos, sin = rope
    half = weights.head_size // 2
    if weights.qk_norm:
        qk_UKJE = divide_by_rms(qk_UKJE, weights.eps)
    out_UKJE = out_NJE.view(qk_UKJE.shape)
    result = torch.mul(qk_UKJE, cos, out=out_UKJE) if weights.dtype is torch.float32 else qk_UKJE * cos
    result[..., :half].addcmul_(qk_UKJE[..., half:], sin[..., :half])
    result[..., half:].addcmul_(qk_UKJE[..., :half], sin[..., half:])
    if result is not out_UKJE:
        out_UKJE.copy_(result)
    return out_NJE
