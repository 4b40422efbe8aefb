"""Weights by handles (CUDA IPC): the trainer lays them into a buffer on the card that both processes use, and
the server copies them from there; nothing goes through files or the main memory.

The protocol is that of vLLM's backend "ipc" (vllm/distributed/weight_transfer/ipc_engine.py, 0.32.0), in its
packed form: one buffer is filled and read chunk by chunk. A policy is mostly held in another type than the
one it computes in, so nearly every weight is copied anyway; packed, the copies take one buffer on either
side, however large the model. Unpacked, the server keeps views of a layer's parts until it has them all, and
the copies of all weights would have to stay until the end.
"""

from __future__ import annotations

import base64
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.multiprocessing.reductions import reduce_tensor

from ...model import lora
from ...model.policy import Policy
from .wire import EngineError, HungUp, Wire

CHUNK_BYTES = 2**28  # of the buffer, or as many as the largest weight has
FLAGS = ("--weight-transfer-config", '{"backend": "ipc"}')  # of a server that takes handles
# Handles are pickled, and vLLM loads a pickle only where this allows it: whoever can ask the server can run
# code as its user then. Ours listens at a socket file in a folder that only this user can enter.
ENVIRONMENT = {"VLLM_ALLOW_INSECURE_SERIALIZATION": "1"}
PINS = ("--device-ids", "--device_ids")  # options by which a server may be on another card
FILES = "--engine-weights files"  # with which a run can go on whose handles fail


class SharedMemory(Protocol):
    """Memory that another process can be given a handle of."""

    @property
    def uuid(self) -> str:
        """Of the card."""
        ...

    def allocate(self, size: int) -> Tensor:
        """A buffer of so many bytes (uint8), which nobody else writes to while it is referred to."""
        ...

    def share(self, buffer: Tensor) -> object:
        """The handle of a buffer, as torch pickles it. Raises RuntimeError where there is none."""
        ...

    def wait(self) -> None:
        """Until what was written to a buffer can be read by another process."""
        ...

    def collect(self) -> None:
        """Give back the buffers that nobody refers to any more, here or there."""
        ...


