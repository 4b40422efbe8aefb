"""The settings of the engine: what draws the completions. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

from .settings import Flag, Positive, Range, SettingError, Settings


@dataclass(frozen=True)
class EngineConfig(Settings):
    """What draws the completions: the model itself, or a server that is handed its weights."""

    kind: Annotated[Literal["local", "vllm"], Flag("engine")] = "local"
    """local samples in this process, from the weights that are trained; vllm from a vLLM server, which runs
    in an environment of its own (palaestra engine install vllm) and is handed the weights after each update
    (docs/engines.md)."""
    url: Annotated[str, Flag("engine_url")] = ""
    """vllm: a server that runs already, as http://localhost:8000, started with VLLM_SERVER_DEV_MODE=1 for the
    same model; none: one is started, and ended with the run. Its key is read from VLLM_API_KEY."""
    python: Annotated[str, Flag("engine_python")] = ""
    """vllm: interpreter of an environment that has vLLM; none: that of `palaestra engine install vllm`."""
    folder: Annotated[str, Flag("engine_folder")] = ""
    """vllm: folder in which the weights are handed over, as large as they are; a server on another machine
    must see it by the same path. None: a temporary one, in the main memory where that has room."""
    weights: Annotated[Literal["auto", "ipc", "files"], Flag("engine_weights")] = "auto"
    """vllm: how weights are handed over. ipc: by handles of the memory of the card that trainer and server
    share; for a server that the run starts, in one process. files: by a folder, everywhere. auto: ipc where
    it can be, else files."""
    flags: Annotated[tuple[str, ...], Flag("engine_flag")] = ()
    """vllm: further options of the server that is started, each as --name=value."""
    memory: Annotated[Annotated[float, Range(0, 1, open_low=True)], Flag("engine_memory")] = 0.4
    """vllm on a GPU: share of its memory that the server takes, above 0 to 1. With --keep-sampler no it gives
    it back during updates, which may then take nearly all of the card."""
    timeout: Annotated[Positive, Flag("engine_timeout")] = 600.0
    """vllm: seconds until the server must be up, and that one of its answers may take; then the run stops."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            parts = urlsplit(self.url)
            named = parts.hostname if parts.port != 0 else None
        except ValueError:  # a port that is none, too
            parts, named = urlsplit(""), None
        more = parts.path.strip("/") or parts.query or parts.fragment or parts.username
        if self.url and (parts.scheme not in ("http", "https") or not named or more):
            raise SettingError(
                f"engine_url {self.url!r}: give a server's address alone, as http://localhost:8000."
            )
        if self.url and self.weights == "ipc":
            raise SettingError(
                "engine_weights ipc is for a server that the run starts, and engine_url names another: leave "
                "out one of the two."
            )
        if wrong := next((text for text in self.flags if not text.startswith("--")), None):
            raise SettingError(f"engine_flag {wrong!r}: give an option of vLLM's server as --name=value.")

    @property
    def corrects(self) -> bool:
        """Whether its arithmetic is its own, so that an update corrects for the difference."""
        return self.kind != "local"
