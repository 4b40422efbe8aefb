"""Settings from a config file (TOML, YAML, JSON) and from flags; flags win.

Mistakes are sentences that name the fix.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from ...tasks.core.options import parse_option
from .arguments import Option, read_options, take_option
from .files import read_file
from .settings import (
    Setting,
    SettingError,
    Settings,
    UnknownSettingError,
    change,
    list_settings,
    list_unknown,
    read_changes,
    strip_annotation,
)

Config = TypeVar("Config", bound=Settings)
HELP = {"-h": False, "--help": False, "--help-all": True}  # whether every setting is shown
MISSPELT = 3  # unknown names in a file that are still taken for slips; with more, it is another command's


def parse(command: type[Config], argv: Sequence[str], prog: str) -> Config:
    """A command's settings from `--config FILE` and flags.

    A preset named by either sets what both may then change.

    Raises SystemExit(0) after printing help, UserError for what does not fit.
    """
    argv = list(argv)
    asked = next((HELP[argument] for argument in argv if argument in HELP), None)
    if asked is not None:
        print(write_help(command, prog, everything=asked))
        raise SystemExit(0)
    path = take_option(argv, "--config", "a TOML, YAML or JSON file")
    in_file = _read_file_changes(command, Path(path), prog) if path is not None else {}
    flags = read_flags(command, argv, prog, ("--config", "--help", "--help-all"))
    return change(command(), in_file | read_changes(command, flags, prog))


def _read_file_changes(command: type[Settings], path: Path, prog: str) -> dict[tuple[str, ...], Any]:
    """The settings in a file by their paths. A file of another command is refused as such."""
    values = read_file(path)
    try:
        return read_changes(command, values, str(path))
    except UnknownSettingError as failure:
        unknown = list_unknown(command, values)
        owner = _find_owner(path)
        if owner is not None and owner != prog.partition(" ")[2]:
            named = f"{path} holds the settings of `palaestra {owner}`"
        elif len(unknown) > max(MISSPELT, len(values) / 2):
            named = f"{path} seems to hold the settings of another command"
        else:
            raise
        raise UnknownSettingError(
            f"{named}: `{prog}` has no {', '.join(unknown[:MISSPELT])}. Write those that it has "
            f"(`{prog} --help-all`) into a file of their own."
        ) from failure


def _find_owner(path: Path) -> str | None:
    """The command of the run whose folder a config.json lies in; None for a file that lies in none."""
    facts = path.with_name("facts.json")
    if path.name != "config.json" or not facts.is_file():
        return None
    try:
        return json.loads(facts.read_text(encoding="utf-8"))["command"]
    except (ValueError, KeyError, TypeError):
        return None


def read_flags(
    command: type[Settings], argv: Sequence[str], prog: str, others: Sequence[str] = ("--help",)
) -> dict[str, Any]:
    """The values of the flags by the short names of their settings. Raises SettingError for what is none.

    others: flags that the command has beside its settings.
    """
    named = {name_flag(setting): setting for setting in list_settings(command)}
    options = [Option(flag, setting.hint) for flag, setting in named.items()]
    return {named[flag].name: value for flag, value in read_options(argv, options, prog, others).items()}


def name_flag(setting: Setting) -> str:
    """`--loss.clip-low` of `loss.clip_low`."""
    return f"--{setting.name.replace('_', '-')}"


def write_help(command: type[Settings], prog: str, *, everything: bool) -> str:
    """The command's flags by sections, the essential ones or all."""
    shown = [
        s
        for s in list_settings(command)
        if everything or not command.essential or s.name in command.essential
    ]
    hidden = len(list_settings(command)) - len(shown)
    more = f"--help-all lists {hidden} more options. " if hidden else ""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=(command.__doc__ or "").partition("\n\n")[0].strip(),
        add_help=False,
        allow_abbrev=False,
        usage=f"{prog} [options]",
        epilog=f"{more}--config FILE reads settings from TOML, YAML or JSON; flags win over it.",
        formatter_class=lambda prog: argparse.HelpFormatter(
            prog, max_help_position=28, width=_choose_width()
        ),
    )
    defaults = command()
    sections: dict[str, Any] = {}
    for setting in list_settings(command):
        title = setting.section or "run"
        section = sections.setdefault(title, parser.add_argument_group(title))
        text = f"{setting.help} (default: {_show_default(setting.value(defaults))})".replace("%", "%%")
        options = {
            "dest": setting.name,
            "default": argparse.SUPPRESS,
            "help": text if setting in shown else argparse.SUPPRESS,
        }
        if strip_annotation(setting.hint) is bool:
            section.add_argument(name_flag(setting), action=argparse.BooleanOptionalAction, **options)
        else:
            action = "append" if get_origin(strip_annotation(setting.hint)) is tuple else "store"
            section.add_argument(
                name_flag(setting), action=action, metavar=write_metavar(setting.hint), **options
            )
    return parser.format_help()


def _choose_width() -> int:
    import shutil

    return min(120, shutil.get_terminal_size().columns) if sys.stdout.isatty() else 110


def _show_default(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    return "none" if value == "" else f"{value:g}" if isinstance(value, float) else str(value)


def write_metavar(hint: Any) -> str:
    """What stands for a value in the help: INT, FLOAT|auto, adam|sgd."""
    hint = strip_annotation(hint)
    kind = get_origin(hint)
    if kind in (Union, UnionType):
        return "|".join(write_metavar(arm) for arm in get_args(hint))
    if kind is Literal:
        return "|".join(map(str, get_args(hint)))
    return {int: "INT", float: "FLOAT", str: "TEXT"}.get(hint, "TEXT")


def make_task_options(pairs: Sequence[str], data: str) -> dict[str, Any]:
    """`name=value` pairs as a table of task options; `data` joins them.

    Raises SettingError for a name that is given twice.
    """
    options: dict[str, Any] = {"data": data} if data else {}
    for pair in pairs:
        name, value = parse_option(pair)
        if name in options:
            other = " and --data say the same" if name == "data" and data else " is given twice"
            raise SettingError(f"--option {name}{other}. Leave one out.")
        options[name] = value
    return options
