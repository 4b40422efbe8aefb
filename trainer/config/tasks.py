"""The task that the settings name: one by its name, one of a file, or data of one's own. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ...tasks.core import registry
from ...tasks.core.errors import UserError
from ...tasks.core.rowfiles import SUFFIXES
from ...tasks.core.task import Task
from ...tasks.core.trial import refuse_broken
from ...tasks.data.own import open_task
from ...tasks.data.report import report
from ...tasks.data.spec import DataSpec
from ...tasks.data.table import Table
from .parse import make_task_options
from .shared import TaskConfig, TrainedTaskConfig

Say = Callable[[str], None]
DEFAULT = "addition"
TRAINED, MEASURED = ("train", "test"), ("test",)


def describe_data(config: TaskConfig) -> DataSpec:
    """What the settings say of `--data`. Raises DataError where they name none."""
    return DataSpec(
        config.data,
        prompt=config.prompt,
        answer=config.answer,
        verify=config.verify,
        choices=config.choices,
        solution=config.solution,
        split=config.split if isinstance(config, TrainedTaskConfig) else "",
        test_share=config.test_share,
        bad_rows=config.bad_rows,
    )


def load_task(config: TaskConfig) -> Task:
    """The task of these settings: what `--task` names, or else a task of `--data`, or else `addition`.

    Raises UserError for settings that do not go together, a task that is not there, data that can't be found
    and columns that they don't have.
    """
    config = _take_file_as_data(config)
    if _names_own_data(config):
        if config.option:
            raise UserError("--option belongs to a task: --data of your own have columns. Leave it out.")
        return open_task(describe_data(config))
    said = describe_data(replace(config, data="none")).list_said()
    flag = f"--{said[0].replace('_', '-')}" if said else ""
    if said and config.name == "auto":
        raise UserError(f"{flag} says how --data are read: give --data FILE, too.")
    task = registry.get(DEFAULT if config.name == "auto" else config.name)
    if said and (not isinstance(task.source, Table) or "verify" in said):
        raise UserError(
            f"{flag} belongs to --data of your own; task {task.name} says itself how its rows are read and "
            f"judged. Leave out {flag}, or --task."
        )
    given = {name: getattr(config, name) for name in said}
    return task.with_options({**make_task_options(config.option, config.data), **given})


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
    refuse_broken(task)


def name_flags(config: TaskConfig) -> str:
    """The flags that name the same task to another command."""
    config = _take_file_as_data(config)
    if _names_own_data(config):
        return describe_data(config).write_flags()
    return f"--task {DEFAULT if config.name == 'auto' else config.name}"


def _take_file_as_data(config: TaskConfig) -> TaskConfig:
    """`--task mine.jsonl` is `--data mine.jsonl`."""
    if config.data or not config.name.lower().endswith(SUFFIXES):
        return config
    return replace(config, name="auto", data=config.name)


def _names_own_data(config: TaskConfig) -> bool:
    return config.name == "auto" and bool(config.data)
