"""Load a policy, choose its device, its arithmetic and the number of threads."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from ...tasks.core.errors import UserError
from ...tasks.core.hub import go_offline
from ..config.shared import ModelConfig
from . import lora
from .dropout import disable_dropout
from .embedded import make_character_tokenizer, make_small_transformer
from .machine import keep_freed_memory, pick_device
from .model_files import save_weights
from .pretrained import explain_failures
from .source import check_source, must_use_cache
from .tokens import count_logits

ALIGNMENT = 64  # bytes, of the addresses that torch gives on a CPU


class Trains(Protocol):
    """The settings of a command that trains a model."""

    @property
    def model(self) -> ModelConfig: ...

    def but(self, **settings: Any) -> Self: ...


Config = TypeVar("Config", bound=Trains)


@dataclass(frozen=True)
class Policy:
    """A causal language model with its tokenizer.

    Weights are float32, or bfloat16 where that was asked for (`weights`); `dtype` is what matrix products are
    done in. The model's dropout is off from here
    on (`disable_dropout`): what is trained is the policy that was sampled from.

    adapted: False runs a model that has LoRA adapters without them, as it was before training.

    >>> import palaestra as pal
    >>> policy: pal.Policy = pal.load_policy("embedded", "cpu")
    >>> policy.source, policy.device.type, policy.parameters > 100_000
    ('embedded', 'cpu', True)
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype
    source: str
    adapted: bool = True

    def __post_init__(self) -> None:
        disable_dropout(self.model)

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def weights(self) -> torch.dtype:
        """The type that the model's weights are held in; adapters are float32 in any case."""
        return self.model.get_input_embeddings().weight.dtype

    @property
    def facts(self) -> dict[str, Any]:
        """Which model it is, for the record of a run."""
        return {"source": self.source, "parameters": self.parameters}

    @property
    def end_ids(self) -> list[int]:
        """Every token id that ends a completion: the tokenizer's end token and those of the model's
        generation config, ascending.

        Those that the model has no logit of are left out: it never draws them.
        """
        settings = self.model.generation_config
        configured = settings.eos_token_id if settings is not None else None
        ids = [self.tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])]
        size = count_logits(self.model)
        return sorted({index for index in ids if index is not None and 0 <= index < size})

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The context in which the model is run, for sampling and for the update alike."""
        arithmetic = torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not torch.float32)
        if self.adapted:
            return arithmetic
        both = contextlib.ExitStack()
        both.enter_context(lora.disable_adapters(self.model))
        both.enter_context(arithmetic)
        return both

    def save(self, folder: Path, dtype: str = "auto") -> None:
        """Write what `AutoModelForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained` load.

        Adapters are merged; `lora_saving.save_adapters` writes them alone.  dtype: of the weights that are
        written, "auto" for that which they are held in.
        """
        merged = lora.merge_adapters(self.model) if lora.has_adapters(self.model) else None
        save_weights(self.model, folder, dtype, merged)
        self.tokenizer.save_pretrained(folder)


def load_policy(
    source: str,
    device: str = "auto",
    dtype: str = "auto",
    seed: int = 0,
    *,
    weights: str = "float32",
    trust_remote_code: bool = False,
) -> Policy:
    """The model and tokenizer of a hub id or a folder, or a fresh embedded one.

    weights: the type that they are held in, float32 or bfloat16.  trust_remote_code: run the Python code that
    the model brings along, where it needs some.

    Raises UserError when there is none, when it needs its own code and may not run it, and for weights in
    bfloat16 with products in float32.

    >>> import palaestra as pal
    >>> policy = pal.load_policy("embedded", seed=1)
    >>> policy.parameters
    390784
    """
    chosen, arithmetic = pick_device(device, dtype, weights)
    held = getattr(torch, weights)
    if chosen.type == "cpu":
        keep_freed_memory()
    transformers_logging.disable_progress_bar()
    if source == "embedded":
        tokenizer = make_character_tokenizer()
        model = make_small_transformer(
            len(tokenizer),
            _check_token_id(tokenizer.eos_token_id),
            _check_token_id(tokenizer.pad_token_id),
            seed,
        )
        hold_in(model, held)
    else:
        loaded = _load_pretrained(source, held, trust_remote_code)
        tokenizer, model = loaded.tokenizer, loaded.model
    align_weights(model)
    placed: Any = model
    return Policy(placed.to(chosen), tokenizer, chosen, arithmetic, source)


@torch.no_grad()
def align_weights(model: Any) -> None:
    """Move the weights that a file's layout has put between the addresses of torch's own.

    Products read them in another order there, and round otherwise: a run that is resumed from a file would
    leave the one that went on by a last bit.
    """
    for weight in model.parameters():
        if weight.data_ptr() % ALIGNMENT:
            weight.data = weight.data.clone()


def load_policy_of(config: ModelConfig, seed: int = 0, source: str = "") -> Policy:
    """The policy that the settings name, as `load_policy` has it.

    source: a folder to read in place of the settings' own source.
    """
    return load_policy(
        source or config.source,
        config.device,
        config.dtype,
        seed,
        weights=config.weights,
        trust_remote_code=config.trust_remote_code,
    )


def take_weights(config: Config, policy: Policy | None) -> Config:
    """The settings of a command that trains, with the type that the weights of a policy in memory are held
    in: a run that goes on loads them so. policy: None for one that is still to be loaded.

    Raises UserError where the settings ask for bfloat16 and the policy's weights are of another type.
    """
    if policy is None:
        return config
    held = str(policy.weights).removeprefix("torch.")
    asked = config.model.weights
    if asked == "bfloat16" != held:
        raise UserError(
            f"The weights of this policy are {held}, and weights=bfloat16 was asked for: load it by "
            "load_policy(..., weights='bfloat16'), or leave the setting out."
        )
    return config.but(weights=held) if held in ("float32", "bfloat16") and held != asked else config


def hold_in(model: Any, dtype: torch.dtype) -> None:
    """Hold the weights of a model in a type. Rotary angles and the like are no weights, and stay as they
    are."""
    for parameter in model.parameters():
        if parameter.dtype is not dtype:
            parameter.data = parameter.data.to(dtype)


def _check_token_id(token: Any) -> int:
    assert isinstance(token, int)
    return token


@dataclass(frozen=True, eq=False)
class _Pretrained:
    """What a folder or the hub has under a name."""

    tokenizer: PreTrainedTokenizerBase
    model: Any


def load_tokenizer(source: str, *, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a model by itself: of a hub id, of a folder, or the embedded one.

    Raises UserError where there is none, and for one without an end token.
    """
    if source == "embedded":
        return make_character_tokenizer()
    check_source(source)
    if must_use_cache(source):
        go_offline()
    with explain_failures(source, "a tokenizer", trust_remote_code):
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
    if tokenizer is None or tokenizer.eos_token_id is None:
        raise UserError(
            f"The tokenizer of {source} has no end token (eos_token); set one in its tokenizer_config.json."
        )
    return tokenizer


