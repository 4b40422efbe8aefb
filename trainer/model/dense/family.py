"""The dense decoder family (Llama, Mistral, Qwen2, Qwen3, Seed-OSS): which models belong to it,
and their weights made fast to use.

Shapes: D hidden, F inner width of the feed-forward, H query heads, K key/value heads, J = H / K queries of a
key head, E head size, L layers, V vocabulary, S positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    LlamaForCausalLM,
    MistralForCausalLM,
    Qwen2ForCausalLM,
    Qwen3ForCausalLM,
    SeedOssForCausalLM,
)

from ..lora import is_foldable, list_plain, weigh

FAMILY = (LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, SeedOssForCausalLM)
PADDING = 48
"""Numbers behind each row of a fused weight.
Rows a multiple of 1 KiB apart would compete for the same cache lines."""
STATIC_ROPE = ("default", "linear", "llama3", "yarn")  # the angles depend on the position alone
_LAYER = {
    "input_layernorm.weight",
    "post_attention_layernorm.weight",
    *(f"mlp.{name}_proj.weight" for name in ("gate", "up", "down")),
    *(f"self_attn.{name}_proj.weight" for name in "qkvo"),
}
_QK_NORM = {"self_attn.q_norm.weight", "self_attn.k_norm.weight"}
_BIASES = {"self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"}


def find_misfit(model: Any) -> str:
    """Why a model is not of the family, as a clause; "" when it is. Anything unknown is a reason."""
    if type(model) not in FAMILY:
        return f"{type(model).__name__} is not one of {', '.join(kind.__name__ for kind in FAMILY)}"
    config = model.config
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    if kinds or (getattr(config, "sliding_window", None) and not hasattr(config, "layer_types")):
        return f"the model attends through a window ({', '.join(sorted(kinds)) or config.sliding_window})"
    if config.hidden_act != "silu":
        return f"its activation is {config.hidden_act}, not silu"
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if rope not in STATIC_ROPE:
        return f"its rotary angles are of type {rope}"
    outer = {name for name, _ in model.named_parameters() if not name.startswith("model.layers.")}
    if outer - {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}:
        return f"it has parameters that the family lacks: {', '.join(sorted(outer))}"
    for layer in model.model.layers:
        names = list_plain(layer).keys()
        if (
            names - _QK_NORM - _BIASES != _LAYER
            or len(names & _QK_NORM) == 1
            or len(names & _BIASES) not in (0, 3)
        ):
            return f"its layers have other parameters than the family's: {', '.join(sorted(names ^ _LAYER))}"
        if reason := _find_odd_module(layer):
            return reason
    return ""


def _find_odd_module(layer: nn.Module) -> str:
    """What a layer holds that is neither the family's nor an adapter which its weight can take up."""
    if any(hasattr(module, "lora_A") and not is_foldable(module) for module in layer.modules()):
        return "its layers carry adapters of another kind than W + scale B A"
    own = [module for name, module in layer.named_modules() if ".lora_" not in name]
    linear = [module for module in own if isinstance(module, nn.Linear)]
    if (
        len(linear) != 7
        or any(type(module) is not nn.Linear for module in linear)
        or any(map(_has_hooks, layer.modules()))
    ):
        return "its layers hold modules or hooks that the family lacks"
    return ""


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


