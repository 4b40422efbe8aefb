"""The code and the data that a run names: where they were, their hashes, a copy of the code, and what has
changed."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import inspect
import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.core import registry
from ...tasks.core.errors import UserError
from ...tasks.core.task import REGISTERED, Task
from ...tasks.core.world_hash import find_world_file, hash_worlds
from ..config.paths import find_place

SOURCES, WORLDS = "sources", "worlds"
OF_WORLD = "world of "  # before a task's name, in what changed
MAKERS = ("generate", "to_problem", "load")  # the function of a task's source that makes its problems
SHOWN = 12  # lines of a difference
ACCEPT = "--task-changed ok"


@dataclass(frozen=True)
class Change:
    """Code or data that is another than when a run began. name: as the settings have it.  shown: the
    difference, as lines for a person."""

    name: str
    path: str
    shown: str


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


def record_data(places: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The data files among these (those of a folder one by one), by their paths: sha256 and bytes."""
    recorded = {}
    for place in map(Path, places):
        for path in sorted(place.iterdir()) if place.is_dir() else [place]:
            if path.is_file() and not path.name.startswith("."):
                recorded[str(path)] = {"sha256": _hash_file(path), "bytes": path.stat().st_size}
    return recorded


def record_worlds(names: Iterable[str]) -> dict[str, str]:
    """The hash of the worlds of each task among what is named, by its name, once the tasks are loaded; those
    without episodes have none."""
    loaded = ((name, registry.find_loaded(name)) for name in names)
    return {name: world for name, task in loaded if task is not None and (world := hash_worlds(task))}


def _hash_worlds(name: str) -> str:
    task = _find_task(name)
    return hash_worlds(task) if task is not None else ""


def _find_task(name: str) -> Task | None:
    """The task that a name is of; None where it is gone. What is loaded counts, as it runs: a file that runs
    again makes other classes of the same names, by which the worlds of the first are no longer found."""
    try:
        return registry.find_loaded(name) or registry.get(name)
    except UserError:
        return None


def refuse_changes(
    folder: Path, facts: Mapping[str, Any], accepted: bool, say: Callable[[str], None]
) -> None:
    """Raise UserError where the code or the data of a run are others than when it began, and that is not
    accepted; what is accepted is said. Raises UserError where a file is gone, too."""
    changes = list_changes(folder, facts)
    if not changes:
        return
    shown = "\n".join(change.shown for change in changes)
    if accepted:
        say(f"Changed since the run began, and accepted:\n{shown}")
        return
    command = f"{shlex.join(['palaestra', 'resume', str(folder)])} {ACCEPT}"
    raise UserError(
        f"{', '.join(change.path for change in changes)} changed since the run began:\n{shown}\nPut back "
        f"what it was (a copy of the code is in {folder / SOURCES}), or go on with it as it is now: {command}"
    )


def list_changes(folder: Path, facts: Mapping[str, Any]) -> list[Change]:
    """What is another than when the run began. Raises UserError where a file is gone."""
    changes = []
    for name, recorded in facts["sources"].items():
        path, copy = _find_recorded(folder, name, recorded), folder / recorded["copy"]
        if path is None or _hash_file(path) != recorded["sha256"]:
            changes.append(Change(name, str(path or name), _show_difference(copy, path)))
    for name, recorded in facts.get(WORLDS, {}).items():
        if _hash_worlds(name) != recorded:
            changes.append(_describe_changed_world(name))
    for place, recorded in facts.get("data", {}).items():
        path = Path(place)
        if not path.is_file():
            raise UserError(f"{place} is gone, with data of this run. Put it back, then go on.")
        size = path.stat().st_size
        if size != recorded["bytes"] or _hash_file(path) != recorded["sha256"]:
            sizes = f"{recorded['bytes']:,} bytes then, {size:,} now"
            changes.append(Change(place, place, f"{place}: other data ({sizes})."))
    return changes


def _describe_changed_world(name: str) -> Change:
    task = _find_task(name)
    path = find_world_file(task) if task is not None else ""
    shown = f"{path or name}: other code (there, or in what it reaches), other tools, or other limits."
    return Change(f"{OF_WORLD}{name}", f"the {OF_WORLD}{name}", shown)


def record_changes(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a run's facts that are others now, with new copies of its code; {} where nothing is.

    `changes` lists what they were before.
    """
    changes = list_changes(folder, facts)
    if not changes:
        return {}
    names = [change.name for change in changes]
    sources = {**facts["sources"], **record_sources(folder, [n for n in names if n in facts["sources"]])}
    known, worlds = facts.get("data", {}), facts.get(WORLDS, {})
    data = {**known, **record_data([name for name in names if name in known])}
    hashes = {f"{OF_WORLD}{name}": {"sha256": world} for name, world in worlds.items()}
    recorded = {**hashes, **known, **facts["sources"]}
    before = [{"name": name, **recorded[name]} for name in names]
    changed = {"sources": sources, "data": data, "changes": [*facts.get("changes", []), *before]}
    return {**changed, **({WORLDS: {**worlds, **record_worlds(worlds)}} if worlds else {})}


def _find_recorded(folder: Path, name: str, recorded: Mapping[str, str]) -> Path | None:
    """Where the code of a name is now. Raises UserError where a file of the user's is gone."""
    if find_place(name).endswith(".py") and not Path(recorded["path"]).is_file():
        copy = folder / recorded["copy"]
        raise UserError(
            f"{recorded['path']} is gone. The run keeps a copy in {copy}; put it back: "
            f"{shlex.join(['cp', str(copy), recorded['path']])}"
        )
    if _is_task_name(name):
        registry.get(name)
    return find_source_file(name)


def _show_difference(copy: Path, path: Path | None) -> str:
    """The first lines of the difference between a run's copy and the file as it is now."""
    before, after = _read_code(copy), _read_code(path) if path is not None else []
    then, now = f"{path or copy} then", f"{path or 'nothing'} now"
    lines = list(difflib.unified_diff(before, after, then, now, n=1, lineterm=""))
    more = [f"... {len(lines) - SHOWN} more lines"] if len(lines) > SHOWN else []
    return "\n".join([*(f"    {line}" for line in [*lines[:SHOWN], *more])])


def _read_code(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []


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
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
