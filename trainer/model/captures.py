"""Steps that are recorded once for each shape and replayed from then on: as CUDA graphs, or on a tape that
any device can keep.

A recorded step reads and writes the addresses that it was recorded with, and does nothing of the Python
around them. So what it reads must be filled in place, and what it depends on beside that must be in its key.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class Replay(Protocol):
    """A recorded step."""

    def replay(self) -> None: ...


Step = Callable[[], None]
Recorder = Callable[[Step], Replay]  # runs the step once, and gives what runs it again


class CapturedSteps:
    """Recorded steps by their shapes, kept for as long as the buffers that they read.

    captures: how many have been recorded so far.
    """

    def __init__(self, record: Recorder) -> None:
        self.captures = 0
        self._record, self._known = record, dict[Hashable, Replay]()

    def run(self, shape: Hashable, step: Step) -> None:
        """The step, computed once; recorded where this shape is new."""
        known = self._known.get(shape)
        if known is not None:
            known.replay()
            return
        # Eager first: it computes this very step, and warms up what a capture must not meet for the first
        # time.
        step()
        self._known[shape] = self._record(step)
        self.captures += 1

    def forget(self) -> None:
        """What was recorded reads buffers that are no longer used."""
        self._known.clear()


class CudaRecorder:
    """Records CUDA graphs whose intermediate results share one pool of memory: none outlives its step.

    A pool ends with the last of its graphs, and torch refuses a capture into one that has ended. So a graph
    is recorded into the pool of one that is still alive, and into a new pool where none is.
    """

    def __init__(self) -> None:
        self._alive = weakref.WeakSet[torch.cuda.CUDAGraph]()

    def __call__(self, step: Step) -> Replay:
        graph, other = torch.cuda.CUDAGraph(), next(iter(self._alive), None)
        pool = torch.cuda.graph_pool_handle() if other is None else other.pool()
        # Another thread may be at work on the device (sampling ahead): what it does is no part of the step.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            step()
        self._alive.add(graph)
        return graph


class _Operation:
    """One operation as it was called. written: its results by number, where they are tensors of their own;
    what it has done in place, and views, are there already."""

    def __init__(self, function: Any, arguments: Any, options: Any, result: Any) -> None:
        self.function, self.arguments, self.options = function, arguments, options
        given = {tensor.untyped_storage().data_ptr() for tensor in _list_tensors((arguments, options))}
        self.written = {
            number: tensor
            for number, tensor in enumerate(_list_tensors(result))
            if tensor.untyped_storage().data_ptr() not in given
        }

    def replay(self) -> None:
        results = _list_tensors(self.function(*self.arguments, **self.options))
        for number, kept in self.written.items():
            kept.copy_(results[number])


class Tape(TorchDispatchMode):
    """A `Recorder` for any device: the operations of a step in order, each with the tensors that it was
    given.

    Like a CUDA graph it runs none of the step's Python again and reads the tensors of the recording, so on
    a CPU it shows what a captured step would compute and which buffers it would miss. As there, recording
    leaves the step's buffers as they were. Raises RuntimeError for a step that looks at a value on its way.
    """

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.operations: list[_Operation] = []
        self._before: list[tuple[Tensor, Tensor]] = []
        with self:
            step()
        for tensor, value in reversed(self._before):
            tensor.copy_(value)
        self._before.clear()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        if _looks_at_values(func, args):
            raise RuntimeError(f"a step that is captured can't look at values, as {func} does")
        for place, argument in enumerate(func._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                written = args[place] if place < len(args) else options.get(argument.name)
                self._before += [(tensor, tensor.clone()) for tensor in _list_tensors(written)]
        result = func(*args, **options)
        self.operations.append(_Operation(func, args, options, result))
        return result

    def replay(self) -> None:
        for operation in self.operations:
            operation.replay()


def _looks_at_values(function: Any, arguments: Any) -> bool:
    """Whether the host would have to wait for the device: for a number, or for the size of a result."""
    if torch.Tag.data_dependent_output in function.tags:
        return True
    dynamic = torch.Tag.dynamic_output_shape in function.tags
    if function.overloadpacket is torch.ops.aten.index:  # of places it has their shape, of marks it has not
        return any(index.dtype is torch.bool for index in _list_tensors(arguments[1]))
    return dynamic


def _list_tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, Tensor)]
