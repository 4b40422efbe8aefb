"""Whether the engine that the settings ask for can be had here. Imports no torch."""

from __future__ import annotations

from ...tasks.core.errors import UserError
from ..config.engine import EngineConfig
from ..model.cache_folder import find_cache_folder
from .vllm.install import find_python
from .vllm.wire import Wire

LOOK_S = 10.0  # that a server which runs already may take to say what it serves


def check_engine(config: EngineConfig) -> None:
    """Raise UserError for an engine that can't be started or reached here, before anything is computed."""
    if config.kind == "vllm" and not config.url:
        find_python(config.python, find_cache_folder())
    elif config.kind == "vllm":
        given = {"--engine-python": config.python, "--engine-flag": config.flags}
        if unread := next((flag for flag, value in given.items() if value), None):
            raise UserError(
                f"{unread} would have no effect: it is of a server that is started, and --engine-url names "
                "one that runs already. Leave out one of the two."
            )
        wire = Wire(config.url.rstrip("/"), min(LOOK_S, config.timeout))
        wire.get("/v1/models")
        wire.hang_up()
    if config.kind == "local":
        given = {"--engine-url": config.url, "--engine-python": config.python}
        given |= {"--engine-folder": config.folder, "--engine-flag": config.flags}
        given |= {"--engine-weights": "" if config.weights == "auto" else config.weights}
        if unread := next((flag for flag, value in given.items() if value), None):
            raise UserError(
                f"{unread} would have no effect: the local engine does not read it. Add --engine vllm."
            )
