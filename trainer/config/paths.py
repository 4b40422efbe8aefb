"""Settings that name files or folders: made absolute, so that a run goes on from wherever it is resumed, and
told apart as code and data, whose changes matter to it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

from ...tasks.core.mixture import names_mixture, read_names
from ...tasks.core.rowfiles import SUFFIXES
from ...tasks.data.judges import names_code
from .settings import Settings, change, list_settings

OBJECTS = {"task", "algorithm", "loss.kind", "verify"}  # FILE.py, FILE.py:name, mine.jsonl, or no path
DATA = {"data", "pairs", "eval_data"}  # a file or folder, or a name on the hub
FILES = DATA | {"model", "ppo.critic_model", "prompt_template", "baseline", "engine_folder", "engine_python"}
NAMED_FILES = {"reward_model"}  # the same, also as name=FOLDER
OPTIONS = "option"  # name=value of a task, whose value may be a path
Config = TypeVar("Config", bound=Settings)


def make_paths_absolute(config: Config) -> Config:
    """The settings of a command with every file and folder that is there by its absolute path."""
    changes: dict[tuple[str, ...], object] = {}
    for setting in list_settings(type(config)):
        if setting.name in OBJECTS | FILES | NAMED_FILES | {OPTIONS}:
            value = setting.value(config)
            changes[setting.path] = (
                tuple(_resolve(text, setting.name) for text in value)
                if isinstance(value, tuple)
                else _resolve(value, setting.name)
            )
    return change(config, changes)


def list_code(config: Settings) -> list[str]:
    """What a command's settings name that is code: a task, an algorithm, a loss, a reward."""
    named = [name for name in _list_names(config, OBJECTS - {"verify"}) if name and not _is_data(name)]
    return [*named, *filter(names_code, _list_values(config, {"verify"}))]


def list_data(config: Settings) -> list[str]:
    """The files and folders of data that a command's settings name."""
    options = [text.partition("=")[2] for text in _list_values(config, {OPTIONS})]
    named = [name for name in _list_names(config, OBJECTS) if _is_data(name)]
    return [text for text in [*_list_values(config, DATA), *named, *options] if _names_a_place(text)]


def _is_data(name: str) -> bool:
    """Whether what stands for a task is a data file."""
    return name.lower().endswith(SUFFIXES)


def _list_names(config: Settings, names: set[str]) -> list[str]:
    """Their values, those of a mixture's tasks apart."""
    values = _list_values(config, names)
    return [
        name
        for text in values
        for name in ([each.name for each in read_names(text)] if names_mixture(text) else [text])
    ]


def _list_values(config: Settings, names: set[str]) -> list[str]:
    values: list[Any] = [
        setting.value(config) for setting in list_settings(type(config)) if setting.name in names
    ]
    return [text for value in values for text in (value if isinstance(value, tuple) else (value,))]


def find_place(spec: str) -> str:
    """FILE.py of FILE.py and FILE.py:name, package.module of package.module:name."""
    return spec.rpartition(":")[0] or spec


def _resolve(text: str, name: str) -> str:
    if name == "task" and names_mixture(text):
        return ",".join(_resolve(part.strip(), name) for part in text.split(","))
    if name in OBJECTS:
        place = find_place(text)
        named = place.endswith((".py", *SUFFIXES))
        return _make_absolute(place) + text[len(place) :] if named else text
    if name == OPTIONS:
        option, equals, value = text.partition("=")
        return f"{option}{equals}{_make_absolute(value) if _names_a_place(value) else value}"
    if name in NAMED_FILES and not Path(text).exists():
        head, equals, place = text.rpartition("=")
        return head + equals + _make_absolute(place)
    return text if text == "embedded" else _make_absolute(text)


def _names_a_place(text: str) -> bool:
    """Whether a value is the path of something that is there, not a word or a number that a file is named by
    chance."""
    return (os.sep in text or "." in text) and Path(text).exists()


def _make_absolute(text: str) -> str:
    path = Path(text).expanduser()
    return str(path.absolute()) if text and path.exists() else text
