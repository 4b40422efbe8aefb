"""Whether a task's problems are at hand, or have to be fetched first. Reads no data and asks no network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from .dataset import Dataset, Hub
from .sources import Procedural, Rows
from .task import Task

Reach = Literal["procedural", "packaged", "cached", "network", "local"]
MEANINGS: dict[Reach, str] = {
    "procedural": "made on the spot",
    "packaged": "part of the package",
    "cached": "in the hub's cache on this machine",
    "network": "fetched from the hub at first use",
    "local": "read from data of your own (--data)",
}


def find_reach(task: Task) -> Reach:
    """Where the problems of a task come from, as its options are set."""
    source = task.source
    if isinstance(source, Procedural):
        return "procedural"
    if isinstance(source, Rows):
        return "packaged"
    if not isinstance(source, Dataset) or source.data or source.hub is None:
        return "local"
    return "cached" if _is_cached(source.hub) else "network"


def _is_cached(hub: Hub) -> bool:
    """Whether the library `datasets` has prepared every configuration, which it then reads offline, too."""
    prepared = [folder for folder in _list_folders(_find_cache()) if _fold(folder.name) == _fold(hub.path)]
    wanted = hub.config if isinstance(hub.config, tuple) else (hub.config or "*",)
    return bool(prepared) and all(
        any(any(folder.glob(f"{config}/*/*/dataset_info.json")) for folder in prepared) for config in wanted
    )


def _find_cache() -> Path:
    """The folder that the library `datasets` keeps what it has prepared in."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    return Path(os.environ.get("HF_DATASETS_CACHE") or f"{home}/datasets").expanduser()


def _list_folders(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if path.is_dir()] if place.is_dir() else []


def _fold(name: str) -> str:
    """`owner/TheName` and `owner___the_name`, as the cache has it, alike."""
    return name.replace("/", "").replace("_", "").lower()
