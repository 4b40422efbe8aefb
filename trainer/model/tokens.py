"""The tokens of a model: how many it can draw, and which stand for text."""

from __future__ import annotations

from typing import Any


def count_logits(model: Any) -> int:
    """Tokens that a model can draw; it may have embeddings of more (Llama 3.2 Vision) or of fewer."""
    head = model.get_output_embeddings()
    return len((model.get_input_embeddings() if head is None else head).weight)


def list_plain_tokens(model: Any) -> list[int]:
    """Token ids that have no part of their own in a model's config (end, padding, image, ...)."""
    config = model.config.to_dict()
    special = {
        index
        for settings in (config, *(part for part in config.values() if isinstance(part, dict)))
        for name, value in settings.items()
        if str(name).endswith(("token_id", "token_index"))
        for index in (value if isinstance(value, list) else [value])
    }
    size = min(len(model.get_input_embeddings().weight), count_logits(model))
    return [index for index in range(min(size, 4096)) if index not in special] or list(range(size))