@dataclass(frozen=True)
class Layer:
    """Fused weights of one layer, norm weights multiplied in.

    Stored as (input, output), which is faster for few rows by up to a third (benchmarks/grpo.md).
    qkv_DO: O = K * (J + 2) * E columns; for each key head its queries, its key, its value.  gate_up_D2F:
    gate, then up.
    gain_KJE: scale of the rotated queries and key (attention scale, query and key norms);
    J counts the key too.
    """

    qkv_DO: Tensor
    bias_O: Tensor | None
    gain_KJE: Tensor
    out_HD: Tensor
    gate_up_D2F: Tensor
    down_FD: Tensor

    def fill(self, other: Layer) -> None:
        """The numbers of another layer in the places of this one."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine is not None:
                mine.copy_(theirs)


@dataclass(frozen=True)
class DenseWeights:
    """A model's weights for decoding, in `dtype`. The embedding and, in float32,
    the head are the model's own tensors."""

    layers: list[Layer]
    embedding_VD: Tensor
    head_VD: Tensor
    norm_D: Tensor
    key_heads: int
    queries: int
    head_size: int
    eps: float
    qk_norm: bool
    dtype: torch.dtype

    @classmethod
    @torch.no_grad()
    def of(cls, model: Any, dtype: torch.dtype) -> DenseWeights:
        """Fuse the weights that `model` has now, adapters that are on included."""
        config, attention = model.config, model.model.layers[0].self_attn
        key_heads, size = config.num_key_value_heads, attention.head_dim
        return cls(
            [_fuse_layer(layer, config, dtype) for layer in model.model.layers],
            model.model.embed_tokens.weight.detach(),
            model.lm_head.weight.detach().to(dtype),
            model.model.norm.weight.detach(),
            key_heads,
            config.num_attention_heads // key_heads,
            size,
            config.rms_norm_eps,
            hasattr(attention, "q_norm"),
            dtype,
        )

    @torch.no_grad()
    def refill(self, model: Any, dtype: torch.dtype) -> bool:
        """Fuse the weights that `model` has now into these very tensors, which recorded steps read, a layer
        at a time; False where that can't be: of another model, or in other places."""
        layers = model.model.layers
        own = [(self.embedding_VD, model.model.embed_tokens.weight), (self.norm_D, model.model.norm.weight)]
        if dtype is model.lm_head.weight.dtype:
            own.append((self.head_VD, model.lm_head.weight))
        if dtype is not self.dtype or len(layers) != len(self.layers):
            return False
        if any(mine.data_ptr() != theirs.data_ptr() or mine.shape != theirs.shape for mine, theirs in own):
            return False
        for mine, layer in zip(self.layers, layers, strict=True):
            mine.fill(_fuse_layer(layer, model.config, dtype))
        if self.head_VD.data_ptr() != model.lm_head.weight.data_ptr():
            self.head_VD.copy_(model.lm_head.weight)
        return True


def _fuse_layer(layer: Any, config: Any, dtype: torch.dtype) -> Layer:
    # Products of adapters in the type of the weights: in bfloat16 the sum would round most of an adapter
    # away.
    with torch.autocast(layer.mlp.down_proj.weight.device.type, enabled=False):
        return _put_together(layer, config, dtype)


def _put_together(layer: Any, config: Any, dtype: torch.dtype) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    heads, size = config.num_key_value_heads, attention.head_dim

    def group_by_head(tensors: list[Tensor]) -> Tensor:
        parts = [tensor.detach().view(heads, -1, size, *tensor.shape[1:]) for tensor in tensors]
        return torch.cat(parts, 1).flatten(0, 2)

    projections = [attention.q_proj, attention.k_proj, attention.v_proj]
    bias = [p.bias for p in projections if p.bias is not None]
    q_gain, k_gain = torch.ones(2, size, device=mlp.down_proj.weight.device)
    if hasattr(attention, "q_norm"):
        q_gain = attention.q_norm.weight.detach().float()
        k_gain = attention.k_norm.weight.detach().float()
    queries = config.num_attention_heads // heads
    gain_JE = torch.cat([(q_gain * attention.scaling).expand(queries, size), k_gain[None]])

    def transpose(*weights: Tensor, gain_D: Tensor | None = None) -> Tensor:
        """Weights side by side as (input, output), their inputs scaled."""
        inputs, outputs = weights[0].shape[1], sum(map(len, weights))
        table = torch.empty(inputs, outputs + PADDING, dtype=dtype, device=weights[0].device)[:, :outputs]
        for part, weight in zip(table.split([len(weight) for weight in weights], 1), weights, strict=True):
            # Transposing in one piece and then copying is the faster way.
            whole = weight.detach().t().contiguous()
            part.copy_(whole) if gain_D is None else torch.mul(whole, gain_D.detach()[:, None], out=part)
        return table

    return Layer(
        transpose(group_by_head([weigh(p) for p in projections]), gain_D=layer.input_layernorm.weight),
        group_by_head(bias).to(dtype) if bias else None,
        gain_JE.expand(heads, -1, -1).contiguous(),
        transpose(weigh(attention.o_proj)),
        transpose(weigh(mlp.gate_proj), weigh(mlp.up_proj), gain_D=layer.post_attention_layernorm.weight),
        transpose(weigh(mlp.down_proj)),
    )


def divide_by_rms(x: Tensor, eps: float, out: Tensor | None = None) -> Tensor:
    """RMSNorm without its weight."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32).mul_(x.shape[-1] ** -0.5)
    return torch.div(x, torch.hypot(length, length.new_full((), math.sqrt(eps))), out=out)
