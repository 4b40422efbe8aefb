"""Several tasks in one command: names with commas, a level behind a name, a suite file. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...tasks.core.errors import UserError
from .evaluation import EvalConfig
from .parse import read_file
from .settings import SettingError, merge

SUITES = (".toml", ".yaml", ".yml")
EVALUATIONS = "evaluations"


def list_tasks(config: EvalConfig) -> list[EvalConfig]:
    """The settings for each task. Raises UserError for an empty name, and a suite file that is none."""
    return [each for name in split_names(config.task.name, "--task") for each in _read_task(config, name)]


def check_settings(config: EvalConfig) -> None:
    """Raise UserError for settings of one evaluation that make no sense together."""
    if config.sampling.temperature == 0 and config.sampling.samples > 1:
        raise UserError(
            "Greedy decoding gives the same completion every time: use --samples 1, or a --temperature "
            "above 0."
        )
    config.estimate.list_ks(config.sampling.samples)


def split_names(text: str, flag: str) -> list[str]:
    """The names in a list with commas; the path of a file or folder is one name."""
    if Path(text).exists() or "," not in text:
        return [text]
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UserError(f"{flag} {text}: a name is empty. Give names with single commas between them.")
    return names


def _read_task(config: EvalConfig, name: str) -> list[EvalConfig]:
    """The settings for NAME, NAME:LEVEL, or each entry of a suite file."""
    if name.endswith(SUITES):
        return _read_suite(config, Path(name))
    task, colon, level = name.rpartition(":")
    if colon and level.isdecimal():
        return [config.but(task=task, level=int(level))]
    return [config.but(task=name)]


def _read_suite(config: EvalConfig, path: Path) -> list[EvalConfig]:
    """What a suite file asks for: settings for all of it, and a list `evaluations` of names or of settings.

    An entry wins over the file, and the file over the command line.
    """
    values = read_file(path)
    entries = values.pop(EVALUATIONS, None)
    if not isinstance(entries, list) or not entries:
        raise SettingError(
            f"{path}: a suite has a list '{EVALUATIONS}' of tasks, each a name or a table of settings with "
            "'task' in it."
        )
    shared = merge(config, values, str(path))
    found: list[EvalConfig] = []
    for number, entry in enumerate(entries, 1):
        where = f"{path}, evaluation {number}"
        settings = {"task": entry} if isinstance(entry, str) else entry
        if not isinstance(settings, Mapping) or not settings.get("task"):
            raise SettingError(f"{where}: give the name of a task, or settings with 'task' in them.")
        each = merge(shared, settings, where)
        if each.task.name.endswith(SUITES) or "," in each.task.name:
            raise SettingError(f"{where}: {each.task.name} is not one task. Give each an entry of its own.")
        found += _read_task(each, each.task.name)
    return found
