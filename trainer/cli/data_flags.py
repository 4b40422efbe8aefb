"""The flags that say which data of one's own, for commands that take no other settings. Imports no torch."""

from __future__ import annotations

import argparse
from typing import Any

from ..config.parse import name_flag, read_text, write_metavar
from ..config.settings import Setting, list_settings
from ..config.shared import TrainedTaskConfig

NAMES = ("prompt", "answer", "verify", "choices", "solution", "split", "test_share", "bad_rows")


def list_data_settings() -> list[Setting]:
    """The settings of data of one's own, `data` itself left out."""
    known = {setting.name: setting for setting in list_settings(TrainedTaskConfig)}
    return [known[name] for name in NAMES]


def add_data_flags(parser: argparse.ArgumentParser, *, split: bool = True) -> None:
    """The flags, with the help and the defaults of `palaestra train`. split: whether --split is among them,
    for a command that has no other meaning for it."""
    defaults = TrainedTaskConfig()
    group = parser.add_argument_group("data of your own")
    for setting in list_data_settings():
        if setting.name == "split" and not split:
            continue
        default = setting.value(defaults)
        text = f"{setting.help} (default: {default or 'none'})".replace("%", "%%")
        group.add_argument(
            name_flag(setting),
            dest=setting.name,
            default=argparse.SUPPRESS,
            metavar=write_metavar(setting.hint),
            help=text,
        )


def read_data_flags(
    arguments: argparse.Namespace, data: str, *, split: bool = True, **more: Any
) -> TrainedTaskConfig:
    """The settings of the task: the flags, and what else is known of it. Raises SettingError."""
    given = {
        setting.name: read_text(getattr(arguments, setting.name), setting.hint, name_flag(setting))
        for setting in list_data_settings()
        if setting.name in arguments and (split or setting.name != "split")
    }
    return TrainedTaskConfig(data=data, **given, **more)
