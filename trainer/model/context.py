"""How many positions a model has, and what is left of them for a prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from ...tasks.core.errors import UserError
from .policy import Policy

_NAMES = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "max_target_positions",
    "max_sequence_length",
    "n_ctx",
)  # in configs, by type of model
_SCALED = ("linear", "dynamic", "yarn")  # rotary types whose factor comes on top of the trained length
NO_READERS: Mapping[str, int | None] = {}


def count_positions(model: Any) -> int | None:
    """Tokens of a text that a model was made for; None where its config sets no bound.

    Recurrent layers have none, and an attention window is none. Embeddings of positions that leave room for
    padding (RoBERTa) have so many fewer; a rotary embedding that is stretched
    reaches `factor` times the length that it says it was trained with, where it says so; else the config's
    own number is what the stretched one reaches.
    """
    config = model.config.get_text_config(decoder=True)
    found = [getattr(config, name, None) for name in _NAMES]
    positions = next((count for count in found if isinstance(count, int) and count > 0), None)
    if positions is None:
        return None
    rope = getattr(config, "rope_parameters", None) or {}
    trained = rope.get("original_max_position_embeddings")
    if rope.get("rope_type") in _SCALED and rope.get("factor") and trained:
        return max(positions, int(trained * rope["factor"]))
    for name, module in model.named_modules():
        table = isinstance(module, nn.Embedding) and module.num_embeddings == positions
        if table and "position" in name and module.padding_idx is not None:
            return positions - module.padding_idx - 1
    return positions


def limit_prompts(
    policy: Policy,
    prompt: int,
    new: int,
    say: Callable[[str], None] = lambda _line: None,
    readers: Mapping[str, int | None] = NO_READERS,
) -> int:
    """Tokens that a prompt may have beside `new` new ones: `prompt`, or what the model's positions leave.

    readers: other models that read the same text (a critic, reward models), and their positions.
    Says so where that is less. Raises UserError where not even one is left.
    """
    bounds = {policy.source: count_positions(policy.model), **readers}
    known = {name: count for name, count in bounds.items() if count is not None}
    source = min(known, key=lambda name: known[name], default="")
    positions = known.get(source)
    if positions is None or prompt + new <= positions:
        return prompt
    if new >= positions:
        raise UserError(
            f"{source} has {positions} positions for a prompt and its completion, so --max-new-tokens "
            f"{new} leaves none for the prompt (--max-prompt-tokens {prompt}). Lower --max-new-tokens, or "
            "take a model with a longer context."
        )
    say(
        f"{source} has {positions} positions: beside {new} new tokens (--max-new-tokens) a prompt may "
        f"have {positions - new}, not {prompt} (--max-prompt-tokens)."
    )
    return positions - new


def limit_tokens(policy: Policy, tokens: int) -> int:
    """Tokens that an example may have: `tokens`, or the model's positions where these are fewer."""
    return min(tokens, count_positions(policy.model) or tokens)
