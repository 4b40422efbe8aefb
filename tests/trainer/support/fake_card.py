"""What vLLM's server says of weights by handles and of its sleep mode (0.32.0), and files of the main memory
in the place of a card's."""

from __future__ import annotations

import base64
import itertools
import pickle
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import torch

UUID = "a card"
HANDLE, SIZE, WORDS = 7, 8, 15  # places in what torch pickles of a CUDA tensor, and how many there are
GARBAGE = 0.5  # what is left of a weight
PATIENCE_S = 60.0


class Refused(Exception):
    """Answered with status 500."""


class FileMemory:
    """A `SharedMemory` of files: a buffer's file goes with it."""

    uuid = UUID

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, itertools.count()
        self._paths: dict[int, Path] = {}
        self.waits = 0

    def allocate(self, size: int) -> torch.Tensor:
        path = self._folder / f"buffer-{next(self._count)}"
        buffer = torch.from_file(str(path), shared=True, size=size, dtype=torch.uint8)
        weakref.finalize(buffer, path.unlink, missing_ok=True)
        self._paths[buffer.data_ptr()] = path
        return buffer

    def share(self, buffer: torch.Tensor) -> object:
        handle: list[Any] = [None] * WORDS
        handle[HANDLE], handle[SIZE] = str(self._paths[buffer.data_ptr()]), buffer.numel()
        return tuple(handle)

    def wait(self) -> None:
        self.waits += 1

    def collect(self) -> None:
        """Files go by themselves."""


class Handles:
    """A server's side. broken: it does not know which weights it has."""

    def __init__(self) -> None:
        self.packed, self.broken = False, False
        self._state: dict[str, torch.Tensor] | None = None
        self._path = Path()

    def respond(self, path: str, body: Any, take: Callable[[dict[str, torch.Tensor]], None]) -> Any:
        if path == "/init_weight_transfer_engine":
            self.packed = body["init_info"]["packed"]
        elif path == "/start_weight_update":
            if self._state is not None:
                raise Refused("start_weight_update called while a weight update is already active.")
            self._state = {}
        elif self._state is None:
            raise Refused("start_weight_update must be called before update_weights.")
        elif path == "/update_weights":
            self._receive(body["update_info"])
        else:
            if not self._path.exists():
                raise Refused("CUDA error: the memory of the handle is gone.")
            state, self._state = self._state, None
            take(state)
        return {"message": "done"}

    def _receive(self, info: dict[str, Any]) -> None:
        assert self._state is not None
        handles = pickle.loads(base64.b64decode(info["ipc_handles_pickled"]))
        if not self.packed or not isinstance(handles, dict) or UUID not in handles:
            raise Refused(f"IPC handle not found for GPU UUID {UUID}.")
        handle = handles[UUID]
        self._path = Path(handle[HANDLE])
        if not self._path.exists():
            raise Refused("CUDA error: the memory of the handle is gone.")
        packed = torch.from_file(handle[HANDLE], shared=True, size=handle[SIZE], dtype=torch.uint8)
        described = zip(info["names"], info["dtype_names"], info["shapes"], info["tensor_sizes"], strict=True)
        begin = 0
        for name, dtype, shape, size in described:
            self._state[name] = packed[begin : begin + size].view(getattr(torch, dtype)).view(shape).clone()
            begin += size


class Sleep:
    """Level 2: weights are garbage afterwards, and questions wait until all of it is awake."""

    def __init__(self, model: Any) -> None:
        self._model, self._changed = model, threading.Condition()
        self.asleep: set[str] = set()
        self.paused = False

    @torch.no_grad()
    def respond(self, path: str) -> Any:
        tags = parse_qs(urlsplit(path).query).get("tags")
        with self._changed:
            if path.startswith("/sleep"):
                self.asleep, self.paused = {"weights", "kv_cache"}, True
                for weight in self._model.parameters():
                    weight.fill_(GARBAGE)
                return {"status": "sleeping", "level": 2}
            self.asleep -= set(tags or self.asleep)
            self.paused = bool(self.asleep)
            self._changed.notify_all()
            return {"status": "sleeping" if self.asleep else "awake", "tags": tags}

    def check(self, tag: str) -> None:
        if tag in self.asleep:
            raise Refused("CUDA error: an illegal memory access was encountered.")

    def wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self.paused, PATIENCE_S)
