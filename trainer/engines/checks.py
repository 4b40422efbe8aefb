"""Whether the engine that the settings ask for can be had here. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...tasks.core.errors import UserError
from ..config.engine import EngineConfig
from ..model.cache_folder import find_cache_folder
from .vllm.install import find_python
from .vllm.wire import Wire

LOOK_S = 10.0  # that a server which runs already may take to say what it serves


def check_engine(config: EngineConfig) -> None:
    """Raise UserError for an engine that can't be started or reached here, before anything is computed."""
    given = {"--engine-python": config.python, "--engine-flag": config.flags}
    if config.kind == "local":
        given |= {"--engine-url": config.url, "--engine-folder": config.folder}
        given |= {"--engine-weights": "" if config.weights == "auto" else config.weights}
        _refuse_unread(given, "the local engine does not read it. Add --engine vllm.")
    elif config.url:
        _refuse_unread(
            given,
            "it is of a server that is started, and --engine-url names one that runs already. Leave out one "
            "of the two.",
        )
        wire = Wire(config.url.rstrip("/"), min(LOOK_S, config.timeout))
        wire.get("/v1/models")
        wire.hang_up()
    else:
        find_python(config.python, find_cache_folder())


def _refuse_unread(given: Mapping[str, Any], reason: str) -> None:
    """given: what was said by each flag.  reason: why none of them is read."""
    if unread := next((flag for flag, value in given.items() if value), None):
        raise UserError(f"{unread} would have no effect: {reason}")
