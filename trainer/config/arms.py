"""Arms: runs that differ in a few settings and share everything else. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .arguments import read_text
from .files import read_file
from .settings import Setting, SettingError, list_settings, merge
from .train import TrainConfig

BASE = "base"
FILES = (".toml", ".yaml", ".yml", ".json")
RESERVED = ("start", "comparison")  # folders beside those of the arms
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
SHARED_GROUPS = {"task", "prompt", "evaluation"}
SHARED = {
    *("arms", "seed", "steps", "stop_after", "sft_steps", "out", "log", "model", "prompts_per_step"),
    *("max_prompt_tokens", "save_every", "keep"),
}
"""Settings that arms share: they see the same problems, in the same order, with the same seeds."""
SYNTAX = (
    "Write setting=value for each arm, with commas between them and + between several settings of one arm "
    "(control=random,short:preset=dr-grpo+max_new_tokens=64), or a file with a table for each arm."
)


@dataclass(frozen=True)
class Arm:
    """name: of its folder.  config: all settings of its run, but for the folder."""

    name: str
    config: TrainConfig


def read_arms(config: TrainConfig) -> list[Arm]:
    """The arms of a command, first the settings themselves, as `base`.

    Raises SettingError, which names the arm, for a setting that does not exist, that arms share, or whose
    value is out of its range, and for two arms of one name.
    """
    base = config.but(arms="")
    asked = _read_file(config.arms) if config.arms.endswith(FILES) else _read_text(config.arms)
    arms = [Arm(BASE, base)]
    for name, values in asked.items():
        if name.lower() in RESERVED:
            raise SettingError(f"--arms: {name} is a folder of the arms' own. Name the arm otherwise.")
        if not NAME.fullmatch(name):
            raise SettingError(f"--arms: {name!r} names no folder. Give letters, digits, dots and dashes.")
        if name == BASE:
            raise SettingError(f"--arms: {BASE} is the command's own settings. Name the arm otherwise.")
        config_of_arm = _change(base, name, values)
        if twin := next((arm.name for arm in arms if arm.config == config_of_arm), ""):
            raise SettingError(f"--arms: {name} has the settings of {twin}. Leave one of them out.")
        arms.append(Arm(name, config_of_arm))
    return arms


def _change(base: TrainConfig, name: str, values: Mapping[str, Any]) -> TrainConfig:
    where = f"--arms, {name}"
    changed = merge(base, values, where)
    for setting in list_settings(TrainConfig):
        if setting.value(changed) != setting.value(base) and is_shared(setting):
            raise SettingError(
                f"{where}: arms share {setting.name.replace('_', '-')}, so that they can be compared "
                f"problem by "
                "problem. Give it to the whole command."
            )
    if changed == base:
        raise SettingError(f"{where}: it has the settings of {BASE}. Give one that differs.")
    return changed


def is_shared(setting: Setting) -> bool:
    return setting.path[0] in SHARED_GROUPS or setting.name in SHARED


def _read_text(text: str) -> dict[str, dict[str, Any]]:
    """As `control=random,short:preset=dr-grpo+max_new_tokens=64`."""
    arms: dict[str, dict[str, Any]] = {}
    known = {setting.name: setting for setting in list_settings(TrainConfig)}
    for part in filter(None, map(str.strip, text.split(","))):
        label, colon, rest = part.partition(":")
        named = bool(colon) and "=" not in label
        settings = rest if named else part
        values: dict[str, Any] = {}
        for pair in settings.split("+"):
            name, equals, value = pair.strip().partition("=")
            name = name.replace("-", "_")
            if not equals or not name:
                raise SettingError(f"--arms {part!r}: {pair!r} is no setting=value. {SYNTAX}")
            if name in values:
                raise SettingError(f"--arms {part!r}: {name} is given twice. Leave one of them out.")
            values[name] = _read_value(known.get(name), value)
        arm = label if named else "-".join(f"{name}-{pair}" for name, pair in _split(settings))
        arm = re.sub(r"[^A-Za-z0-9._-]+", "-", arm).strip("-")
        if arm in arms:
            raise SettingError(f"--arms: two arms are named {arm}. Name one of them: NAME:setting=value.")
        arms[arm] = values
    if not arms:
        raise SettingError(f"--arms {text!r} names no arm. {SYNTAX}")
    return arms


def _split(settings: str) -> list[tuple[str, str]]:
    pairs = [pair.strip().partition("=") for pair in settings.split("+")]
    return [(name, value.rpartition("/")[2]) for name, _, value in pairs]


def _read_value(setting: Setting | None, text: str) -> Any:
    if setting is None or setting.hint is bool:
        return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)
    return read_text(text, setting.hint, f"--arms: {setting.name}")


def _read_file(name: str) -> dict[str, dict[str, Any]]:
    """A file with a table for each arm."""
    values = read_file(Path(name))
    wrong = [arm for arm, table in values.items() if not isinstance(table, Mapping)]
    if wrong or not values:
        where = f"{wrong[0]} is no table" if wrong else "it is empty"
        raise SettingError(f"{name}: {where}. Write a table of settings for each arm, as [short].")
    return {arm: dict(table) for arm, table in values.items()}


def name_arms(config: TrainConfig, task: str) -> str:
    """The folder of all arms, in runs/."""
    return f"{task}-{config.seed}-arms"
