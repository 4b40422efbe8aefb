"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv:2106.09685), by PEFT: W + scale * B A,
of which only A and B are trained.

They are injected into the model's linear layers and stacks of experts, so the model keeps its class, and with
the adapters off it is the model it began as: the reference of a KL penalty needs no second copy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...tasks.core.errors import UserError, shorten
from ...tasks.core.seeds import digest
from ..config.settings import resolve
from ..config.shared import LoraConfig
from .lora_targets import Targets, describe_targets, divide_for_peft, find_targets

ALPHA_PER_RANK = 2.0  # scale of B A: the usual alpha of twice the rank
RATE = 10.0
"""The learning rate that suits adapters, in that of all weights (Schulman et al. 2025,
"LoRA Without Regret")."""
NAME = "default"  # of the one adapter
PROBE_SCALE = 0.02  # standard deviation of B on a probe, as of weights at initialisation


def add_adapters(model: Any, config: LoraConfig, seed: int) -> None:
    """Adapters on what `config` says; nothing else is trained from here on.

    They begin as nothing: A is random by the seed, B is 0.

    Raises UserError where PEFT is not installed, or puts adapters on other weights than it was asked to.
    """
    targets = find_targets(model, config.lora_targets)
    settings = _make_settings(model, config, targets)
    import peft

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(digest("lora", seed) >> 1)
        try:
            peft.inject_adapter_in_model(settings, model)
        except (AttributeError, TypeError, ValueError) as failure:
            reason = shorten(str(failure))
            raise UserError(
                f"PEFT {peft.__version__} can't put adapters on {type(model).__name__}: "
                f"{reason}. Choose the weights with --lora-targets."
            ) from failure
    for module in model.modules():
        if _carries(module):  # float32, whatever the weights beside them are held in
            module.lora_A.float()
            module.lora_B.float()
    missed = targets.weights ^ find_adapted(model).keys()
    if missed:
        raise UserError(
            f"PEFT {peft.__version__} put adapters on other weights of {type(model).__name__} than it was "
            f"asked to ({', '.join(sorted(missed)[:4])}). Choose the weights with --lora-targets."
        )


def _make_settings(model: Any, config: LoraConfig, targets: Targets) -> Any:
    try:
        from peft import LoraConfig as PeftConfig
    except ImportError as failure:
        raise UserError("--lora-rank needs PEFT: pip install 'palaestra[peft]'.") from failure
    alpha: Any = resolve(config.lora_alpha, ALPHA_PER_RANK * config.lora_rank)
    settings: Any = PeftConfig(
        r=config.lora_rank,
        lora_alpha=int(alpha) if alpha == int(alpha) else alpha,  # PEFT's type is int, any number serves
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
        fan_in_fan_out=targets.transposed,
    )
    divided = divide_for_peft(model, settings, targets)
    settings.target_modules = list(divided.modules)
    settings.target_parameters = list(divided.parameters) or None
    return settings


def has_adapters(model: Any) -> bool:
    return any(_carries(module) for module in model.modules())


def _carries(module: Any) -> bool:
    return hasattr(module, "lora_A")


def find_adapted(model: Any) -> dict[str, Any]:
    """PEFT's layers by the name that their weight has in the plain model."""
    return {
        f"{_strip(name)}.{getattr(module, 'parameter_name', 'weight')}": module
        for name, module in model.named_modules()
        if _carries(module)
    }


def list_plain(module: Any) -> dict[str, nn.Parameter]:
    """The weights by the names that they have without adapters; those of the adapters are left out."""
    return {_strip(name): weight for name, weight in module.named_parameters() if ".lora_" not in f".{name}"}


def list_state(model: Any) -> dict[str, Tensor]:
    """The state of a plain model of the same class, without what the adapters add."""
    named = ((_strip(name), tensor) for name, tensor in model.state_dict().items())
    return {name: tensor for name, tensor in named if ".lora_" not in name}


def _strip(name: str) -> str:
    return name.replace(".base_layer", "")


def describe_adapters(model: Any) -> str:
    """What carries adapters and what does not, as lines for a person."""
    trained = sum(weight.numel() for name, weight in model.named_parameters() if ".lora_" in f".{name}")
    return describe_targets(list_plain(model), set(find_adapted(model)), trained)


def is_foldable(module: Any) -> bool:
    """Whether W + scale * B A is all that PEFT's layer computes, so that `weigh` has its weight."""
    return (
        type(module).__name__ == "Linear"
        and set(module.lora_A) == {NAME}
        and not module.merged
        and not module.fan_in_fan_out
        and not getattr(module, "lora_variant", None)
        and not any(getattr(module, "lora_bias", {}).values())
        and isinstance(module.lora_dropout[NAME], nn.Identity)
    )


def is_adapted(layer: Any) -> bool:
    """Whether a linear layer carries an adapter that is on."""
    return _carries(layer) and not layer.disable_adapters


def weigh(layer: Any) -> Tensor:
    """The weight (output, input) of a linear layer, its adapter added where it carries one that is on.

    Differentiable in A and B.
    """
    if not _carries(layer):
        return layer.weight
    weight = layer.base_layer.weight
    if layer.disable_adapters:
        return weight
    a, b, scale = layer.lora_A[NAME].weight, layer.lora_B[NAME].weight, layer.scaling[NAME]
    return torch.addmm(weight.to(a.dtype), b, a, alpha=scale)


@contextlib.contextmanager
def disable_adapters(model: Any) -> Iterator[None]:
    """The model as it was before adapters were added; for a forward pass without gradient.

    Inside of itself it does nothing.
    """
    adapted = [module for module in model.modules() if _carries(module)]
    layers = [layer for layer in adapted if not layer.disable_adapters]
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


@contextlib.contextmanager
def move_adapters(model: Any) -> Iterator[None]:
    """The model with adapters that matter, for a probe: B is random inside, and what it was afterwards.

    Without adapters it does nothing.
    """
    tensors = [module.lora_B[NAME].weight for module in model.modules() if _carries(module)]
    kept = [tensor.detach().clone() for tensor in tensors]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in tensors:
            tensor.copy_(PROBE_SCALE * torch.randn(tensor.shape, generator=generator))
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, kept, strict=True):
                tensor.copy_(value)


def merge_adapters(model: Any) -> dict[str, Tensor]:
    """The state of a plain model of the same class with the adapters in its weights, which go to the main
    memory: on a GPU there may be no room for all of them. The model itself stays as it is."""
    adapted = find_adapted(model)
    merged = merge_one_by_one(model)
    return {name: tensor.cpu() if name in adapted else tensor for name, tensor in merged}


def merge_one_by_one(model: Any) -> Iterator[tuple[str, Tensor]]:
    """What is in the state of a plain model of the same class, its adapter in each weight that has one: made
    when it is asked for, where the model is. Without adapters it is the model's own state."""
    layers = find_adapted(model)
    for name, tensor in list_state(model).items():
        layer = layers.get(name)
        yield name, tensor if layer is None else _merge(tensor, layer)


@torch.no_grad()
def _merge(weight: Tensor, layer: Any) -> Tensor:
    """A weight with its adapter in it."""
    return (weight + layer.get_delta_weight(NAME)).to(weight.dtype)


def collect_trained(module: nn.Module) -> dict[str, Tensor]:
    """The trained tensors by name, for a checkpoint: with adapters, these."""
    return {
        name: parameter.detach() for name, parameter in module.named_parameters() if parameter.requires_grad
    }


def load_trained(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put back what `collect_trained` gave."""
    own = dict(module.named_parameters())
    with torch.no_grad():
        for name, tensor in state.items():
            own[name].copy_(tensor)
