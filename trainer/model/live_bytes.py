"""Bytes of live tensors, counted operation by operation: those of a run, or those of a small pass, from which
the bytes of a larger one follow."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """While it is entered, counts the bytes of the tensors that are alive on one type of device; each storage
    once.

    It sees what operations of torch allocate in this thread, forward and backward: what autograd keeps, and
    what compiled kernels write into. It does not see what an operation allocates inside of itself and frees
    before it returns, nor what the allocator keeps of freed memory, nor the memory of Python and NumPy.

    held: tensors that are there already.  live, peak: bytes now, and at most so far.  after: bytes alive
    after each operation. marks: numbers of operations at which `mark` was called.
    """

    def __init__(self, device: torch.device, held: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self._kind, self._known = device.type, dict[int, Any]()
        self.live = self.peak = 0
        self.after: list[int] = []
        self.marks: list[int] = []
        for tensor in held:
            self._see(tensor)
        self.peak = self.live

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:  # fmt: skip
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves((args, kwargs, result)):
            if isinstance(tensor, Tensor):
                self._see(tensor)
        self.peak = max(self.peak, self.live)
        self.after.append(self.live)
        return result

    def mark(self) -> None:
        """Remember the place of the last operation."""
        self.marks.append(len(self.after) - 1)

    def _see(self, tensor: Tensor) -> None:
        if tensor.device.type != self._kind:
            return
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self.live += size
            self._known[key] = weakref.ref(storage, lambda _: self._forget(key, size))

    def _forget(self, key: int, size: int) -> None:
        if self._known.pop(key, None) is not None:
            self.live -= size


@dataclass(frozen=True)
class Profile:
    """Bytes that a pass holds beyond what was there before, after each of its operations: base_O +
    per_token_O * tokens.

    kept: the operation after which the forward pass is done.
    """

    base_O: np.ndarray
    per_token_O: np.ndarray
    kept: int

    @classmethod
    def of(
        cls,
        run: Callable[[int, LiveBytes], int],
        held: Sequence[Tensor],
        device: torch.device,
        sizes: tuple[int, int],
    ) -> Profile:
        """Measured at two sizes. run: a pass of that size, which marks the end of its forward pass and gives
        its tokens.

        held: what is there before and is no part of the pass. Where the two passes differ in their operations
        (they depend on the data), only the ends of the forward passes and the peaks are taken from them.
        """
        found: list[tuple[int, np.ndarray, int]] = []
        for size in sizes:
            meter = LiveBytes(device, held)
            before = meter.live
            with meter:
                tokens = run(size, meter)
            found.append((tokens, np.array(meter.after, dtype=float) - before, meter.marks[0]))
        (few, small_O, kept), (many, large_O, other) = found
        if len(small_O) != len(large_O):
            small_O, large_O = (
                np.array([small_O[kept], small_O.max()]),
                np.array([large_O[other], large_O.max()]),
            )
            kept = 0
        per_token_O = (large_O - small_O) / (many - few)
        return cls(small_O - few * per_token_O, per_token_O, kept)

    def peak(self, tokens: int) -> int:
        """The most bytes of a pass over so many tokens."""
        return int((self.base_O + tokens * self.per_token_O).max())

    def at_mark(self, tokens: int) -> int:
        """Bytes after the forward pass."""
        return int(self.base_O[self.kept] + tokens * self.per_token_O[self.kept])


NOTHING = Profile(np.zeros(1), np.zeros(1), 0)