def read_end_ids(source: str) -> list[int]:
    """Token ids that end a model's completions by its generation config, which alone is read; [] for a model
    without one."""
    if source == "embedded":
        return []
    try:
        configured = GenerationConfig.from_pretrained(source).eos_token_id
    except (OSError, ValueError):
        return []
    return (
        list(configured) if isinstance(configured, list) else [configured] if configured is not None else []
    )


def _load_pretrained(source: str, dtype: torch.dtype, trust_remote_code: bool) -> _Pretrained:
    tokenizer = load_tokenizer(source, trust_remote_code=trust_remote_code)
    with explain_failures(source, "a causal language model", trust_remote_code):
        model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, trust_remote_code=trust_remote_code)
    size = count_logits(model)
    if not 0 <= tokenizer.eos_token_id < size:
        raise UserError(
            f"{source}: the tokenizer's end token {tokenizer.eos_token} is number {tokenizer.eos_token_id}, "
            f"and the model has {size} tokens, so it could never end. Give it the tokenizer it was trained "
            "with, name one of its tokens as eos_token in tokenizer_config.json, or resize its embeddings."
        )
    return _Pretrained(tokenizer, model)


def enable_gradient_checkpointing(model: Any, on: bool = True) -> None:
    """Recompute each layer in the backward pass, not keep its activations: less memory, a third more time.

    Raises UserError for a model that can't.
    """
    if on and not getattr(model, "supports_gradient_checkpointing", False):
        raise UserError(
            f"A model of type {model.config.model_type} ({type(model).__name__}) can't recompute its layers: "
            "leave out --gradient-checkpointing."
        )
    # The names of before transformers 5.20 are deprecated since.
    does = "enable" if on else "disable"
    switch = getattr(model, f"activation_checkpointing_{does}", None) or getattr(
        model, f"gradient_checkpointing_{does}"
    )
    switch()
