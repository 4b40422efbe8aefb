"""Small models with random weights of kinds that decode in different ways."""

from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    Lfm2Config,
    MambaConfig,
    MixtralConfig,
    RecurrentGemmaConfig,
    RwkvConfig,
    SeedOssConfig,
)

SIZES: dict[str, Any] = {
    **{"vocab_size": 103, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256},
    **{"initializer_range": 0.2, "eos_token_id": 1, "pad_token_id": 0, "bos_token_id": None},
}
CONFIGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "gpt2": (GPT2Config, {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}),
    "lfm2": (Lfm2Config, {"layer_types": ["conv", "full_attention"], "block_ff_dim": 48}),
    "mamba": (MambaConfig, {"state_size": 8, "time_step_rank": 4}),
    "mixtral": (MixtralConfig, {"num_local_experts": 4, "router_jitter_noise": 0.2, "sliding_window": None}),
    "recurrent_gemma": (
        RecurrentGemmaConfig,
        {"block_types": ["recurrent", "attention"], "lru_width": 32, "attention_window_size": 64},
    ),
    "rwkv": (RwkvConfig, {"attention_hidden_size": 32}),
    "seed_oss": (SeedOssConfig, {"attention_dropout": 0.2, "residual_dropout": 0.2}),
}
GENERAL = {"vocab_size", "initializer_range", "eos_token_id", "pad_token_id", "bos_token_id"}
NO_POSITIONS = ("mamba", "rwkv")


def make_tiny(kind: str, seed: int = 0, **changes: Any) -> Any:
    """A model of a kind, in evaluation mode, whose next tokens are far from uniform."""
    config, own = CONFIGS[kind]
    left_out = {"gpt2": set(SIZES) - GENERAL, **{k: {"max_position_embeddings"} for k in NO_POSITIONS}}
    sizes = {name: size for name, size in SIZES.items() if name not in left_out.get(kind, ())}
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(config(**{**sizes, **own, **changes})).eval()
