"""What a computation is made of, counted on any machine: operations, casts of weights.

with count_operations(model) as counted:
    engine.sample(requests, sampling)
print(counted.total, counted.weight_casts)
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class OperationCounts(TorchDispatchMode):
    """operations: how often each of torch's was called, by its name; what compiled kernels do beside torch is
    not seen.  weight_casts: how often a weight was copied to another type, whole or a part of it.
    cast_numbers: numbers that were."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.weight_casts = self.cast_numbers = 0
        self._weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}

    @property
    def total(self) -> int:
        return self.operations.total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations[str(func)] += 1
        if func is torch.ops.aten._to_copy.default and isinstance(args[0], Tensor):
            dtype = (kwargs or {}).get("dtype")
            of_weight = args[0].untyped_storage().data_ptr() in self._weights
            if of_weight and dtype is not None and dtype is not args[0].dtype:
                self.weight_casts += 1
                self.cast_numbers += args[0].numel()
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def count_operations(model: Any) -> Iterator[OperationCounts]:
    """Count what is computed inside, and which of the model's weights are cast for it."""
    with OperationCounts(model) as counts:
        yield counts
