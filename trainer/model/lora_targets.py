"""Which weights of a model carry low-rank adapters, and what the others are.

A weight is named as in the plain model (`model.layers.0.self_attn.q_proj.weight`), with or without adapters.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ...tasks.core.errors import UserError
from .tokens import list_plain_tokens

_EXPERTS = re.compile(r"(moe_)?(num|n)_(local_|routed_)?experts")
"""Settings of a config that say how many experts a block has."""
_PROBE_TOKENS = 48
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

    wanted: only those whose name is, or ends with, one of these (`q_proj`, `experts.down_proj`). Left out are
    convolutions, weights that two modules share, routers (another choice of experts is no small change),
    what a text does not come through (the tower for images), and what PEFT puts no adapter on.

    Raises UserError where nothing is found, and for a name in `wanted` that nothing answers to.
    """
    excluded, experts = _find_excluded(model), count_experts(model.config)
    layers, stacks, transposed = [], [], False
    for name, module in model.named_modules():
        if name in excluded:
            continue
        if _is_linear(module):
            layers.append(name)
            transposed |= type(module).__name__ == "Conv1D"
        else:
            stacks += [f"{name}.{part}" for part in _list_stacks(module, experts)]
    _refuse_unknown(model, wanted, [*layers, *stacks])
    chosen = Targets(_choose(layers, wanted), _choose(stacks, wanted), transposed)
    if not chosen.weights:
        raise UserError(
            f"{type(model).__name__} has no linear layer that an adapter could be put on; leave --lora-rank "
            "away."
        )
    return chosen


def _is_linear(module: Any) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def _find_excluded(model: Any) -> set[str]:
    """Names of the modules that carry no adapter of their own."""
    left_out = {*_find_unread(model), *find_routers(model), *_find_refused(model)}
    shared = _find_shared(model)
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    return {
        name
        for name, module in model.named_modules()
        if module is head
        or name in left_out
        or any(id(weight) in shared for weight in module.parameters(recurse=False))
    }


def _find_refused(model: Any) -> set[str]:
    """Names of the modules that PEFT refuses: those of Mamba whose weights a kernel reads past an adapter."""
    try:
        from peft import LoraConfig
        from peft.tuners.tuners_utils import _check_lora_target_modules_mamba as check_target
    except ImportError:  # of before PEFT 0.16, which refuses nothing
        return set()
    settings, kinds = LoraConfig(), list_kinds(name for name, _ in model.named_modules())

    def is_refused(kind: str) -> bool:
        try:
            check_target(settings, model, kind)
        except ValueError:
            return True
        return False

    refused = {kind for kind in kinds if is_refused(kind)}
    return {name for name, _ in model.named_modules() if name.rpartition(".")[2] in refused}


def count_experts(config: Any) -> set[int]:
    """How many experts a block of a model has, as its config and the parts of it say; none in a dense one."""
    found, settings = set[int](), [config.to_dict()]
    while settings:
        for name, value in settings.pop().items():
            if isinstance(value, dict):
                settings.append(value)
            elif isinstance(value, int) and value > 1 and _EXPERTS.fullmatch(str(name)):
                found.add(value)
    return found


def _list_stacks(module: Any, experts: Collection[int]) -> list[str]:
    """The module's own weights of three dimensions, of which the first goes over the experts."""
    if isinstance(module, nn.modules.conv._ConvNd):
        return []
    own = module.named_parameters(recurse=False)
    return [part for part, weight in own if weight.ndim == 3 and len(weight) in experts]


def find_routers(model: Any) -> set[str]:
    """Names of the linear layers that choose experts or weigh them: of a router, or of as many outputs as
    there are experts (one, for a shared expert) beside them."""
    experts = count_experts(model.config)
    if not experts:
        return set()
    holders = {name for name, module in model.named_modules() if _list_stacks(module, experts)}
    blocks = tuple(f"{name.rpartition('.')[0]}." for name in holders)
    return {
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and (
            "router" in name
            or (name.startswith(blocks) and "attn" not in name and module.out_features in {1, *experts})
        )
    }


def _find_unread(model: Any) -> set[str]:
    """Names of the modules that a text does not come through on its way to the logits, as passes show.

    Both in training and in evaluation mode: Gemma 3n reads a layer's weight past the layer while it trains.
    An expert that this text does not choose counts as the others in its list. On the meta device, where
    nothing can be run, all are read: then the adapters are at most as many as is said.
    """
    if model.get_input_embeddings().weight.device.type == "meta":
        return set()
    names = {name for name, _ in model.named_modules()}
    read = _trace_text(model, training=True) & _trace_text(model, training=False)
    experts = count_experts(model.config)
    lists = tuple(
        f"{name}."
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module) in experts
        and any(other.startswith(f"{name}.") for other in read)
    )
    return {name for name in names - read if not name.startswith(lists)}


def _trace_text(model: Any, *, training: bool) -> set[str]:
    """Names of the modules whose output depends on the embeddings of a text; the model stays as it was."""
    read = set[str]()

    def note(name: str, output: Any) -> None:
        if any(isinstance(part, torch.Tensor) and part.requires_grad for part in _flatten(output)):
            read.add(name)

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: note(name, output))
        for name, module in model.named_modules()
    ]
    learning, was_training = {weight: weight.requires_grad for weight in model.parameters()}, model.training
    embeddings = model.get_input_embeddings().weight
    model.train(training).requires_grad_(False)
    embeddings.requires_grad_(True)
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            ids_BS = torch.tensor([list_plain_tokens(model)[:_PROBE_TOKENS]], device=embeddings.device)
            model(input_ids=ids_BS, use_cache=False)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
        for weight, learns in learning.items():
            weight.requires_grad_(learns)
    return read


def _flatten(output: Any) -> Iterator[Any]:
    """The tensors of what a module gives."""
    if isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, (tuple, list)):
        for part in output:
            yield from _flatten(part)
    else:
        yield output


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


@dataclass(frozen=True)
class PeftTargets:
    """Names for PEFT's settings.  modules: of layers.  parameters: of weights."""

    modules: Sequence[str]
    parameters: Sequence[str]


def divide_for_peft(model: Any, settings: Any, targets: Targets) -> PeftTargets:
    """The targets as PEFT's modules and parameters, such that it takes each for what it is.

    PEFT reads `gate_proj` in a mixture of experts as the name that transformers 4 gave to a part of the
    stacked experts, wherever it stands, and would pass over the linear layers that have this name still
    (shared experts, dense layers at the start). These are given as parameters.
    """
    rewritten = {kind for kind in list_kinds(targets.layers) if _is_rewritten(model, settings, kind)}
    plain = [name for name in targets.layers if name.rpartition(".")[2] not in rewritten]
    moved = [f"{name}.weight" for name in targets.layers if name.rpartition(".")[2] in rewritten]
    return PeftTargets(plain, [*moved, *targets.stacks])


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