class CardMemory:
    """Of a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    @property
    def uuid(self) -> str:
        """See `SharedMemory.uuid`."""
        return str(torch.cuda.get_device_properties(self._device).uuid)

    def allocate(self, size: int) -> Tensor:
        """See `SharedMemory.allocate`."""
        return torch.empty(size, dtype=torch.uint8, device=self._device)

    def share(self, buffer: Tensor) -> object:
        """See `SharedMemory.share`."""
        return reduce_tensor(buffer)[1]

    def wait(self) -> None:
        """See `SharedMemory.wait`."""
        torch.cuda.current_stream(self._device).synchronize()

    def collect(self) -> None:
        """See `SharedMemory.collect`."""
        torch.cuda.ipc_collect()


@dataclass(frozen=True)
class Part:
    """A weight in the buffer, behind those before it. size: in bytes."""

    name: str
    dtype: torch.dtype
    shape: Sequence[int]
    size: int


class IpcTransfer:
    """By handles of a card's memory.

    names: of the weights that are sent, as the files of the model have them.  memory: of the card.
    After a failure in the middle nothing more is sent: vLLM has no way back from half an update.
    """

    name = "ipc"

    def __init__(self, wire: Wire, names: Iterable[str], memory: SharedMemory) -> None:
        self._wire, self._names, self._memory = wire, frozenset(names), memory
        self._broken = False

    def agree(self) -> None:
        """Tell the server in which form weights come. Raises EngineError where it takes none so."""
        found = self._wire.get("/get_world_size")
        size = found.get("world_size") if isinstance(found, Mapping) else None
        if size != 1:
            raise EngineError(f"The engine's server runs in {size} processes, and handles are for one alone.")
        try:
            self._memory.share(self._memory.allocate(1))
        except RuntimeError as failure:
            raise EngineError(f"This card's memory can't be shared ({failure}).") from failure
        self._wire.post("/init_weight_transfer_engine", {"init_info": {"packed": True}})

    def send(self, policy: Policy) -> None:
        """See `Transfer.send`."""
        if self._broken:
            raise EngineError(
                f"The engine's server at {self._wire.address} has half of some weights since a hand-over "
                "broke off: start it anew and resume.",
                FILES,
            )
        size = count_buffer_bytes(policy, self._names)
        try:
            buffer = self._memory.allocate(size)
            # Once an update: the server releases it once, as it finishes.
            handles = {self._memory.uuid: self._memory.share(buffer)}
        except RuntimeError as failure:
            raise EngineError(
                f"No {size >> 20} MiB of the card can be shared with the engine's server ({failure}): take "
                f"{FILES}.",
                FILES,
            ) from failure
        pickled = base64.b64encode(pickle.dumps(handles)).decode("ascii")
        self._broken = True  # until all of it is there
        try:
            # None of it is asked twice: a connection may break after the server has done it.
            self._wire.post("/start_weight_update", {}, again=False)
            for parts in pack(self._list_weights(policy), buffer, policy.dtype):
                self._memory.wait()
                info = {**describe_parts(parts), "ipc_handles_pickled": pickled}
                self._wire.post("/update_weights", {"update_info": info}, again=False)
            self._wire.post("/finish_weight_update", {}, again=False)
        except HungUp:
            raise
        except (EngineError, RuntimeError) as failure:  # memory for a merged weight may run out, too
            raise EngineError(
                f"{failure} The hand-over of weights broke off in its middle, so it is not known which the "
                f"server has. With {FILES} they go another way.",
                FILES,
            ) from failure
        self._broken = False
        del buffer  # which had to live until here
        self._memory.collect()

    def _list_weights(self, policy: Policy) -> Iterator[tuple[str, Tensor]]:
        merged = lora.merge_one_by_one(policy.model)
        return ((name, weight) for name, weight in merged if name in self._names)


def find_hindrance(policy: Policy, flags: Sequence[str], names: Iterable[str]) -> str:
    """Why the server that is started for a policy can't be sent its weights by handles; "" where it can.

    flags: that the user gives the server.  names: of the weights in the files that it starts from.
    """
    device = policy.device
    if device.type != "cuda":
        return f"handles are of a GPU's memory, and the policy is on the {device.type}"
    if place := torch.cuda.current_device() if device.index is None else device.index:
        return f"the policy is on card {place}, and the server takes the first (CUDA_VISIBLE_DEVICES)"
    if pinned := next((flag for flag in flags if flag.partition("=")[0] in PINS), ""):
        return f"{pinned} may put the server on another card"
    if unknown := sorted(set(names) - lora.list_state(policy.model).keys()):
        return f"weights have other names in files than in this model ({unknown[0]}, ...)"
    return ""


@torch.no_grad()
def pack(
    weights: Iterable[tuple[str, Tensor]], buffer: Tensor, dtype: torch.dtype
) -> Iterator[Sequence[Part]]:
    """Fill the buffer with one chunk of weights after the other, floating ones in `dtype`: its next chunk
    overwrites it. A chunk is of one type, so that each weight begins at a multiple of its numbers' size."""
    parts, used = list[Part](), 0
    for name, weight in weights:
        kind = choose_type(weight, dtype)
        size = weight.numel() * kind.itemsize
        if parts and (used + size > len(buffer) or parts[-1].dtype is not kind):
            yield parts
            parts, used = [], 0
        buffer[used : used + size].view(kind).view(weight.shape).copy_(weight)
        parts.append(Part(name, kind, tuple(weight.shape), size))
        used += size
    if parts:
        yield parts


def choose_type(weight: Tensor, dtype: torch.dtype) -> torch.dtype:
    """That in which a weight is sent by a policy that computes in `dtype`."""
    return dtype if weight.is_floating_point() else weight.dtype


def describe_parts(parts: Sequence[Part]) -> dict[str, Any]:
    """As vLLM's `IPCWeightTransferUpdateInfo` has them."""
    return {
        "names": [part.name for part in parts],
        "dtype_names": [str(part.dtype).removeprefix("torch.") for part in parts],
        "shapes": [list(part.shape) for part in parts],
        "tensor_sizes": [part.size for part in parts],
    }


def count_buffer_bytes(policy: Policy, names: Iterable[str]) -> int:
    """Bytes of the buffer: a chunk, or more where the largest weight has more, and no more than all have."""
    wanted = set(names)
    state = lora.list_state(policy.model)
    sizes = [
        weight.numel() * choose_type(weight, policy.dtype).itemsize
        for name, weight in state.items()
        if name in wanted
    ]
    return max([*sizes, min(CHUNK_BYTES, sum(sizes))])
