"""The ways by which a policy's weights reach a server: files here, a card's memory in `ipc`.

Whichever is taken, a load ends alike: what the server has computed of prompts is forgotten, and it goes by
the label of the load.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ...model.policy import Policy
from .weights import write_weights
from .wire import EngineError, Wire


class Transfer(Protocol):
    """A way by which weights reach one server."""

    @property
    def name(self) -> str:
        """For a record."""
        ...

    def send(self, policy: Policy) -> None:
        """Have the server hold the policy's weights of now, adapters merged, in the type that the policy
        computes in. Raises EngineError where it can't be asked or refuses."""
        ...


class FileTransfer:
    """By files: `POST /collective_rpc reload_weights` reads a folder in the form of `from_pretrained`.

    folder: the server's machine must see it by the same path.
    """

    name = "files"

    def __init__(self, wire: Wire, folder: Path) -> None:
        self._wire, self._folder = wire, folder

    def send(self, policy: Policy) -> None:
        """See `Transfer.send`."""
        write_weights(policy, self._folder)
        arguments = {"weights_path": str(self._folder)}
        self._wire.post("/collective_rpc", {"method": "reload_weights", "kwargs": arguments})


def commit(wire: Wire, label: str) -> None:
    """After weights were sent: have the server forget what it kept of prompts under the old ones, and go by
    `label`. Raises EngineError where it refuses either."""
    done = wire.post("/reset_prefix_cache", {})
    if not isinstance(done, Mapping) or done.get("success") is not True:
        raise EngineError(
            f"The engine's server at {wire.address} keeps what it computed of prompts under the old weights "
            "(it answered that its prefix cache could not be emptied). Is somebody else asking it?"
        )
    wire.post("/update_weight_version", {"new_version": label})
