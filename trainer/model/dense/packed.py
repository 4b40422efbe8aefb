"""The update's forward pass for the dense family, over packed tokens: what rows have in common once,
no padding.

Rows begin alike: a group shares its prompt, and often the first tokens of its completions. A token after the
same beginning has the same hidden state, so projections and the feed-forward run on a flat list of distinct
tokens; only attention sees rows. A token's gradients from all rows come together in it, so the gradient is
that of the padded pass. Norm weights are multiplied into the projections that follow,
on the small side of the product.

Shapes: B rows, S positions of a row, L completion tokens, N packed tokens, D hidden, F inner, H query heads,
K key heads, E head size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ..lora import has_adapters, move_adapters, weigh
from ..rounding import bound_rounding
from ..sequences import Sequences
from .family import find_misfit
from .ops import attend, rms_norm, swiglu
from .packing import Packing

_PACKS = "_palaestra_packs"
PROBE_GRADIENT = 1e-3  # of its length; float32 rounding stays a hundred times below


Keep = Callable[[Any, Tensor, tuple[Tensor, Tensor], float], None]


def compute_hidden_states(model: Any, packing: Packing, keep: Keep | None = None) -> Tensor:
    """hidden_ND: what the head of a model of the dense family reads, for every packed token.
    Differentiable.

    keep: called for each layer with its attention, the projected queries, keys and values (qkv_NO), rope and
    eps, before they are attended.
    """
    inner, config = model.model, model.config
    x_ND = inner.embed_tokens(packing.ids_N)
    cos_NE, sin_NE = (part[0] for part in inner.rotary_emb(x_ND, packing.positions_N[None]))
    rope = (cos_NE.contiguous(), sin_NE.contiguous())
    for layer in inner.layers:
        if torch.is_grad_enabled() and getattr(layer, "gradient_checkpointing", False):
            x_ND = checkpoint(
                _run_layer, layer, x_ND, rope, packing, config.rms_norm_eps, keep, use_reentrant=False
            )
        else:
            x_ND = _run_layer(layer, x_ND, rope, packing, config.rms_norm_eps, keep)
    return rms_norm(x_ND, config.rms_norm_eps) * inner.norm.weight


def _run_layer(
    layer: Any,
    x_ND: Tensor,
    rope: tuple[Tensor, Tensor],
    packing: Packing,
    eps: float,
    keep: Keep | None,
) -> Tensor:
    attention, mlp = layer.self_attn, layer.mlp
    weight = torch.cat([weigh(attention.q_proj), weigh(attention.k_proj), weigh(attention.v_proj)])
    bias = None
    if attention.q_proj.bias is not None:
        bias = torch.cat([attention.q_proj.bias, attention.k_proj.bias, attention.v_proj.bias])
    qkv_NO = functional.linear(rms_norm(x_ND, eps), weight * layer.input_layernorm.weight, bias)
    if keep is not None:
        keep(attention, qkv_NO, rope, eps)
    x_ND = torch.addmm(x_ND, attend(attention, qkv_NO, rope, packing, eps), weigh(attention.o_proj).t())
    weight = torch.cat([weigh(mlp.gate_proj), weigh(mlp.up_proj)]) * layer.post_attention_layernorm.weight
    both_N2F = functional.linear(rms_norm(x_ND, eps), weight)
    return torch.addmm(x_ND, swiglu(both_N2F), weigh(mlp.down_proj).t())


def can_pack(model: Any) -> bool:
    """Whether the packed pass serves `model` in the arithmetic of now: the dense family in float32,
    found right on a probe.

    Under autocast the model's own forward pass is taken.
    """
    parameter = next(model.parameters())
    if parameter.dtype is not torch.float32 or torch.is_autocast_enabled(parameter.device.type):
        return False
    # What can be changed in place (hooks, modules) is looked at each time; the probe is run once, and again
    # for adapters.
    if find_misfit(model) or any(layer.self_attn.attention_dropout for layer in model.model.layers):
        return False
    adapted = has_adapters(model)
    known = getattr(model, _PACKS, {})
    if adapted not in known:
        with move_adapters(model):
            known = {**known, adapted: _matches_plain_pass(model)}
        setattr(model, _PACKS, known)
    return known[adapted]


def _matches_plain_pass(model: Any) -> bool:
    """Whether a few rows have the log-probabilities of the model's own forward pass,
    and the first layer their gradients."""
    training = model.training
    model.eval()
    size, device = model.get_input_embeddings().weight.shape[0], next(model.parameters()).device
    prompts = [[(7 * place + 3) % size for place in range(length)] for length in (5, 5, 2)]
    rows = [[(11 * place + row) % size for place in range(4 + row)] for row in range(3)]
    sequences = Sequences.of(prompts, rows, device)
    weights = [weight for weight in model.model.layers[0].parameters() if weight.requires_grad]
    with torch.enable_grad():
        packed_NV = model.lm_head(
            compute_hidden_states(model, packing := Packing.of(sequences))[packing.sources_L]
        ).log_softmax(-1)
        plain_BSV = model(input_ids=sequences.ids_BS, use_cache=False).logits
        places = [
            slice(len(prompt) - 1, len(prompt) + len(row) - 1)
            for prompt, row in zip(prompts, rows, strict=True)
        ]
        plain_NV = torch.cat([plain_BSV[row, place] for row, place in enumerate(places)]).log_softmax(-1)
        gradients = [
            torch.autograd.grad(logprobs_NV.diagonal().sum(), weights) if weights else ()
            for logprobs_NV in (packed_NV, plain_NV)
        ]
    model.train(training)
    close = all(
        float((packed - plain).norm()) <= PROBE_GRADIENT * float(plain.norm()) + 1e-9
        for packed, plain in zip(*gradients, strict=True)
    )
    gap = float((packed_NV - plain_NV).detach().abs().max())
    return close and gap <= bound_rounding(plain_NV)
