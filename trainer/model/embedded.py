"""The embedded default: a small transformer made from a config and a character-level tokenizer.
Nothing is downloaded."""

from __future__ import annotations

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

PAD, EOS, UNK = "<pad>", "<eos>", "<unk>"
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
CHARACTERS = "\n" + "".join(chr(code) for code in range(32, 127))
MAX_TOKENS = 4096


def make_character_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each printable ASCII character, newline and the four tags;
    any other character is `<unk>`."""
    vocabulary = {token: index for index, token in enumerate((PAD, EOS, UNK, *CHARACTERS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")  # type: ignore[assignment]
    tokenizer.decoder = decoders.Fuse()  # type: ignore[assignment]
    tokenizer.add_tokens([AddedToken(tag, normalized=False, special=False) for tag in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=EOS, unk_token=UNK, model_max_length=MAX_TOKENS
    )


def make_small_transformer(vocabulary: int, eos_id: int, pad_id: int, seed: int) -> Qwen3ForCausalLM:
    """A Qwen3-shaped transformer of 0.39 M parameters, freshly initialised from `seed`, in float32.

    The rotary base of 100 and the initial range of 0.05 suit this size;
    the library's defaults train many times slower.
    """
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=MAX_TOKENS,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
        initializer_range=0.05,
        tie_word_embeddings=True,
        eos_token_id=eos_id,
        pad_token_id=pad_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Qwen3ForCausalLM(config)
