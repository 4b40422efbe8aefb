"""What the commands on tasks share: which task, with which data, and whole numbers among the arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from ...tasks.core.isolation import isolate
from ...tasks.core.task import Task
from ..config.arguments import read_text
from ..config.settings import SettingError, describe
from ..config.shared import TaskConfig
from ..config.tasks import load_task
from ..terminal import say
from .data_flags import add_data_flags, read_data_flags


def read_number(hint: Any) -> Callable[[str], int]:
    """What reads a whole number in its range, for argparse."""

    def read(text: str) -> int:
        try:
            return read_text(text, hint, "")
        except SettingError as failure:
            raise argparse.ArgumentTypeError(f"{text!r} is not {describe(hint)}") from failure

    return read


def add_task(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument(
        name, help="a task's name, the path of its file (./my_task.py), or data of your own (mine.jsonl)"
    )
    add_own_data(parser)
    parser.add_argument("--data", default=None, metavar="PATH", help="local file or folder; none: the hub")


def add_own_data(parser: argparse.ArgumentParser) -> None:
    """The flags that say how data of one's own are read, and the task's options."""
    add_data_flags(parser, split=False)
    parser.add_argument(
        "--option", "-o", action="append", default=[], metavar="NAME=VALUE", help="option of the task"
    )


def add_sandbox(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-weak-sandbox", action="store_true", help="run programs even where isolation is too weak"
    )


def read_config(name: str, arguments: argparse.Namespace) -> TaskConfig:
    return read_data_flags(arguments, arguments.data or "", split=False, name=name, option=arguments.option)


def read_task(name: str, arguments: argparse.Namespace) -> Task:
    return load_task(read_config(name, arguments))


def load_isolated(name: str, arguments: argparse.Namespace) -> Task:
    """The task, its programs isolated."""
    task = read_task(name, arguments)
    # What these commands print on standard output may be read by a program.
    isolate(task, arguments.allow_weak_sandbox, lambda text: say(text, sys.stderr), "--allow-weak-sandbox")
    return task
