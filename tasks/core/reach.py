"""Whether a task's problems are at hand, or have to be fetched first. Reads no data and asks no network."""

from __future__ import annotations

from typing import Literal

from .dataset import Dataset, Hub
from .hub import find_prepared
from .sources import Procedural, Rows
from .task import Task

Reach = Literal["procedural", "packaged", "cached", "network", "local"]
MEANINGS: dict[Reach, str] = {
    "procedural": "made on the spot",
    "packaged": "part of this package or of another one",
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
    if not isinstance(source, Dataset) or source.data:
        return "local"
    if all(source.find_packaged(split) for split in source.splits):
        return "packaged"
    if source.hub is None:
        return "local"
    return "cached" if _is_cached(source.hub) else "network"


def _is_cached(hub: Hub) -> bool:
    """Whether the library `datasets` has prepared every configuration, which it then reads offline, too."""
    prepared = find_prepared(hub.path)
    wanted = hub.config if isinstance(hub.config, tuple) else (hub.config or "*",)
    return bool(prepared) and all(
        any(any(folder.glob(f"{config}/*/*/dataset_info.json")) for folder in prepared) for config in wanted
    )
