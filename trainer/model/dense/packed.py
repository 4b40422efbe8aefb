"""The update's forward pass for the dense family, over packed tokens: what rows have in common once,
no padding.

Rows begin alike: a group shares its prompt, and often the first tokens of its completions. A token after the
same beginning has the same hidden state, so projections and the feed-forward run on a flat list of distinct
tokens; only attention sees rows, or the tree itself. A token's gradients from all rows come together in it,
so the gradient is that of the padded pass. What lies between the products is computed in float32 where they
are done in bfloat16, as the model's own pass does.

Shapes: B rows, S positions of a row, L completion tokens, N packed tokens, D hidden, F inner, H query heads,
K key heads, E head size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..casts import find_arithmetic
from ..head import has_linear_head
from ..lora import has_adapters, move_adapters
from ..rounding import bound_rounding
from ..sequences import Sequences
from .family import find_misfit
from .ops import attend, swiglu
from .packing import Packing
from .projections import add_projection, normalize, project_normed

_PACKS = "_palaestra_packs"  # on a model: (with adapters or not, arithmetic) -> whether it is served
PROBE_GRADIENT = 1e-3  # of its length; float32 rounding stays a hundred times below
PROBE_SHARE = 3.0
"""Of the model's own error in bfloat16 against float32: what the packed pass may have. It has about as much;
with so few tokens either may be twice the other by chance."""
PROBE_COARSE = 0.1  # nats on average, and of a gradient's length: weights that float32 is not at hand of


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
    rope = (cos_NE.float().contiguous(), sin_NE.float().contiguous())
    for layer in inner.layers:
        if torch.is_grad_enabled() and getattr(layer, "gradient_checkpointing", False):
            x_ND = checkpoint(
                _run_layer, layer, x_ND, rope, packing, config.rms_norm_eps, keep, use_reentrant=False
            )
        else:
            x_ND = _run_layer(layer, x_ND, rope, packing, config.rms_norm_eps, keep)
    return normalize(x_ND, inner.norm.weight, config.rms_norm_eps).to(x_ND.dtype)


def _run_layer(
    layer: Any,
    x_ND: Tensor,
    rope: tuple[Tensor, Tensor],
    packing: Packing,
    eps: float,
    keep: Keep | None,
) -> Tensor:
    attention, mlp = layer.self_attn, layer.mlp
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    qkv_NO = project_normed(x_ND, layer.input_layernorm.weight, eps, projections)
    if keep is not None:
        keep(attention, qkv_NO, rope, eps)
    x_ND = add_projection(x_ND, attend(attention, qkv_NO, rope, packing, eps), attention.o_proj)
    gain_D = layer.post_attention_layernorm.weight
    both_N2F = project_normed(x_ND, gain_D, eps, (mlp.gate_proj, mlp.up_proj))
    return add_projection(x_ND, swiglu(both_N2F), mlp.down_proj)


def can_pack(model: Any) -> bool:
    """Whether the packed pass serves `model` in the arithmetic of now: the dense family in float32 or
    bfloat16, found right on a probe."""
    weight = next(model.parameters())
    arithmetic = find_arithmetic(weight)
    if {arithmetic, weight.dtype} - {torch.float32, torch.bfloat16}:
        return False
    # What can be changed in place (hooks, modules) is looked at each time; the probe is run once, and again
    # for adapters and for each arithmetic.
    if find_misfit(model) or any(layer.self_attn.attention_dropout for layer in model.model.layers):
        return False
    if not has_linear_head(model):
        return False
    key = (has_adapters(model), arithmetic)
    if key not in getattr(model, _PACKS, {}):
        with move_adapters(model):
            served = _matches_plain_pass(model, arithmetic)
        setattr(model, _PACKS, {**getattr(model, _PACKS, {}), key: served})
    return getattr(model, _PACKS)[key]


@dataclass(frozen=True)
class _Found:
    """A few rows' log-probabilities over the vocabulary, and the first layer's gradients."""

    logprobs_NV: Tensor
    gradients: Sequence[Tensor]

    def compare(self, true: _Found) -> list[float]:
        """How far these are from others: nats on average, then each gradient by its length."""
        pairs = zip(self.gradients, true.gradients, strict=True)
        gaps = [
            float((one.float() - other.float()).norm()) / max(float(other.norm()), 1e-6)
            for one, other in pairs
        ]
        return [float((self.logprobs_NV - true.logprobs_NV).abs().mean()), *gaps]


def _matches_plain_pass(model: Any, arithmetic: torch.dtype) -> bool:
    """Whether the packed pass has the log-probabilities and gradients of the model's own forward pass; in
    bfloat16 with no more error than that has."""
    training, kind = model.training, next(model.parameters()).device.type
    model.eval()
    try:
        packed, plain = _run_probe(model, _compute_packed), _run_probe(model, _compute_plain)
        if arithmetic is torch.float32:
            gap = float((packed.logprobs_NV - plain.logprobs_NV).abs().max())
            close = all(share <= PROBE_GRADIENT for share in packed.compare(plain)[1:])
            return close and gap <= bound_rounding(plain.logprobs_NV)
        if next(model.parameters()).dtype is not torch.float32:
            return all(gap <= PROBE_COARSE for gap in packed.compare(plain))
        with torch.autocast(kind, enabled=False):
            true, exact = _run_probe(model, _compute_plain), can_pack(model)
        bounds = (PROBE_SHARE * own for own in plain.compare(true))
        return exact and all(gap <= own for gap, own in zip(packed.compare(true), bounds, strict=True))
    finally:
        model.train(training)


def _run_probe(model: Any, compute: Callable[[Any, Sequences], Tensor]) -> _Found:
    size, device = model.get_input_embeddings().weight.shape[0], next(model.parameters()).device
    prompts = [[(7 * place + 3) % size for place in range(length)] for length in (5, 5, 2)]
    rows = [[(11 * place + row) % size for place in range(4 + row)] for row in range(3)]
    weights = [weight for weight in model.model.layers[0].parameters() if weight.requires_grad]
    with torch.enable_grad():
        logprobs_NV = compute(model, Sequences.of(prompts, rows, device)).float().log_softmax(-1)
        gradients = torch.autograd.grad(logprobs_NV.diagonal().sum(), weights) if weights else ()
    return _Found(logprobs_NV.detach(), gradients)


def _compute_packed(model: Any, sequences: Sequences) -> Tensor:
    packing = Packing.of(sequences)
    return model.lm_head(compute_hidden_states(model, packing)[packing.sources_L])


def _compute_plain(model: Any, sequences: Sequences) -> Tensor:
    logits_BSV = model(input_ids=sequences.ids_BS, use_cache=False).logits
    firsts_B, ends_B = sequences.prompt_lengths_B - 1, sequences.prompt_lengths_B + sequences.lengths_B - 1
    places = zip(firsts_B.tolist(), ends_B.tolist(), strict=True)
    return torch.cat([logits_BSV[row, first:end] for row, (first, end) in enumerate(places)])
