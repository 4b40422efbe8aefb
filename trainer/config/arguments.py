"""Command lines as tables of values. A mistake is a sentence that names the option, what it takes and the
fix, never a usage message."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, get_origin

from ...tasks.core.errors import shorten
from .settings import SettingError, convert, describe, strip_annotation
from .synonyms import find_synonyms


@dataclass(frozen=True)
class Option:
    """One option of a command.

    hint: the type of its value, with its range.  An option of truth values takes no value, and has an
    opposite that begins with --no-; one of lists may be given several times.
    """

    flag: str
    hint: Any

    @property
    def is_switch(self) -> bool:
        return strip_annotation(self.hint) is bool

    @property
    def is_list(self) -> bool:
        return get_origin(strip_annotation(self.hint)) is tuple


def read_options(
    argv: Sequence[str], options: Iterable[Option], prog: str, others: Sequence[str] = ()
) -> dict[str, Any]:
    """The values in a command line by their flags. `--flag value` and `--flag=value` are the same.

    others: flags that may be meant, too, by one that does not exist.

    Raises SettingError for an option that does not exist, is given twice or lacks its value, for a value out
    of its range, and for an argument that belongs to no option.
    """
    known = _list_spellings(options)
    values: dict[str, Any] = {}
    rest = list(argv)
    while rest:
        flag, equals, text = rest.pop(0).partition("=")
        option = known.get(flag)
        if option is None:
            raise SettingError(refuse_argument(flag, [*known, *others], prog))
        if option.flag in values and not option.is_list:
            raise SettingError(f"{option.flag} is given twice. Leave one out.")
        if option.is_switch:
            if equals:
                raise SettingError(
                    f"{flag} takes no value: give {option.flag}, or {negate(option.flag)} for the opposite."
                )
            values[option.flag] = flag == option.flag
            continue
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise SettingError(f"{flag} needs a value after it: {describe_item(option)}.")
            text = rest.pop(0)
        if option.is_list:
            values[option.flag] = [*values.get(option.flag, []), text]
        else:
            values[option.flag] = read_text(text, option.hint, option.flag)
    return values


def _list_spellings(options: Iterable[Option]) -> dict[str, Option]:
    """Every flag that may stand in a command line."""
    known = {}
    for option in options:
        known[option.flag] = option
        if option.is_switch:
            known[negate(option.flag)] = option
    return known


def negate(flag: str) -> str:
    """`--no-force` of `--force`."""
    return f"--no-{flag.removeprefix('--')}"


def describe_item(option: Option) -> str:
    """What one value of an option is."""
    return "a text" if option.is_list else describe(option.hint)


def refuse_argument(text: str, flags: Iterable[str], prog: str) -> str:
    """The sentence about an argument that a command does not have, with the nearest option."""
    known = list(flags)
    if not text.startswith("-") or text == "-":
        word = text.lstrip("+").partition("=")[0]
        bare = f"--{word.replace('_', '-')}"
        meant = [bare] if bare in known else _list_synonyms(word, known)
        hint = f"Did you mean {' or '.join(meant)}?" if meant else f"`{prog} --help` lists the options."
        return f"{shorten(repr(text), 60)} belongs to no option. {hint}"
    near = suggest_flag(text, known)
    hint = f"Did you mean {near}?" if near else f"`{prog} --help` lists the options."
    return f"There is no option {shorten(text, 60)}. {hint}"


def suggest_flag(text: str, flags: Iterable[str]) -> str:
    """The flag that may be meant: the same with two dashes and dashes within, what other tools call so, the
    only one that begins so, or the nearest."""
    known = list(flags)
    asked = f"--{text.lstrip('-').replace('_', '-').lower()}"
    if asked not in known and (synonyms := _list_synonyms(text, known)):
        return " or ".join(synonyms)
    begun = [flag for flag in known if flag.startswith(asked)]
    initials = [
        flag for flag in known if "-" + "".join(word[:1] for word in flag[2:].split("-")) == asked[1:]
    ]
    if asked in known or len(begun) == 1:
        return begun[0] if asked not in known else asked
    return " or ".join(initials or difflib.get_close_matches(asked, known, n=1, cutoff=0.5))


def _list_synonyms(text: str, flags: Iterable[str]) -> list[str]:
    """The flags that stand for what other tools call so."""
    by_name = {flag.removeprefix("--").replace("-", "_"): flag for flag in flags}
    return [by_name[name] for name in find_synonyms(text, by_name)]


def read_text(value: str, hint: Any, where: str) -> Any:
    """The text of a flag as a value of its setting. Raises SettingError, which names `where`."""
    for candidate in _read_numbers(value):
        try:
            return convert(candidate, hint, where)
        except SettingError:
            continue
    return convert(value, hint, where)


def _read_numbers(text: str) -> list[float]:
    numbers: list[float] = []
    for kind in (int, float):
        try:
            numbers.append(kind(text))
        except ValueError:
            continue
    return numbers


def take_option(argv: list[str], flag: str, what: str = "a file") -> str | None:
    """Remove `flag VALUE` or `flag=VALUE` from argv and return the value; None when it is not there.

    Raises SettingError where it is given twice or has no value. what: what it takes.
    """
    found = None
    for index in reversed(range(len(argv))):
        name, equals, text = argv[index].partition("=")
        if name != flag:
            continue
        if found is not None:
            raise SettingError(f"{flag} is given twice. Leave one out.")
        argv.pop(index)
        if not equals:
            missing = index >= len(argv) or argv[index].startswith("--")
            text = "" if missing else argv.pop(index)
        if not text:
            raise SettingError(f"{flag} needs a value after it: {what}.")
        found = text
    return found


class SentenceParser(argparse.ArgumentParser):
    """An argparse parser whose errors are the user's: raises SettingError in place of leaving the program."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **named})
        self._given: list[str] = []
        self.register("action", None, _StoreOnce)
        self.register("action", "store", _StoreOnce)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._given = list(args or ())
        return super().parse_known_args(args, namespace)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = self.parse_known_args(args, namespace)
        vars(found).pop(_SEEN, None)
        if unknown:
            raise SettingError(refuse_argument(unknown[0].partition("=")[0], self.list_flags(), self.prog))
        return found

    def list_flags(self) -> list[str]:
        """Its options in full, those of its subcommands included."""
        flags = []
        for action in self._actions:
            flags += [flag for flag in action.option_strings if flag.startswith("--")]
            if isinstance(action, argparse._SubParsersAction):
                flags += [flag for parser in action.choices.values() for flag in parser.list_flags()]
        return list(dict.fromkeys(flags))

    def error(self, message: str) -> NoReturn:
        if message.startswith("the following arguments are required"):  # one that is misspelt is the cause
            known = self.list_flags()
            flags = [text.partition("=")[0] for text in self._given if text.startswith("--") and text != "--"]
            unknown = next((flag for flag in flags if flag not in known), "")
            if unknown:
                raise SettingError(refuse_argument(unknown, known, self.prog))
        raise SettingError(f"{_rephrase(message)} `{self.prog} --help` lists the options.")


