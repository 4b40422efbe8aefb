"""The weights that a model's own forward pass samples with: adapters in them, in the type of its products.

Between two updates the weights stay. So what a forward pass would do to them at every token is done once:
W + scale B A in place of two products more, and a copy in the products' type in place of a cast. Numbers
are those of the model's own pass: only weights that autocast casts whole, and nothing else reads, are
copied so, which a recorded pass tells.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .lora import NAME, find_adapted
from .tokens import list_plain_tokens

_CASTS = "_palaestra_casts"  # on a model: type of products -> names of the weights that are cast whole
_PROBE_TOKENS = 8


@dataclass(frozen=True)
class _Place:
    """Where a weight is: a module and the name that it has there."""

    module: nn.Module
    name: str

    @property
    def weight(self) -> nn.Parameter:
        return self.module._parameters[self.name]  # type: ignore[return-value]

    def put(self, weight: nn.Parameter) -> None:
        self.module._parameters[self.name] = weight


class Folded:
    """Copies of the weights that are sampled with, at the same addresses from call to call.

    find_folded says which; the others are the model's own.
    """

    def __init__(self, model: Any, dtype: torch.dtype, *, adapters: bool) -> None:
        """dtype: of the products.  adapters: whether they go into the copies; else the model goes on with
        them beside its weights."""
        self._model, self._dtype, self._adapters = model, dtype, adapters
        self._folded: dict[str, nn.Parameter] = {}

    @torch.no_grad()
    def load(self) -> None:
        """Fold the weights that the model has now."""
        copied = _find_copied(self._model, self._dtype, adapters=self._adapters)
        adapted, cast = copied.adapted, copied.cast
        with torch.inference_mode(False), torch.autocast(_find_kind(self._model), enabled=False):
            for name, place in _list_places(self._model).items():
                if name not in adapted and name not in cast:
                    self._folded.pop(name, None)
                    continue
                weight = place.weight.detach()
                if name in adapted:
                    weight = weight + adapted[name].get_delta_weight(NAME)
                weight = weight.to(self._dtype if name in cast else place.weight.dtype)
                known = self._folded.get(name)
                if known is not None and known.dtype is weight.dtype and known.shape == weight.shape:
                    known.copy_(weight)
                else:
                    self._folded[name] = nn.Parameter(weight, requires_grad=False)

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        """The model with the folded weights in place of its own, and without what they hold."""
        places = _list_places(self._model)
        own = {name: places[name].weight for name in self._folded}
        layers = list(_find_adapters(self._model).values()) if self._adapters else []
        try:
            for name, weight in self._folded.items():
                places[name].put(weight)
            for layer in layers:
                layer._disable_adapters = True  # the flag alone: PEFT's own switch freezes the adapters, too
            yield
        finally:
            for name, weight in own.items():
                places[name].put(weight)
            for layer in layers:
                layer._disable_adapters = False


def count_folded_bytes(model: Any, dtype: torch.dtype, *, adapters: bool) -> int:
    """Bytes of the copies that `Folded` makes of a model's weights."""
    found = _find_copied(model, dtype, adapters=adapters)
    return sum(
        place.weight.numel() * (dtype.itemsize if name in found.cast else place.weight.element_size())
        for name, place in _list_places(model).items()
        if name in found.adapted or name in found.cast
    )


@dataclass(frozen=True)
class _Copied:
    """Names of the weights that are copied. adapted: with adapters in them, of which layer.  cast: to the
    type of the products."""

    adapted: Mapping[str, Any]
    cast: frozenset[str]


def _find_copied(model: Any, dtype: torch.dtype, *, adapters: bool) -> _Copied:
    adapted, cast = _find_adapters(model), find_cast_weights(model, dtype)
    if adapters:
        return _Copied(adapted, cast)
    # What an adapter of a stack is added to is read in the weights' own type.
    return _Copied({}, cast - {name for name, layer in adapted.items() if hasattr(layer, "parameter_name")})


def find_cast_weights(model: Any, dtype: torch.dtype) -> frozenset[str]:
    """Names of the weights that autocast casts whole to `dtype` in a forward pass, and that nothing else
    reads; none where the products are done in the type of the weights. Recorded once a model."""
    known: dict[torch.dtype, frozenset[str]] = getattr(model, _CASTS, {})
    if dtype is torch.float32:
        return frozenset()
    if dtype not in known:
        known = {**known, dtype: _record_casts(model, dtype)}
        setattr(model, _CASTS, known)
    return known[dtype]


@torch.no_grad()
def _record_casts(model: Any, dtype: torch.dtype) -> frozenset[str]:
    device, training = next(model.parameters()).device, model.training
    ids_BS = torch.tensor([list_plain_tokens(model)[:_PROBE_TOKENS]], device=device)
    places, layers = _list_places(model), list(_find_adapters(model).values())
    own, seen = {name: place.weight for name, place in places.items()}, set[int]()
    model.eval()
    try:
        for layer in layers:
            layer._disable_adapters = True
        for place in places.values():  # what two modules share is watched in each by itself
            if place.weight.data_ptr() in seen:
                place.put(nn.Parameter(place.weight.detach().clone(), requires_grad=False))
            seen.add(place.weight.data_ptr())
        watch = _Watch({name: place.weight for name, place in places.items()}, dtype)
        with torch.autocast(device.type, dtype, cache_enabled=False), watch:
            model(input_ids=ids_BS, use_cache=False)
    finally:
        for name, weight in own.items():
            places[name].put(weight)
        for layer in layers:
            layer._disable_adapters = False
        model.train(training)
    return frozenset(watch.cast - watch.read)


class _Watch(TorchDispatchMode):
    """cast: names of the weights that were cast to `dtype`.  read: of those that anything else has read."""

    def __init__(self, weights: dict[str, nn.Parameter], dtype: torch.dtype) -> None:
        super().__init__()
        self.cast, self.read, self._dtype = set[str](), set[str](), dtype
        self._names = {weight.untyped_storage().data_ptr(): name for name, weight in weights.items()}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        views = any(
            out.alias_info is not None and not out.alias_info.is_write for out in func._schema.returns
        )
        if not views:  # a view is watched in turn: it has the same storage
            casts = func is torch.ops.aten._to_copy.default and options.get("dtype") is self._dtype
            for leaf in tree_leaves((args, options)):
                name = (
                    self._names.get(leaf.untyped_storage().data_ptr()) if isinstance(leaf, Tensor) else None
                )
                if name is not None:
                    (self.cast if casts else self.read).add(name)
        return func(*args, **options)


def _find_adapters(model: Any) -> dict[str, Any]:
    """PEFT's layers whose adapters are on, by the names that their weights have here."""
    found = {}
    for layer in find_adapted(model).values():
        if not layer.disable_adapters:
            found[layer] = getattr(layer, "parameter_name", "weight")
    bases = {(id(layer.get_base_layer()), name): layer for layer, name in found.items()}
    return {
        name: bases[id(place.module), place.name]
        for name, place in _list_places(model).items()
        if (id(place.module), place.name) in bases
    }


def _list_places(model: Any) -> dict[str, _Place]:
    """Every place of a weight that is no part of an adapter; shared ones each."""
    return {
        f"{path}.{name}" if path else name: _Place(module, name)
        for path, module in model.named_modules()
        if ".lora_" not in f".{path}"
        for name, weight in module._parameters.items()
        if weight is not None
    }


def _find_kind(model: Any) -> str:
    return next(model.parameters()).device.type
