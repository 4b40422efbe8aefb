"""Which weights of a model carry low-rank adapters, and what the others are.

A weight is named as in the plain model (`model.layers.0.self_attn.q_proj.weight`), with or without adapters.
"""

from __future__ import annotations

import copy
import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ...tasks.core.errors import UserError

SHOWN_SHARE = 0.0005  # of the parameters; kinds of weights below it are summed up


@dataclass(frozen=True)
class Targets:
    """layers: names of linear layers.  stacks: names of weights of three dimensions (experts fused into one,
    out of reach of a linear layer's adapter).  transposed: layers store (input, output), as GPT-2 does.
    """

    layers: Sequence[str]
    stacks: Sequence[str]
    transposed: bool = False

    @property
    def weights(self) -> set[str]:
        """The names of all weights that are to carry an adapter."""
        return {f"{name}.weight" for name in self.layers} | set(self.stacks)


def find_targets(model: Any, wanted: Sequence[str] = ()) -> Targets:
    """What is to carry adapters: every linear layer but the head and every stack of experts.

    wanted: only those whose name is, or ends with, one of these (`q_proj`, `experts.down_proj`). Weights that
    two modules share are left out, and convolutions.

    Raises UserError where nothing is found, and for a name in `wanted` that nothing answers to.
    """
    shared = _find_shared(model)
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    layers, stacks, transposed = [], [], False
    for name, module in model.named_modules():
        if module is head or any(id(weight) in shared for weight in module.parameters(recurse=False)):
            continue
        if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D":
            layers.append(name)
            transposed |= type(module).__name__ == "Conv1D"
        elif not isinstance(module, nn.modules.conv._ConvNd):
            own = module.named_parameters(recurse=False)
            stacks += [f"{name}.{part}" for part, weight in own if weight.ndim == 3]
    _refuse_unknown(model, wanted, [*layers, *stacks])
    chosen = Targets(_choose(layers, wanted), _choose(stacks, wanted), transposed)
    if not chosen.weights:
        raise UserError(
            f"{type(model).__name__} has no linear layer that an adapter could be put on; leave --lora-rank "
            "away."
        )
    return chosen


def count_adapter_parameters(model: Any, targets: Targets, rank: int) -> int:
    """Numbers in the A and B of all targets."""
    weights = dict(model.named_parameters())
    shapes = [weights[name].shape for name in targets.weights]
    return sum(rank * (shape[-1] + shape[-2]) * (shape[0] if len(shape) == 3 else 1) for shape in shapes)


def _find_shared(model: Any) -> set[int]:
    """Ids of the weights that stand in the model more than once: tied ones, those of a repeated module."""
    seen = Counter(id(weight) for _, weight in model.named_parameters(remove_duplicate=False))
    return {weight for weight, count in seen.items() if count > 1}


def _answers(name: str, wanted: str) -> bool:
    return name == wanted or name.endswith(f".{wanted}")


def _choose(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Of a stack the module may be named, too."""
    if not wanted:
        return list(names)
    return [
        name
        for name in names
        if any(_answers(name, one) or _answers(name.rpartition(".")[0], one) for one in wanted)
    ]


def _refuse_unknown(model: Any, wanted: Sequence[str], names: Sequence[str]) -> None:
    kinds = list_kinds(names)
    for one in wanted:
        if _choose(names, [one]):
            continue
        near = difflib.get_close_matches(one, kinds, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UserError(
            f"--lora-targets {one}: {type(model).__name__} has no weight of this name that can carry an "
            f"adapter. {hint}There are: {', '.join(kinds)}."
        )


def list_kinds(names: Iterable[str]) -> list[str]:
    """The last parts of names, each once, in order."""
    return list(dict.fromkeys(name.rpartition(".")[2] for name in names))


def divide_for_peft(model: Any, settings: Any, targets: Targets) -> tuple[list[str], list[str]]:
    """Target modules and target parameters for PEFT, such that it takes each for what it is.

    PEFT reads `gate_proj` in a mixture of experts as the name that transformers 4 gave to a part of the
    stacked experts, wherever it stands, and would pass over the linear layers that have this name still
    (shared experts, dense layers at the start). These are given as parameters.
    """
    rewritten = {kind for kind in list_kinds(targets.layers) if _is_rewritten(model, settings, kind)}
    plain = [name for name in targets.layers if name.rpartition(".")[2] not in rewritten]
    moved = [f"{name}.weight" for name in targets.layers if name.rpartition(".")[2] in rewritten]
    return plain, [*moved, *targets.stacks]


def _is_rewritten(model: Any, settings: Any, kind: str) -> bool:
    try:
        from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
    except ImportError:  # of before PEFT 0.19, which rewrites nothing
        return False
    trial = copy.deepcopy(settings)
    trial.target_modules = {kind}
    try:
        convert_peft_config_for_transformers(trial, model=model, conversions=None)
    except ValueError:  # a part of a fused weight, without the other part
        return True
    return set(trial.target_modules) != {kind}


def describe_targets(weights: Mapping[str, torch.Tensor], adapted: set[str], trained: int) -> str:
    """Two lines for a person: what carries adapters and what does not, with shares of the parameters.

    weights: of the plain model by name.  adapted: names of those with adapters.  trained: numbers in the
    adapters.
    """
    total = sum(weight.numel() for weight in weights.values())
    kinds = Counter(_name_kind(name, weights[name]) for name in weights if name in adapted)
    carrying = ", ".join(f"{kind} ({count})" for kind, count in kinds.items())
    covered = sum(weights[name].numel() for name in adapted) / total
    return (
        f"Adapters on {len(adapted)} weights, {covered:.1%} of the parameters: {carrying}. Trained are "
        f"{trained:,} numbers beside {total:,} ({trained / total:.2%}).\n"
        f"Without an adapter: {_list_bare(weights, adapted, total)}."
    )


def _list_bare(weights: Mapping[str, torch.Tensor], adapted: set[str], total: int) -> str:
    sizes: Counter[str] = Counter()
    for name, weight in weights.items():
        if name not in adapted:
            sizes[_name_kind(name, weight)] += weight.numel()
    shown = [(kind, size) for kind, size in sizes.most_common() if size >= SHOWN_SHARE * total]
    rest = total - sum(weights[name].numel() for name in adapted) - sum(size for _, size in shown)
    parts = [f"{kind} {size / total:.1%}" for kind, size in shown]
    return ", ".join([*parts, *([f"others {rest / total:.2%}"] if rest else [])]) or "nothing"


def _name_kind(name: str, weight: torch.Tensor) -> str:
    """`q_proj`, `experts.down_proj`, `norms and biases`."""
    if weight.ndim < 2:
        return "norms and biases"
    *_, owner, part = name.split(".")
    if part == "weight":
        return owner
    return f"{owner}.{part}"
