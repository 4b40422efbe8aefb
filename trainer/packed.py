"""The update's forward pass for the dense family, over packed tokens: what rows have in common once, no padding.

Rows begin alike: a group shares its prompt, and often the first tokens of its completions. A token after the same
beginning has the same hidden state, so projections and the feed-forward run on a flat list of distinct tokens; only
attention sees rows. A token's gradients from all rows come together in it, so the gradient is that of the padded pass.
Norm weights are multiplied into the projections that follow, on the small side of the product.

Shapes: B rows, S positions of a row, L completion tokens, N packed tokens, D hidden, F inner, H query heads, K key heads,
E head size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from .batch import Sequences, in_order
from .sampling.dense import misfit

_PACKS = "_palaestra_packs"
PROBE_BOUND = 1e-4  # nats


@dataclass(frozen=True)
class Packing:
    """The rows of a batch as a tree: every distinct beginning of a row is one token of a flat list.

    index_BS: place of each position of a row in the list, right-padded with 0.  cells_N: one place of every token in a
    table of B x S.  sources_L: place of the token that predicts completion token L (row by row).
    """

    ids_N: Tensor
    positions_N: Tensor
    index_BS: Tensor
    cells_N: Tensor
    sources_L: Tensor

    @classmethod
    def of(cls, sequences: Sequences) -> Packing:
        """A completion's last token predicts nothing, so it is left out."""
        device, before_B = sequences.ids_BS.device, sequences.prompt_lengths_B
        ids_BS = sequences.ids_BS[:, : max(1, sequences.ids_BS.shape[1] - 1)].cpu().numpy()
        lengths_B = (before_B + sequences.lengths_B - 1).cpu().numpy()
        order_B, shared_B = in_order(ids_BS, lengths_B)
        column_S = np.arange(ids_BS.shape[1])
        used_BS = column_S < lengths_B[order_B, None]
        new_BS = used_BS & (column_S >= shared_B[:, None])
        # A position that is not new is that of the row before, which may itself have it from the row before it.
        numbers_BS = np.where(new_BS, np.cumsum(new_BS).reshape(new_BS.shape) - 1, -1)
        numbers_BS = np.where(used_BS, np.maximum.accumulate(numbers_BS, 0), 0)
        index_BS, cells_BS = np.empty_like(numbers_BS), np.arange(ids_BS.size).reshape(ids_BS.shape)
        index_BS[order_B] = numbers_BS
        cells_N = torch.from_numpy(cells_BS[order_B][new_BS]).to(device)
        placed_BS = torch.from_numpy(index_BS).to(device)
        rows_L, columns_L = sequences.mask_BT.nonzero(as_tuple=True)
        width = ids_BS.shape[1]
        return cls(
            sequences.ids_BS[:, :width].flatten()[cells_N],
            cells_N % width,
            placed_BS,
            cells_N,
            placed_BS[rows_L, before_B[rows_L] + columns_L - 1],
        )


class _Norm(torch.autograd.Function):
    """RMSNorm without its weight; keeps only its result, which the projection after it keeps anyway."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = torch.hypot(length, length.new_full((), (eps * x.shape[-1]) ** 0.5)).mul_(x.shape[-1] ** -0.5)
        out = x / scale
        ctx.save_for_backward(out, scale)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # pyrefly: ignore
        out, scale = ctx.saved_tensors
        share = torch.linalg.vecdot(grad, out)[..., None].div_(out.shape[-1])
        return torch.addcmul(grad, out, share, value=-1).div_(scale), None


class _Rotate(torch.autograd.Function):
    """Rotary embedding; the backward pass turns the other way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # pyrefly: ignore
        cos, sin = ctx.saved_tensors
        return _turned(grad, cos, sin, -1), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor, sign: int) -> Tensor:
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
        gate, up = both.chunk(2, -1)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyrefly: ignore
        (both,) = ctx.saved_tensors
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
        result = grad.new_zeros(len(packing.ids_N), *grad.shape[2:])
        # What stands beyond the end of a row is read by nothing, so its gradient is 0, and may be added to any token.
        return result.index_add_(0, packing.index_BS.flatten(), grad.flatten(0, 1)), None


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


