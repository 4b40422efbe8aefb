"""The task that the settings name: one by its name, one of a file, or data of one's own. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...tasks.core import registry
from ...tasks.core.errors import UserError
from ...tasks.core.task import Task
from ...tasks.data.judges import names_code
from ...tasks.data.own import open_task
from ...tasks.data.report import report
from ...tasks.data.spec import DataSpec
from ...tasks.data.table import Table
from .parse import make_task_options
from .shared import TaskConfig

Say = Callable[[str], None]
DEFAULT = "addition"
COLUMNS = ("prompt", "answer", "choices", "solution", "split", "test_share", "bad_rows")
TRAINED, MEASURED = ("train", "test"), ("test",)


def load_task(config: TaskConfig) -> Task:
    """The task of these settings: what `--task` names, or else a task of `--data`, or else `addition`.

    Raises UserError for settings that do not go together, a task that is not there, data that can't be found
    and columns that they don't have.
    """
    said = [name for name in (*COLUMNS, "verify") if _is_set(config, name)]
    if config.name == "auto" and config.data:
        if config.option:
            raise UserError("--option belongs to a task: --data of your own have columns. Leave it out.")
        chosen = {name: getattr(config, name) for name in COLUMNS if hasattr(config, name)}
        return open_task(DataSpec(config.data, verify=config.verify, **chosen))
    if said and config.name == "auto":
        raise UserError(f"{_flag(said[0])} says how --data are read: give --data FILE, too.")
    options = make_task_options(config.option, config.data)
    task = registry.get(DEFAULT if config.name == "auto" else config.name)
    if said and isinstance(task.source, Table) and "verify" not in said:
        return task.with_options({**options, **{name: getattr(config, name) for name in said}})
    if said:
        raise UserError(
            f"{_flag(said[0])} belongs to --data of your own; task {task.name} says itself how its rows are "
            f"read and judged. Leave out {_flag(said[0])}, or --task."
        )
    return task.with_options(options)


def check_data(task: Task, needed: Sequence[str], say: Say = lambda _line: None) -> None:
    """Read a data set's splits that are needed, and say what there is to know of data of one's own.

    Raises UserError where something is wrong with them: `palaestra data check` shows the same.
    """
    if isinstance(task.source, Table):
        found = report(task, needed)
        found.refuse()
        for line in found.write_lines():
            say(line)
        return
    for split in needed:
        if split in task.splits:
            task.source.size(split)


def open_data(config: TaskConfig, needed: Sequence[str]) -> None:
    """`load_task` and `check_data` of data of one's own, before anything heavy is imported: a mistake is
    answered at once, and what was read is kept. Other tasks wait."""
    if config.name == "auto" and config.data:
        check_data(load_task(config), needed)


def name_flags(config: TaskConfig) -> str:
    """The flags that name the same task to another command."""
    if config.name != "auto" or not config.data:
        return f"--task {DEFAULT if config.name == 'auto' else config.name}"
    chosen = {name: getattr(config, name) for name in COLUMNS if hasattr(config, name)}
    return DataSpec(config.data, verify=config.verify, **chosen).write_flags()


def name_code(config: TaskConfig) -> list[str]:
    """The code that the task is made of, as the settings name it."""
    return [config.name, *([config.verify] if names_code(config.verify) else [])]


def _is_set(config: TaskConfig, name: str) -> bool:
    return hasattr(config, name) and getattr(config, name) != getattr(type(config)(), name)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
