"""Every family that transformers' AutoModelForCausalLM offers, as a tiny config with random weights.

`SIZES` are set wherever a family's config has the field; an entry of `ARCHITECTURES` adds what is its own. A
hybrid has each of its kinds of layer, a sliding window is shorter than the sequences of the sweep, and every
dropout, layer drop and router noise that a config knows is on, unless its name says otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig

VOCABULARY = 104
"""One more than the tokens of the character tokenizer: a head may be wider than its tokenizer."""
POSITIONS = 66
END, PAD, BEGIN = 1, 0, 2

DROPOUTS = (
    *("attention_dropout", "hidden_dropout", "dropout", "activation_dropout", "dropout_p"),
    *("resid_pdrop", "embd_pdrop", "attn_pdrop", "emb_pdrop", "resid_dropout", "embed_dropout"),
    *("residual_dropout", "embedding_dropout", "mlp_dropout", "layerdrop", "decoder_layerdrop"),
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "local_attention_probs_dropout_prob"),
    *("lsh_attention_probs_dropout_prob", "router_jitter_noise", "input_jitter_noise"),
)
"""What is random while a model trains."""
SIZES: dict[str, Any] = {
    **dict.fromkeys(DROPOUTS, 0.1),
    **{"vocab_size": VOCABULARY, "eos_token_id": END, "pad_token_id": PAD, "bos_token_id": BEGIN},
    **dict.fromkeys(("decoder_start_token_id",), BEGIN),
    **dict.fromkeys(("forced_eos_token_id",), None),
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "emb_dim"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "decoder_ffn_dim", "encoder_ffn_dim", "dff"), 48),
    **dict.fromkeys(("d_inner", "dim_ff", "feed_forward_size", "ffn_hidden_size"), 48),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 24),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("decoder_layers", "encoder_layers", "num_decoder_layers", "num_encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("num_decoder_attention_heads", "num_encoder_attention_heads"), 4),
    **{"num_key_value_heads": 2, "head_dim": 8},
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx"), POSITIONS),
    **dict.fromkeys(("context_length", "max_target_positions", "model_max_length"), POSITIONS),
    **{"sliding_window": 8, "initializer_range": 0.2, "init_std": 0.2},
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k"), 2),
    **dict.fromkeys(("n_shared_experts", "num_shared_experts", "moe_num_shared_experts"), 1),
    **dict.fromkeys(("n_group", "topk_group", "num_expert_group", "first_k_dense_replace"), 1),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "index_head_dim"), 16),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"), 8),
    **{"index_topk": 4, "index_n_heads": 2, "time_step_rank": 4},
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "linear_head_dim"), 8),
    **{"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_num_heads": 4},
    **{"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1, "mamba_dt_rank": 4},
    **dict.fromkeys(("mamba_chunk_size", "chunk_size", "state_size", "ssm_state_size"), 8),
    **{"use_mamba_kernels": False, "is_decoder": True, "image_size": 8, "patch_size": 4},
}
"""Of a field that the configs of several families share: the value here."""

SLIDING = ["sliding_attention", "full_attention"]
LINEAR = ["linear_attention", "full_attention"]
SLIDE = {"layer_types": SLIDING}
MLA = {"num_key_value_heads": 4, "head_dim": 8}
GRANITE = {"embedding_multiplier": 2.0, "logits_scaling": 0.5, "residual_multiplier": 0.7}
QWEN4 = {
    **{"layer_types": ["linear_attention", "indexed_attention"], "hc_lowrank": 8, "hc_count": 2},
    **{"indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 8},
    **{"indexer_compress_ratio": 2, "ple_layer_ids": [1], "ple_embed_dim": 32, "heads_per_ngram": 2},
    **{"ngram_vocab_size_base": 50, "make_ngram_vocab_size_divisible_by": 2, "split_ngram_parts": 1},
}
TEXT: dict[str, Any] = {"text_config": {}}
VISION: dict[str, Any] = {"depth": 1, "out_hidden_size": 32, "num_position_embeddings": 16}

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "afmoe": {**SLIDE, "num_dense_layers": 1},
    "apertus": {},
    "arcee": {},
    "aria_text": {},
    "axk1": MLA,
    "axk2": {**MLA, "gated_norm_rank": 4},
    "bailing_hybrid": {
        **MLA,
        **{"layer_types": LINEAR, "mlp_layer_types": ["dense", "sparse"], "num_nextn_predict_layers": 0},
    },
    "bamba": {"attn_layer_indices": [1]},
    "bart": {},
    "beam": {
        **SLIDE,
        **{"mlp_layer_types": ["dense", "sparse"], "n_group": 2, "topk_group": 1, "num_experts": 8},
    },
    "bert": {},
    "bert, reads both ways": {"is_decoder": False},
    "bert-generation": {},
    "big_bird": {"attention_type": "original_full"},
    "big_bird, block sparse": {"attention_type": "block_sparse", "block_size": 4, "num_random_blocks": 1},
    "bigbird_pegasus": {"attention_type": "original_full"},
    "biogpt": {},
    "bitnet": {},
    "blenderbot": {},
    "blenderbot-small": {},
    "bloom": {},
    "blt": {
        "encoder_hash_byte_group_vocab": 50,
        "encoder_hash_byte_group_size": [3, 4],
        "patcher_config": {},
        "encoder_config": {"hidden_size_global": 32},
        "decoder_config": {"hidden_size_global": 32},
        "global_config": {},
    },
    "camembert": {},
    "codegen": {"rotary_dim": 4, "n_head": 4},
    "cohere": {"use_qk_norm": True, "logit_scale": 0.5},
    "cohere2": {**SLIDE, "logit_scale": 0.5},
    "cohere2_moe": {**SLIDE, "logit_scale": 0.5},
    "cohere_compass_text": {
        **{**SLIDE, "logit_scale": 0.5},
        "rope_parameters": {kind: {"rope_type": "default", "rope_theta": 1e4} for kind in SLIDING},
    },
    "cpmant": {"dim_head": 8, "prompt_length": 4, "prompt_types": 4, "segment_types": 4, "init_std": 0.2},
    "ctrl": {},
    "cwm": SLIDE,
    "data2vec-text": {},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 1.0, "rope_theta": 1e4},
        "ffn_config": {"hidden_size": 32, "ffn_hidden_size": 24, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "deepseek_v2": {**MLA, "n_group": None, "topk_group": None},
    "deepseek_v3": {**MLA, "num_nextn_predict_layers": 0},
    "deepseek_v32": MLA,
    "deepseek_v4": {
        "num_hidden_layers": 3,
        "num_key_value_heads": 1,
        "layer_types": ["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"],
        "mlp_layer_types": ["hash_moe", "moe", "moe"],
        "compress_rates": {"compressed_sparse_attention": 4, "heavily_compressed_attention": 8},
        **{"head_dim": 16, "o_groups": 2, "o_lora_rank": 8, "hc_mult": 2, "num_nextn_predict_layers": 0},
        "partial_rotary_factor": 0.5,
    },
    "diffllama": {"attention_dropout": 0.0},
    "doge": {"keep_window_size": 8},
    "doge, experts": {"keep_window_size": 8, "is_moe": True, "num_experts": 16},
    "dots1": SLIDE,
    "dots3_note": {
        "text_config": {
            **MLA,
            **{"head_dim": 16, "layer_types": ["indexed_attention", "sliding_attention"]},
            "mlp_layer_types": ["dense", "sparse"],
            "per_layer_config": {},
            "shared_experts_intermediate_size": 24,
        },
        "vision_config": {"adapter_in_dim": 32, "adapter_out_dim": 32, "per_layer_config": {}},
        "audio_config": {"downsample_hidden_size": 8, "adapter_input_size": 32, "adapter_out_dim": 32},
    },
    "dots3_note_text": {
        **MLA,
        **{"head_dim": 16, "layer_types": ["indexed_attention", "sliding_attention"]},
        "mlp_layer_types": ["dense", "sparse"],
        "per_layer_config": {},
        "shared_experts_intermediate_size": 24,
    },
    "electra": {"embedding_size": 16},
    "emu3": TEXT,
    "ernie": {},
    "ernie4_5": {},
    "ernie4_5_moe": {"moe_layer_start_index": 1, "moe_layer_end_index": 1},
    "exaone4": SLIDE,
    "exaone_moe": {**SLIDE, "mlp_layer_types": ["dense", "sparse"]},
    "falcon": {"num_kv_heads": 4, "ffn_hidden_size": 64},
    "falcon, alibi": {"num_kv_heads": 4, "ffn_hidden_size": 64, "alibi": True, "multi_query": False},
    "falcon, new decoder": {"num_kv_heads": 2, "ffn_hidden_size": 64, "new_decoder_architecture": True},
    "falcon_h1": {"mamba_d_ssm": 64, "key_multiplier": 0.5, "lm_head_multiplier": 0.5},
    "falcon_mamba": {},
    "flex_olmo": {},
    "flint": {**SLIDE, "mlp_only_layers": [0]},
    "fuyu": {"text_config": {"model_type": "persimmon"}},
    "gemma": {},
    "gemma2": SLIDE,
    "gemma2, full attention": {"layer_types": ["full_attention"] * 2},
    "gemma3": {
        "text_config": SLIDE,
        "vision_config": {"model_type": "siglip_vision_model"},
        "mm_tokens_per_image": 4,
    },
    "gemma3_text": SLIDE,
    "gemma3n_text": {
        **{"num_hidden_layers": 4, "layer_types": SLIDING * 2, "num_kv_shared_layers": 2},
        **{"intermediate_size": [48] * 4, "activation_sparsity_pattern": [0.5, 0.0, 0.0, 0.0]},
        **{"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": VOCABULARY, "laurel_rank": 4},
    },
    "gemma4": {
        "text_config": {
            **{**SLIDE, "per_layer_config": {"1": {"head_dim": 16}}},
            **{"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": VOCABULARY},
        },
    },
    "gemma4_text": {
        **{"num_hidden_layers": 4, "layer_types": SLIDING * 2, "num_kv_shared_layers": 2},
        **{"per_layer_config": {"1": {"head_dim": 16}, "3": {"head_dim": 16}}},
        **{"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": VOCABULARY},
        **{"enable_moe_block": True, "top_k_experts": 2},
    },
    "gemma4_unified": {"text_config": {**SLIDE, "per_layer_config": {"1": {"head_dim": 16}}}},
    "gemma4_unified_text": {**SLIDE, "per_layer_config": {"1": {"head_dim": 16}}},
    "git": {"vision_config": {}},
    "glm": {},
    "glm4": {},
    "glm4_moe": {"use_qk_norm": True, "num_nextn_predict_layers": 0},
    "glm4_moe_lite": {**MLA, "mlp_layer_types": ["dense", "sparse"]},
    "glm_moe_dsa": {**MLA, "mlp_layer_types": ["dense", "sparse"], "indexer_types": ["full", "shared"]},
    "got_ocr2": {"text_config": {"model_type": "qwen2"}, "vision_config": {}},
    "gpt-sw3": {},
    "gpt2": {},
    "gpt2, scaled by layer": {"scale_attn_by_inverse_layer_idx": True, "tie_word_embeddings": False},
    "gpt_bigcode": {},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "gpt_neox": {
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}
    },
    "gpt_neox_japanese": {},
    "gpt_oss": SLIDE,
    "gptj": {"rotary_dim": 4},
    "granite": GRANITE,
    "granite_swa": {**GRANITE, **SLIDE, "layer_rope_theta": [1e4, 1e3]},
    "granitemoe": GRANITE,
    "granitemoe_swa": {**GRANITE, **SLIDE, "layer_rope_theta": [1e4, 1e3], "shared_intermediate_size": 24},
    "granitemoehybrid": {
        **{**GRANITE, "layer_types": LINEAR},
        **{"shared_intermediate_size": 24, "position_embedding_type": "rope"},
    },
    "granitemoeshared": {**GRANITE, "shared_intermediate_size": 24},
    "helium": {},
    "hrm_text": {"num_layers_per_stack": 1, "num_hidden_layers": 8, "L_cycles": 2, "embedding_scale": 2.0},
    "hunyuan_v1_dense": {},
    "hunyuan_v1_moe": {},
    "hy_v3": {},
    "hy_v4": {
        **{**MLA, "mlp_layer_types": ["dense", "sparse"], "indexer_types": ["full", "shared"]},
        **{"layer_types": ["indexed_attention"] * 2, "hc_mult": 2},
    },
    "hyperclovax": {**GRANITE, "attention_multiplier": 0.3},
    "inkling2_text": {
        **{"layer_types": ["hybrid_sliding", "hybrid"], "sliding_window_size": 8, "unpadded_vocab_size": 103},
        **{"swa_num_attention_heads": 4, "swa_num_key_value_heads": 2, "swa_head_dim": 8, "d_rel": 4},
        **{"rel_extent": 64, "log_scaling_n_floor": 8, "n_layers_per_attn_res_block": 1},
    },
    "inkling_text": {
        **{"layer_types": ["hybrid_sliding", "hybrid"], "sliding_window_size": 8},
        **{"swa_num_attention_heads": 4, "swa_num_key_value_heads": 2, "swa_head_dim": 8, "d_rel": 4},
        **{"rel_extent": 64, "log_scaling_n_floor": 8, "logits_mup_width_multiplier": 1.0},
        **{"mlp_layer_types": ["dense", "sparse"]},
    },
    "internlm3": {},
    "iquestcoder": {},
    "jais2": {},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "jetmoe": {"kv_channels": 8},
    "kimi_linear": {**MLA, "layer_types": LINEAR, "mlp_layer_types": ["dense", "sparse"]},
    "kolibri1": SLIDE,
    "laguna": {**SLIDE, "mlp_layer_types": ["dense", "sparse"], "num_attention_heads_per_layer": [4, 2]},
    "lfm2": {"layer_types": ["conv", "full_attention"], "block_multiple_of": 8},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "lfm3": {"layer_types": ["conv", *SLIDING], "num_hidden_layers": 3},
    "llama": {},
    "llama, no dropout": {"num_key_value_heads": 4, "tie_word_embeddings": True, "attention_dropout": 0.0},
    "llama, biases": {"attention_bias": True, "mlp_bias": True},
    "llama4": {
        "text_config": {
            **{"layer_types": ["chunked_attention", "full_attention"], "attention_chunk_size": 8},
            **{"no_rope_layers": [1, 0], "intermediate_size_mlp": 48, "moe_layers": [1]},
        },
        "vision_config": {},
    },
    "llama4_text": {
        **{"layer_types": ["chunked_attention", "full_attention"], "attention_chunk_size": 8},
        **{"no_rope_layers": [1, 0], "intermediate_size_mlp": 48, "moe_layers": [1]},
    },
    "longcat_flash": {**MLA, "expert_ffn_hidden_size": 24, "zero_expert_num": 2},
    "mamba": {},
    "mamba2": {"num_heads": 8, "n_groups": 1},
    "marian": {"decoder_vocab_size": VOCABULARY},
    "mbart": {},
    "megatron-bert": {},
    "mellum": {**SLIDE, "mlp_layer_types": ["dense", "sparse"]},
    "mimo_v2_flash": {**SLIDE, "mlp_layer_types": ["dense", "sparse"]},
    "minicpm3": {**MLA, "scale_emb": 2, "dim_model_base": 16},
    "minimax": {"layer_types": LINEAR, "block_size": 8},
    "minimax_m2": {},
    "minimax_m3_vl_text": {
        **{"dense_intermediate_size": 48, "shared_intermediate_size": 24, "rotary_dim": 4},
        **{"mlp_layer_types": ["dense", "sparse"], "index_block_size": 4, "index_topk_blocks": 2},
    },
    "ministral": SLIDE,
    "ministral3": {},
    "mistral": {},
    "mistral, no window, no dropout": {"sliding_window": None, "attention_dropout": 0.0},
    "mixtral": {},
    "mllama": {"text_config": {"cross_attention_layers": [1]}, "vision_config": {}},
    "modernbert-decoder": {**SLIDE, "local_attention": 16},
    "moshi": {},
    "moss_transcribe_diarize": {
        "text_config": {"model_type": "qwen3"},
        "audio_config": {"max_source_positions": 16, "num_mel_bins": 8},
    },
    "mpt": {"attn_config": {"alibi": True, "attn_pdrop": 0}},
    "mvp": {},
    "nanochat": {},
    "nemotron": {},
    "nemotron_h": {
        "layers_block_type": ["linear_attention", "moe", "full_attention", "mlp"],
        **{"mamba_num_heads": 8, "mamba_head_dim": 8, "n_groups": 1, "num_hidden_layers": 4},
        **{"moe_shared_expert_intermediate_size": 24},
    },
    "olmo": {"clip_qkv": 1.0},
    "olmo2": {},
    "olmo3": SLIDE,
    "olmo_hybrid": {"layer_types": LINEAR, "linear_num_value_heads": 2},
    "olmoe": {},
    "openai-gpt": {},
    "opt": {"word_embed_proj_dim": 16},
    "opt, norm after": {"do_layer_norm_before": False},
    "pegasus": {},
    "persimmon": {},
    "phi": {"qk_layernorm": True},
    "phi3": {},
    "phi3, no window": {"sliding_window": None},
    "phi4_multimodal": {
        "vision_config": {"crop_size": 8},
        "audio_config": {
            **{"num_blocks": 1, "ext_pw_out_channel": 32, "depthwise_separable_out_channel": 32},
            **{"input_size": 16, "nemo_conv_channels": 8, "bias_max_distance": 8},
        },
    },
    "phimoe": {},
    "plbart": {},
    "prophetnet": {"num_buckets": 8, "relative_max_distance": 16, "add_cross_attention": False},
    "qwen2": {"use_sliding_window": True, **SLIDE},
    "qwen2, no window, no dropout": {"attention_dropout": 0.0},
    "qwen2_moe": {"decoder_sparse_step": 2},
    "qwen3": {},
    "qwen3, no dropout": {"attention_dropout": 0.0},
    "qwen3, window": {"use_sliding_window": True, **SLIDE},
    "qwen3_5": {"text_config": {"layer_types": LINEAR}, "vision_config": VISION},
    "qwen3_5_moe": {"text_config": {"layer_types": LINEAR}, "vision_config": VISION},
    "qwen3_5_moe_text": {"layer_types": LINEAR},
    "qwen3_5_text": {"layer_types": LINEAR},
    "qwen3_moe": {},
    "qwen3_next": {"layer_types": LINEAR},
    "qwen4_exp": {"text_config": QWEN4, "vision_config": VISION},
    "qwen4_exp_text": QWEN4,
    "recurrent_gemma": {
        **{"block_types": ["recurrent", "attention"], "lru_width": 32, "attention_window_size": 8},
        **{"w_init_variance_scale": 1.0},
    },
    "reformer": {
        **{"attn_layers": ["local", "lsh"], "axial_pos_shape": [6, 11], "axial_pos_embds_dim": [16, 16]},
        **{"attention_head_size": 8, "local_attn_chunk_length": 8, "lsh_attn_chunk_length": 8},
        **{"num_buckets": 2, "hash_seed": 0},
    },
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 24},
    "roberta": {},
    "roberta, reads both ways": {"is_decoder": False},
    "roberta-prelayernorm": {},
    "roc_bert": {
        **{"pronunciation_embed_dim": 8, "pronunciation_vocab_size": VOCABULARY},
        **{"shape_embed_dim": 8, "shape_vocab_size": VOCABULARY},
    },
    "roformer": {"embedding_size": 16},
    "rwkv": {"attention_hidden_size": 32},
    "seed_oss": {},
    "smollm3": {**SLIDE, "use_sliding_window": True, "no_rope_layers": [1, 0]},
    "solar_open": {},
    "stablelm": {"use_qkv_bias": True, "qk_layernorm": True},
    "starcoder2": {},
    "trocr": {},
    "vaultgemma": SLIDE,
    "whisper": {},
    "xglm": {},
    "xlm": {"causal": True, "embed_init_std": 0.3},
    "xlm, reads both ways": {"embed_init_std": 0.3},
    "xlm-roberta": {},
    "xlm-roberta-xl": {},
    "xlnet": {"d_head": 8},
    "xlstm": {
        **{"chunk_size": 16, "num_blocks": 2, "hidden_size": 128, "embedding_dim": 128},
        "ffn_round_up_to_multiple_of": 8,
    },
    "xmod": {"default_language": "en_XX"},
    "youtu": MLA,
    "zamba": {
        **{"layers_block_type": ["linear_attention", "hybrid"] * 2, "attention_hidden_size": 64},
        **{"attention_head_dim": 16, "num_key_value_heads": 4, "n_mamba_heads": 2, "num_hidden_layers": 4},
    },
    "zamba2": {
        **{"layers_block_type": ["linear_attention", "hybrid"] * 2, "num_hidden_layers": 4},
        **{"n_mamba_heads": 8, "num_key_value_heads": 4, "adapter_rank": 4, "use_mem_rope": True},
    },
    "zaya": {"num_experts_per_tok": 1, "router_hidden_size": 16},
}
"""model_type, and after a comma which kind of it -> the settings that are its own."""

UNBUILT = {
    "gemma3n": "its vision tower needs the package timm; gemma3n_text is its decoder",
    "gemma4_assistant": "drafts for another model from that model's hidden states",
    "gemma4_unified_assistant": "drafts for another model from that model's hidden states",
    "musicgen": "predicts several codebooks of audio at once, not text",
    "musicgen_melody": "predicts several codebooks of audio at once, not text",
}
"""model_type -> why there is no config of it here."""

UNCACHED = {"blt": "its pass with a cache asks its config for num_hidden_layers, which that does not have"}
"""model_type -> why transformers itself can't generate with it."""


def fill(kind: type[PreTrainedConfig], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a config class: `SIZES` where it has the field, then its own; of its parts likewise."""
    known = {field.name for field in dataclasses.fields(kind)}
    filled = {name: value for name, value in SIZES.items() if name in known} | dict(settings)
    for name, part in (kind.sub_configs or {}).items():
        if isinstance(filled.get(name), dict):
            inner = CONFIG_MAPPING[filled[name]["model_type"]] if "model_type" in filled[name] else part
            filled[name] = fill(inner, filled[name])
    return filled


def make_config(family: str) -> PreTrainedConfig:
    """The tiny config of a family, or of one of its kinds."""
    kind = CONFIG_MAPPING[family.partition(",")[0]]
    return kind(**fill(kind, ARCHITECTURES[family]))


def make_model(family: str, seed: int = 0) -> Any:
    """A model of a family in float32, ready to be run: nothing in it is 0, and its logits differ by nats."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(make_config(family)).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim < 2 or not parameter.any():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model