_SEEN = "_seen"  # in a namespace that is being filled: what was given


class _StoreOnce(argparse.Action):
    """Keeps one value of an option; a second is no silent change of mind."""

    def __call__(self, _parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        seen = vars(namespace).setdefault(_SEEN, set())
        if option_string is not None and self.dest in seen:
            raise SettingError(f"{option_string} is given twice. Leave one out.")
        seen.add(self.dest)
        setattr(namespace, self.dest, values)


_PHRASES: Mapping[str, Callable[[re.Match[str]], str]] = {
    r"argument (.+): expected (one|at least one) argument": lambda m: f"{m[1]} needs a value after it.",
    r"argument (.+): invalid choice: (.+) \(choose from (.+)\)": lambda m: (
        f"{m[1]} {m[2]}: give one of {m[3]}."
    ),
    r"argument (.+): ignored explicit argument (.+)": lambda m: f"{m[1]} takes no value.",
    r"argument (.+?): (.+)": lambda m: f"{m[1]} {m[2]}" + ("" if m[2].endswith(".") else "."),
    r"the following arguments are required: (.+)": lambda m: f"Still required: {m[1]}.",
}


def _rephrase(message: str) -> str:
    """What argparse says, as a sentence."""
    for pattern, write in _PHRASES.items():
        match = re.fullmatch(pattern, message, re.DOTALL)
        if match:
            return write(match)
    return f"{message[:1].upper()}{message[1:]}."


def read_as(hint: Any) -> Callable[[str], Any]:
    """What turns the text of an argument of a `SentenceParser` into a value within the range of a type."""

    def read(text: str) -> Any:
        try:
            return read_text(text, hint, "")
        except SettingError as failure:
            raise argparse.ArgumentTypeError(str(failure).lstrip()) from failure

    return read
