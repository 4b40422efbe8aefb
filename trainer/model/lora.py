"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv:2106.09685), by PEFT: W + scale * B A,
of which only A and B are trained.

They are injected into the model's linear layers, so the model keeps its class, and with the adapters off it
is the model it began as: the reference of a KL penalty needs no second copy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ...tasks.core.errors import UserError
from ...tasks.core.seeds import digest

ALPHA_PER_RANK = 2.0  # scale of B A: the usual alpha of twice the rank
RATE = 10.0
"""The learning rate that suits adapters, in that of all weights (Schulman et al. 2025,
"LoRA Without Regret")."""


def add_adapters(model: Any, rank: int, seed: int) -> None:
    """Adapters of this rank on every linear layer but the head; nothing else is trained from here on.

    They begin as nothing: A is random by the seed, B is 0.

    Raises UserError where PEFT is not installed or knows none of the model's layers.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as failure:
        raise UserError("--lora-rank needs PEFT: pip install 'palaestra[peft]'.") from failure
    head = model.get_output_embeddings()
    layers = {
        name: module
        for name, module in model.named_modules()
        if (isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D") and module is not head
    }
    if not layers:
        raise UserError(
            f"{type(model).__name__} has no linear layer that an adapter could be put on; leave --lora-rank "
            "away."
        )
    # GPT-2 stores its weights as (input, output).
    transposed = any(type(module).__name__ == "Conv1D" for module in layers.values())
    settings = LoraConfig(
        r=rank,
        lora_alpha=int(ALPHA_PER_RANK * rank),
        lora_dropout=0.0,
        target_modules=list(layers),
        fan_in_fan_out=transposed,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(digest("lora", seed) >> 1)
        inject_adapter_in_model(settings, model)


def has_adapters(model: Any) -> bool:
    return any(name.endswith(".lora_A") for name, _ in model.named_modules())


@contextlib.contextmanager
def disable_adapters(model: Any) -> Iterator[None]:
    """The model as it was before adapters were added; for a forward pass without gradient.

    Inside of itself it does nothing.
    """
    adapted = [module for module in model.modules() if hasattr(module, "lora_A")]
    layers = [layer for layer in adapted if hasattr(layer, "enable_adapters") and not layer.disable_adapters]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
        for parameter in trained:  # PEFT freezes what it turns off
            parameter.requires_grad_(True)


def merge_adapters(model: Any) -> dict[str, Tensor]:
    """The state of a plain model of the same class with the adapters in its weights;
    the model itself stays as it is."""
    state = {}
    layers = {name: module for name, module in model.named_modules() if hasattr(module, "lora_A")}
    for name, tensor in model.state_dict().items():
        owner = next(
            (layer for layer in (name.split(".base_layer.")[0], name.split(".lora_")[0]) if layer in layers),
            None,
        )
        if owner is None:
            state[name] = tensor
        elif ".base_layer." in name:
            kind = name.rsplit(".", 1)[1]
            state[f"{owner}.{kind}"] = (
                tensor + layers[owner].get_delta_weight("default") if kind == "weight" else tensor
            )
    return state


def collect_adapters(model: Any) -> dict[str, Tensor]:
    """The trained tensors by name, for a checkpoint."""
    return {
        name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad
    }


def load_adapters(model: Any, state: Mapping[str, Tensor]) -> None:
    """Put back what `collect_adapters` gave."""
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in state.items():
            own[name].copy_(tensor)
