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

from ..sequences import Sequences, in_order
from .family import misfit
from .ops import attended, gated, norm

_PACKS = "_palaestra_packs"
PROBE_BOUND = 1e-4  # nats
PROBE_GRADIENT = 1e-3  # of its length; float32 rounding stays a hundred times below


@dataclass(frozen=True)
class Packing:
    """The rows of a batch as a tree: every distinct beginning of a row is one token of a flat list.

    index_BS: place of each position of a row in the list, right-padded with 0.  lengths_B: positions of a row.  firsts_B: its
    first position that no row before has, in the order in which the list was made.  cells_N: one place of every token in a
    table of B x S.  sources_L: place of the token that predicts completion token L (row by row).
    """

    ids_N: Tensor
    positions_N: Tensor
    index_BS: Tensor
    lengths_B: Tensor
    firsts_B: Tensor
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
        firsts_B = np.empty_like(shared_B)
        firsts_B[order_B] = shared_B
        cells_N = torch.from_numpy(cells_BS[order_B][new_BS]).to(device)
        placed_BS = torch.from_numpy(index_BS).to(device)
        rows_L, columns_L = sequences.mask_BT.nonzero(as_tuple=True)
        width = ids_BS.shape[1]
        return cls(
            sequences.ids_BS[:, :width].flatten()[cells_N],
            cells_N % width,
            placed_BS,
            torch.from_numpy(lengths_B).to(device),
            torch.from_numpy(firsts_B).to(device),
            cells_N,
            placed_BS[rows_L, before_B[rows_L] + columns_L - 1],
        )


def hidden_states(model: Any, packing: Packing) -> Tensor:
    """hidden_ND: what the head of a model of the dense family reads, for every packed token. Differentiable."""
    inner, config = model.model, model.config
    x_ND = inner.embed_tokens(packing.ids_N)
    cos_NE, sin_NE = (part[0] for part in inner.rotary_emb(x_ND, packing.positions_N[None]))
    turn = (cos_NE.contiguous(), sin_NE.contiguous())
    for layer in inner.layers:
        if torch.is_grad_enabled() and getattr(layer, "gradient_checkpointing", False):
            x_ND = checkpoint(_layer, layer, x_ND, turn, packing, config.rms_norm_eps, use_reentrant=False)
        else:
            x_ND = _layer(layer, x_ND, turn, packing, config.rms_norm_eps)
    return norm(x_ND, config.rms_norm_eps) * inner.norm.weight


def _layer(layer: Any, x_ND: Tensor, turn: tuple[Tensor, Tensor], packing: Packing, eps: float) -> Tensor:
    attention, mlp = layer.self_attn, layer.mlp
    weight = torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])
    bias = None
    if attention.q_proj.bias is not None:
        bias = torch.cat([attention.q_proj.bias, attention.k_proj.bias, attention.v_proj.bias])
    qkv_NO = functional.linear(norm(x_ND, eps), weight * layer.input_layernorm.weight, bias)
    x_ND = torch.addmm(x_ND, attended(attention, qkv_NO, turn, packing, eps), attention.o_proj.weight.t())
    weight = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * layer.post_attention_layernorm.weight
    both_N2F = functional.linear(norm(x_ND, eps), weight)
    return torch.addmm(x_ND, gated(both_N2F), mlp.down_proj.weight.t())


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
        known = _agrees(model)
        setattr(model, _PACKS, known)
    return known


def _agrees(model: Any) -> bool:
    """Whether a few rows have the log-probabilities of the model's own forward pass, and the first layer their gradients."""
    training = model.training
    model.eval()
    size, device = model.get_input_embeddings().weight.shape[0], next(model.parameters()).device
    prompts = [[(7 * place + 3) % size for place in range(length)] for length in (5, 5, 2)]
    rows = [[(11 * place + row) % size for place in range(4 + row)] for row in range(3)]
    sequences = Sequences.of(prompts, rows, device)
    weights = [weight for weight in model.model.layers[0].parameters() if weight.requires_grad]
    with torch.enable_grad():
        packed_NV = model.lm_head(hidden_states(model, packing := Packing.of(sequences))[packing.sources_L]).log_softmax(-1)
        plain_BSV = model(input_ids=sequences.ids_BS, use_cache=False).logits
        places = [slice(len(prompt) - 1, len(prompt) + len(row) - 1) for prompt, row in zip(prompts, rows, strict=True)]
        plain_NV = torch.cat([plain_BSV[row, place] for row, place in enumerate(places)]).log_softmax(-1)
        found = [
            torch.autograd.grad(logprobs_NV.diagonal().sum(), weights) if weights else ()
            for logprobs_NV in (packed_NV, plain_NV)
        ]
    model.train(training)
    close = all(
        float((one - other).norm()) <= PROBE_GRADIENT * float(other.norm()) + 1e-9 for one, other in zip(*found, strict=True)
    )
    return close and float((packed_NV - plain_NV).detach().abs().max()) <= PROBE_BOUND
