"""Checkpoints written by another thread while the steps go on, from a copy that these can't change."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from ...tasks.core.errors import RunError, UserError, shorten


def copy_to_host(value: Any) -> Any:
    """Plain data with tensors in it, each tensor as a copy in the main memory."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: copy_to_host(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copy_to_host(inner) for inner in value)
    return value


class Twin:
    """A module with the same structure, in the main memory or on another device, whose weights are as they
    were at `refresh`."""

    def __init__(self, module: nn.Module, device: str | torch.device = "cpu") -> None:
        self._tensors = [*module.parameters(), *module.buffers()]
        memo: dict[int, Any] = {}
        for tensor in self._tensors:
            copied = tensor.detach().to(device, copy=True)
            parameter = isinstance(tensor, nn.Parameter)
            memo[id(tensor)] = nn.Parameter(copied, requires_grad=False) if parameter else copied
        self._copies = [memo[id(tensor)] for tensor in self._tensors]
        self.module = copy.deepcopy(module, memo)

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the weights of now."""
        for copied, tensor in zip(self._copies, self._tensors, strict=True):
            copied.copy_(tensor)


class Saver:
    """Writes the checkpoints of a run, one at a time: itself, or by another thread.

    A context around the steps: at its end it waits for what is being written, so that whoever tells of the
    newest checkpoint has it; after a KeyboardInterrupt it does not, and what is unfinished never appears.

    background: whether another thread writes.
    """

    def __init__(self, background: bool) -> None:
        self.background = background
        self._twin: Twin | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._abandoned = threading.Event()

    def __enter__(self) -> Saver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._abandoned.set()
        elif kind is not None:
            self._join()  # what ended the run is to be told, not what failed beside it
        else:
            self.wait()

    def wanted(self) -> bool:
        """Whether what is being written is to appear."""
        return not self._abandoned.is_set()

    def take_model(self, module: nn.Module) -> nn.Module:
        """What is to be written of a module: itself, or a copy of it as it is now. Waits for the checkpoint
        that is being written from the copy before."""
        if not self.background:
            return module
        self.wait()
        if self._twin is None:
            self._twin = Twin(module)
        else:
            self._twin.refresh()
        return self._twin.module

    def take_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """What is to be written of a state: itself, or a copy."""
        return copy_to_host(state) if self.background else state

    def run(self, what: str, write: Callable[[], None]) -> None:
        """Write, or have another thread do it. what: its name, for the sentence about a failure.

        Raises what an earlier one failed with.
        """
        if not self.background:
            write()
            return
        self.wait()

        def attempt() -> None:
            try:
                write()
            except UserError as failure:
                self._failure = failure
            except BaseException as failure:  # noqa: BLE001 nothing may end a thread in silence
                said = RunError(
                    f"{what} could not be written: {type(failure).__name__}: {shorten(str(failure))}."
                )
                said.__cause__ = failure
                self._failure = said

        self._thread = threading.Thread(target=attempt, name="checkpoint", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what a checkpoint failed with, where that is known already."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def wait(self) -> None:
        """Until what is being written is there. Raises what it failed with."""
        self._join()
        self.check()

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None


def saves_in_background(setting: str, device: torch.device) -> bool:
    """Whether another thread writes the checkpoints of a model on this device."""
    return setting == "yes" or (setting == "auto" and device.type == "cuda")
