"""The task that the settings name: one by its name, one of a file, or data of one's own. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ...tasks.core import registry
from ...tasks.core.errors import UserError
from ...tasks.core.mixture import Component, mix, names_mixture, read_names
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
OF_ONE_TASK = ("data", "prompt", "answer", "verify", "choices", "solution", "split")
TRAINED = ("train", "test")


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
    if names_mixture(config.name):
        return _load_mixture(config)
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


def _load_mixture(config: TaskConfig) -> Task:
    """The tasks of NAME[@LEVEL][:WEIGHT],... as one; a name may be that of a file."""
    of_one = [name for name in OF_ONE_TASK if getattr(config, name, "")]
    if of_one:
        raise UserError(
            f"--{of_one[0]} belongs to one task, and --task {config.name} is a mixture. Leave it out, or say "
            "which task it is for: --option NAME.data=FOLDER."
        )
    names = read_names(config.name)
    options = _share_options(config.option, [each.name for each in names])
    mixture = mix([
        Component(load_task(replace(config, name=each.name, level="all", option=options[each.name])),
             each.weight, each.level)
        for each in names
    ])  # fmt: skip
    mixture.check_level(config.single_level)
    return mixture


def _share_options(options: Sequence[str], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The options NAME.option=value of each task of a mixture. Raises UserError for one that names none."""
    shared: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    for text in options:
        of = [name for name in names if text.startswith(f"{name}.")]
        if not of:
            raise UserError(
                f"--option {text}: a mixture's options say which task they are of, as {names[0]}.{text}."
            )
        name = max(of, key=len)
        shared[name] += (text[len(name) + 1 :],)
    return shared


def check_data(task: Task, needed: Sequence[str], say: Say = lambda _line: None) -> None:
    """Read a data set's splits that are needed, and say what there is to know of data of one's own.

    Raises UserError where something is wrong with them: `palaestra data check` shows the same.
    """
    for member in task.members:
        _check_data(member, needed, say)


def _check_data(task: Task, needed: Sequence[str], say: Say) -> None:
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
