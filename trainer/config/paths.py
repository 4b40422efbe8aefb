"""Settings that name files or folders, made absolute, so that a run goes on from wherever it is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from ...tasks.core.rowfiles import SUFFIXES
from .settings import Settings, change, list_settings

OBJECTS = {"task", "algorithm", "loss.kind", "verify"}  # FILE.py, FILE.py:name, mine.jsonl, or no path
FILES = {
    "model",
    "ppo.critic_model",
    "data",
    "pairs",
    "eval_data",
    "prompt_template",
}  # a file or folder, or a name on the hub
NAMED_FILES = {"reward_model"}  # the same, also as name=FOLDER
Config = TypeVar("Config", bound=Settings)


def make_paths_absolute(config: Config) -> Config:
    """The settings of a command with every file and folder that is there by its absolute path."""
    changes: dict[tuple[str, ...], object] = {}
    for setting in list_settings(type(config)):
        if setting.name in OBJECTS | FILES | NAMED_FILES:
            value = setting.value(config)
            changes[setting.path] = (
                tuple(_resolve(text, setting.name) for text in value)
                if isinstance(value, tuple)
                else _resolve(value, setting.name)
            )
    return change(config, changes)


def find_place(spec: str) -> str:
    """FILE.py of FILE.py and FILE.py:name, package.module of package.module:name."""
    return spec.rpartition(":")[0] or spec


def _resolve(text: str, name: str) -> str:
    if name in OBJECTS:
        place = find_place(text)
        named = place.endswith((".py", *SUFFIXES))
        return _make_absolute(place) + text[len(place) :] if named else text
    if name in NAMED_FILES and not Path(text).exists():
        head, equals, place = text.rpartition("=")
        return head + equals + _make_absolute(place)
    return text if text == "embedded" else _make_absolute(text)


def _make_absolute(text: str) -> str:
    path = Path(text)
    return str(path.absolute()) if text and path.exists() else text