def hidden_states(model: Any, packing: Packing) -> Tensor:
    """hidden_ND: what the head of a model of the dense family reads, for every packed token. Differentiable."""
    inner, config = model.model, model.config
    x_ND = inner.embed_tokens(packing.ids_N)
    cos_ND, sin_ND = (part[0] for part in inner.rotary_emb(x_ND, packing.positions_N[None]))
    turn = (cos_ND[:, None], sin_ND[:, None])
    for layer in inner.layers:
        if torch.is_grad_enabled() and getattr(layer, "gradient_checkpointing", False):
            x_ND = checkpoint(_layer, layer, x_ND, turn, packing, config.rms_norm_eps, use_reentrant=False)
        else:
            x_ND = _layer(layer, x_ND, turn, packing, config.rms_norm_eps)
    return _Norm.apply(x_ND, config.rms_norm_eps) * inner.norm.weight


def _layer(layer: Any, x_ND: Tensor, turn: tuple[Tensor, Tensor], packing: Packing, eps: float) -> Tensor:
    attention, mlp = layer.self_attn, layer.mlp
    weight = torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])
    bias = None
    if attention.q_proj.bias is not None:
        bias = torch.cat([attention.q_proj.bias, attention.k_proj.bias, attention.v_proj.bias])
    qkv_NO = functional.linear(_Norm.apply(x_ND, eps), weight * layer.input_layernorm.weight, bias)
    x_ND = x_ND + functional.linear(_attention(attention, qkv_NO, turn, packing, eps), attention.o_proj.weight)
    weight = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * layer.post_attention_layernorm.weight
    both_N2F = functional.linear(_Norm.apply(x_ND, eps), weight)
    return x_ND + functional.linear(_Gate.apply(both_N2F), mlp.down_proj.weight)


def _attention(attention: Any, qkv_NO: Tensor, turn: tuple[Tensor, Tensor], packing: Packing, eps: float) -> Tensor:
    size = attention.head_dim
    heads_NHE = qkv_NO.view(len(qkv_NO), -1, size)
    queries = attention.q_proj.weight.shape[0] // size
    keys = attention.k_proj.weight.shape[0] // size
    q_NHE, k_NKE, v_NKE = heads_NHE.split([queries, keys, keys], 1)
    if hasattr(attention, "q_norm"):
        q_NHE = _Norm.apply(q_NHE, eps) * attention.q_norm.weight
        k_NKE = _Norm.apply(k_NKE, eps) * attention.k_norm.weight
    q_NHE, k_NKE = _Rotate.apply(q_NHE, *turn), _Rotate.apply(k_NKE, *turn)
    q_BHSE, k_BKSE, v_BKSE = (_Rows.apply(flat, packing).transpose(1, 2) for flat in (q_NHE, k_NKE, v_NKE))
    attended_BHSE = functional.scaled_dot_product_attention(
        q_BHSE, k_BKSE, v_BKSE, is_causal=True, scale=attention.scaling, enable_gqa=queries != keys
    )
    return _Collect.apply(attended_BHSE.transpose(1, 2), packing.cells_N).flatten(1)


def packs(model: Any) -> bool:
    """Whether the packed pass serves `model` in the arithmetic of now: the dense family in float32, found right on a probe.

    Under autocast the model's own forward pass is taken.
    """
    parameter = next(model.parameters())
    if parameter.dtype is not torch.float32 or torch.is_autocast_enabled(parameter.device.type):
        return False
    # What can be changed in place (adapters, hooks) is looked at each time, the probe is run once.
    if misfit(model) or getattr(model.config, "attention_dropout", 0.0):
        return False
    known = getattr(model, _PACKS, None)
    if known is None:
        known = _probe(model) <= PROBE_BOUND
        setattr(model, _PACKS, known)
    return known


@torch.no_grad()
def _probe(model: Any) -> float:
    """Largest difference of the log-probabilities of a few tokens to those of the model's own forward pass."""
    training = model.training
    model.eval()
    size, device = model.get_input_embeddings().weight.shape[0], next(model.parameters()).device
    prompts = [[(7 * place + 3) % size for place in range(length)] for length in (5, 5, 2)]
    rows = [[(11 * place + row) % size for place in range(4 + row)] for row in range(3)]
    sequences = Sequences.of(prompts, rows, device)
    logits_NV = model.lm_head(hidden_states(model, packing := Packing.of(sequences))[packing.sources_L])
    plain_BSV = model(input_ids=sequences.ids_BS, use_cache=False).logits
    parts = [
        plain_BSV[row, len(prompts[row]) - 1 : len(prompts[row]) + len(rows[row]) - 1] for row in range(3)
    ]  # fmt: skip
    model.train(training)
    return float((logits_NV.log_softmax(-1) - torch.cat(parts).log_softmax(-1)).abs().max())
