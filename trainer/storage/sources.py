"""The code that a run names, of its task, algorithm and loss: where it was, its hash, and a copy of it."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ...tasks.core import registry
from ...tasks.core.errors import UserError
from ...tasks.core.task import REGISTERED
from ..config.paths import find_place

SOURCES = "sources"
MAKERS = ("generate", "to_problem", "load")  # the function of a task's source that makes its problems


def record_sources(folder: Path, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Copy the files of what is named into the folder of a run. By name: path, sha256, copy (in the folder).

    A copy's name ends with a part of its hash, so that files of one name lie side by side.
    """
    recorded = {}
    for name in names:
        path = find_source_file(name)
        if path is None:
            continue
        (folder / SOURCES).mkdir(exist_ok=True)
        digest = _hash_file(path)
        copy = Path(SOURCES) / f"{path.stem}-{digest[:8]}{path.suffix}"
        shutil.copyfile(path, folder / copy)
        recorded[name] = {"path": str(path), "sha256": digest, "copy": str(copy)}
    return recorded


def warn_of_changed_sources(
    folder: Path, facts: Mapping[str, Any], say: Callable[[str], None] = print
) -> None:
    """Name the code that is another than when the run began. Raises UserError where a file is gone."""
    for name, recorded in facts["sources"].items():
        if find_place(name).endswith(".py") and not Path(recorded["path"]).is_file():
            copy = folder / recorded["copy"]
            raise UserError(
                f"{recorded['path']} is gone. The run keeps a copy in {copy}; put it back: "
                f"cp {copy} {recorded['path']}"
            )
        if _is_task_name(name):
            registry.get(name)
        path = find_source_file(name)
        if path is None or _hash_file(path) != recorded["sha256"]:
            say(f"Warning: the code of {name} is another than when the run began.")


def find_source_file(name: str) -> Path | None:
    """The file of a registered task's name, of FILE.py, FILE.py:object and package.module:object; None for
    what has no file of its own."""
    place = find_place(name)
    if place.endswith(".py"):
        return Path(place).resolve() if Path(place).is_file() else None
    if _is_task_name(name):
        return _find_task_file(name)
    try:
        spec = importlib.util.find_spec(place)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def _is_task_name(name: str) -> bool:
    """A name without a place. Those of built-in algorithms and losses belong to no task and have no file."""
    return find_place(name) == name and not name.endswith(".py")


def _find_task_file(name: str) -> Path | None:
    if name not in REGISTERED:
        return None
    source = REGISTERED[name].source
    maker = next((getattr(source, maker) for maker in MAKERS if hasattr(source, maker)), None)
    try:
        file = inspect.getsourcefile(inspect.unwrap(maker)) if maker is not None else None
    except TypeError:  # a callable that is no function
        return None
    return Path(file) if file and Path(file).is_file() else None


def _hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
