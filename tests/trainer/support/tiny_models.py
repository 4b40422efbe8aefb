"""Tiny models with random weights, of architectures that keep their weights in different ways."""

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf

_SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 48, "max_position_embeddings": 128, "bos_token_id": 1, "eos_token_id": 1,
    "pad_token_id": 0,
}  # fmt: skip
_DEEPSEEK: dict[str, Any] = {
    "num_key_value_heads": 4, "moe_intermediate_size": 16, "n_routed_experts": 4, "n_shared_experts": 1,
    "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "first_k_dense_replace": 1, "kv_lora_rank": 16,
    "q_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8,
}  # fmt: skip
_ROUTED: dict[str, Any] = {"head_dim": 8, "num_experts_per_tok": 2}
MODELS: dict[str, Callable[[int], Any]] = {
    "llama": lambda v: hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=v, **_SIZES)),
    "qwen3_moe": lambda v: hf.Qwen3MoeForCausalLM(
        hf.Qwen3MoeConfig(vocab_size=v, **_SIZES, **_ROUTED, moe_intermediate_size=16, num_experts=4)
    ),
    "mixtral": lambda v: hf.MixtralForCausalLM(
        hf.MixtralConfig(vocab_size=v, **_SIZES, **_ROUTED, num_local_experts=4)
    ),
    "gpt_oss": lambda v: hf.GptOssForCausalLM(
        hf.GptOssConfig(
            vocab_size=v, **_SIZES, **_ROUTED, num_local_experts=4, sliding_window=16,
            rope_parameters={"rope_type": "default", "rope_theta": 1e4},
        )
    ),
    "deepseek_v3": lambda v: hf.DeepseekV3ForCausalLM(
        hf.DeepseekV3Config(vocab_size=v, **{**_SIZES, **_DEEPSEEK})
    ),
    "glm4_moe": lambda v: hf.Glm4MoeForCausalLM(
        hf.Glm4MoeConfig(
            vocab_size=v, **_SIZES, **_ROUTED, moe_intermediate_size=16, n_routed_experts=4,
            n_shared_experts=1, n_group=1, topk_group=1, first_k_dense_replace=1,
        )
    ),
    "granite_moe": lambda v: hf.GraniteMoeForCausalLM(
        hf.GraniteMoeConfig(vocab_size=v, **_SIZES, num_local_experts=4, num_experts_per_tok=2)
    ),
    "gpt2": lambda v: hf.GPT2LMHeadModel(
        hf.GPT2Config(
            vocab_size=v, n_embd=32, n_layer=2, n_head=4, n_positions=128, bos_token_id=1, eos_token_id=1
        )
    ),
}  # fmt: skip


def make_tiny(kind: str, vocabulary: int) -> Any:
    """A model of this architecture with random weights, the same at every call, in evaluation mode."""
    torch.manual_seed(0)
    return MODELS[kind](vocabulary).eval()
