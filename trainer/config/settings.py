"""What every group of settings has: fields with a type, a range and a help text,
checked wherever the values come from.

A group is a frozen dataclass; the string below a field is its help. A command's settings are a group of
groups. A setting goes by its full name (`optimizer.learning_rate`) and by its short one (`learning_rate`),
which is also its flag: the names of groups that are `prefixed` stay in it (`loss.kind`),
those of others don't. Imports nothing heavy.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import inspect
import json
import math
import textwrap
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from numbers import Integral, Real
from os import PathLike
from types import UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from ...tasks.core.errors import UserError, shorten
from .synonyms import find_synonyms


class SettingError(UserError, ValueError):
    """A setting is unknown, of a wrong type or out of its range. The sentence says what may stand there.

    >>> import palaestra as pal
    >>> try:
    ...     pal.TrainConfig.of(stpes=3)
    ... except pal.SettingError as failure:
    ...     print(failure)
    TrainConfig: there is no setting 'stpes'. Did you mean 'steps'?
    """


class UnknownSettingError(SettingError):
    """There is no setting of that name."""


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`; an open end is left out itself. Never nan or infinite."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        # A whole number is finite, and may be too large for a float.
        return (isinstance(value, int) or math.isfinite(value)) and above and below

    def __str__(self) -> str:
        least, most = (str(end) if isinstance(end, int) else f"{end:g}" for end in (self.low, self.high))
        low = f"above {least}" if self.open_low else f"{least} or more"
        if self.high == math.inf:
            return low
        high = f"below {most}" if self.open_high else f"at most {most}"
        return f"{low} and {high}" if self.open_low or self.open_high else f"{least} to {most}"


@dataclass(frozen=True)
class Flag:
    """The short name of a setting, where its field is called otherwise."""

    name: str


@dataclass(frozen=True)
class Filled:
    """Marks a text that is not empty."""

    def __contains__(self, value: str) -> bool:
        return bool(value.strip())

    def __str__(self) -> str:
        return "not empty"


@dataclass(frozen=True)
class Json:
    """Marks a text that is a JSON object; a table (a dict) is written as one."""


Auto = Literal["auto"]
"""Chosen for you. What is never done is 0, and a text that is not given is empty."""
Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
Seed = Annotated[int, Range(0, 2**63 - 1)]  # what every random generator here takes
Threads = Annotated[int, Range(1, 1024)]  # far more than that, and the threads can't be started
Amount = Annotated[float, Range(0)]
Positive = Annotated[float, Range(0, open_low=True)]
Share = Annotated[float, Range(0, 1)]
TopP = Annotated[float, Range(0, 1, open_low=True)]
Name = Annotated[str, Filled()]
JsonObject = Annotated[str, Json()]
"""A JSON object as text, empty for none; from Python and files a table will do."""


Value = TypeVar("Value", int, float)


def resolve(value: Value | Auto, automatic: Value) -> Value:
    """A setting, or what stands for it where it is left to us."""
    return automatic if value == "auto" else value


@dataclass(frozen=True)
class Settings:
    """A group of settings. Every value is checked when the group is made, also from Python:
    raises SettingError."""

    prefixed: ClassVar[bool] = False
    """Whether the short names of its settings begin with the group's own name."""
    essential: ClassVar[tuple[str, ...]] = ()
    """Of a command: the short names of the settings that the short help shows."""

    def __new__(cls, *_values: Any, **named: Any) -> Self:
        """Python's own words about an unknown keyword would not say that short names go through `of`."""
        for name in named:
            if name not in read_hints(cls):
                raise UnknownSettingError(_refuse_field(cls, name))
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name, hint in read_hints(type(self)).items():
            value = getattr(self, name)
            if is_group(hint) and not isinstance(value, hint) and _is_short_name(type(self), name):
                raise SettingError(
                    f"{name} {value!r}: give {describe(hint)}, or take {type(self).__name__}.of("
                    f"{name}={value!r}), which takes short names."
                )
            object.__setattr__(self, name, convert(value, hint, name))

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """The defaults with some settings changed, each by its short or full name;
        a group may be given whole."""
        return cls().but(**settings)

    def but(self, **settings: Any) -> Self:
        """These settings with some changed, each by its short or full name; a group may be given whole."""
        return merge(self, settings, type(self).__name__)

    def assign(self, field: str, value: Any) -> Self:
        """These settings with one field changed, and whatever else that choice brings with it."""
        return replace(self, **{field: value})


@dataclass(frozen=True)
class Setting:
    """One setting of a command. path: the fields that lead to it.  name: its short name.  section:
    its group's name."""

    path: tuple[str, ...]
    name: str
    hint: Any
    help: str
    section: str

    def value(self, config: Settings) -> Any:
        """What it is set to."""
        for field in self.path:
            config = getattr(config, field)
        return config


@cache
def read_hints(group: type) -> dict[str, Any]:
    """The types of a group's fields, ranges included."""
    known = get_type_hints(group, include_extras=True)
    return {field.name: known[field.name] for field in fields(group)}


def is_group(hint: Any) -> bool:
    """Whether a field of this type holds a group of settings."""
    return isinstance(hint, type) and issubclass(hint, Settings)


@cache
def read_docs(group: type) -> dict[str, str]:
    """The string below each field of a group, its bases included."""
    texts: dict[str, str] = {}
    for kind in reversed(group.__mro__):
        if not issubclass(kind, Settings):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, below in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
            ):
                texts[field.target.id] = " ".join(str(ast.literal_eval(below.value)).split())
    return texts


@cache
def list_settings(group: type[Settings]) -> tuple[Setting, ...]:
    """Every setting of a command, group by group."""
    return tuple(_walk(group, (), "", ""))


def _walk(group: type[Settings], path: tuple[str, ...], prefix: str, section: str) -> Iterator[Setting]:
    for name, hint in read_hints(group).items():
        if is_group(hint):
            inner = f"{prefix}{name}." if hint.prefixed else prefix
            yield from _walk(hint, (*path, name), inner, name if not path else section)
        else:
            short = next((mark.name for mark in _read_marks(hint) if isinstance(mark, Flag)), name)
            yield Setting((*path, name), prefix + short, hint, read_docs(group).get(name, ""), section)


def _read_marks(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def strip_annotation(hint: Any) -> Any:
    """A type without its range and its short name."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def merge(config: Any, values: Mapping[str, Any], where: str) -> Any:
    """`config` with the values of a table put in, by short or full names.
    Raises SettingError for what does not fit."""
    return change(config, read_changes(type(config), values, where))


def read_changes(
    command: type[Settings], values: Mapping[str, Any], where: str
) -> dict[tuple[str, ...], Any]:
    """The values of a table, converted, by the paths of their settings. Raises SettingError,
    which names `where`."""
    known = {setting.path: setting for setting in list_settings(command)}
    groups = _index_by_name(dict(_walk_groups(command)))
    single = _index_by_name({setting.name: path for path, setting in known.items()})
    changes: dict[tuple[str, ...], Any] = {}
    whole = {name for name, path in single.items() if _is_json(known[path].hint)}
    for name, value in _flatten(values, "", whole):
        # A group and a setting may share a short name; a group's value is a whole group.
        named = groups if isinstance(value, Settings) or (name in groups and name not in single) else single
        if name not in named:
            raise UnknownSettingError(
                f"{where}: there is no setting {name!r}. {_suggest(command, name, named)}"
            )
        path = named[name]
        if path in changes:
            raise SettingError(f"{where}: {'.'.join(path)} is given twice, once as {name!r}. Leave one out.")
        changes[path] = convert(value, known[path].hint, f"{where}: {name}") if path in known else value
    return changes


def _is_json(hint: Any) -> bool:
    return Json() in _read_marks(hint)


def list_unknown(command: type[Settings], values: Mapping[str, Any]) -> list[str]:
    """The names in a table that are no settings of a command."""
    names = [name for setting in list_settings(command) for name in (setting.name, ".".join(setting.path))]
    return [name for name, _ in _flatten(values, "") if name not in names]


def _suggest(command: type[Settings], name: str, known: Iterable[str]) -> str:
    """What may be meant by a name that is unknown: what other tools call so, those that it is the initials of
    (rm), or the nearest."""
    known = list(known)
    initials = [other for other in known if "".join(word[:1] for word in other.split("_")) == name]
    long = find_synonyms(name, known) or initials
    near = long or difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    return f"Known: {', '.join(setting.name for setting in list_settings(command))}."


def _is_short_name(group: type[Settings], name: str) -> bool:
    return any(setting.name == name for setting in list_settings(group))


def _refuse_field(group: type[Settings], name: str) -> str:
    """The sentence about a keyword that is no field of a group."""
    if _is_short_name(group, name):
        return (
            f"{group.__name__} has no field {name!r}: short names go through {group.__name__}.of({name}=...)."
        )
    names = dict.fromkeys([*read_hints(group), *(setting.name for setting in list_settings(group))])
    short = f" {group.__name__}.of(...) takes settings by their short names." if group.essential else ""
    return f"{group.__name__}: there is no setting {name!r}. {_suggest(group, name, names)}{short}"


def _index_by_name(paths: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Paths by their short names and by their full ones."""
    return {**{".".join(path): path for path in paths.values()}, **paths}


def change(config: Any, changes: Mapping[tuple[str, ...], Any]) -> Any:
    """`config` with the settings at these paths changed: presets first, then whole groups,
    then what is in them."""
    order = sorted(changes, key=lambda path: (path[-1] != "preset", len(path)))
    for path in order:
        config = _put(config, path, changes[path])
    return config


def _walk_groups(
    group: type[Settings], path: tuple[str, ...] = (), prefix: str = ""
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, hint in read_hints(group).items():
        if is_group(hint):
            yield prefix + name, (*path, name)
            yield from _walk_groups(hint, (*path, name), f"{prefix}{name}." if hint.prefixed else prefix)


def _flatten(values: Mapping[str, Any], prefix: str, whole: Container[str] = ()) -> Iterator[tuple[str, Any]]:
    """The values of nested tables by dotted names. whole: names whose value is a table itself."""
    for key, value in values.items():
        name = prefix + str(key).replace("-", "_")
        if isinstance(value, Mapping) and name not in whole:
            yield from _flatten(value, f"{name}.", whole)
        else:
            yield name, value


def _put(config: Any, path: tuple[str, ...], value: Any) -> Any:
    first, *rest = path
    if rest:
        return replace(config, **{first: _put(getattr(config, first), tuple(rest), value)})
    return config.assign(first, value)


def convert(value: Any, hint: Any, where: str) -> Any:
    """`value` as a `hint`: whole numbers pass as floats, lists as tuples, a lone text as a list of it,
    paths as text, numbers of other libraries (NumPy) as Python's.

    Raises SettingError, which names `where` and says what may stand there.
    """
    kind = get_origin(hint)
    if isinstance(value, Integral) and not isinstance(value, bool):
        value = int(value)
    if kind is Annotated:
        return _convert_marked(value, hint, where)
    if kind in (Union, UnionType):
        for arm in get_args(hint):
            try:
                return convert(value, arm, where)
            except SettingError:
                continue
    elif kind is Literal:
        if any(value == choice and type(value) is type(choice) for choice in get_args(hint)):
            return value
    elif kind is tuple:
        if isinstance(value, (str, PathLike)):
            value = (value,) if value != "" else ()
        if isinstance(value, (list, tuple)):
            return tuple(convert(item, get_args(hint)[0], where) for item in value)
    else:
        plain = _convert_plain(value, hint)
        if plain is not None:
            return plain
    if hasattr(value, "to_json"):  # a table of `datasets` or pandas
        raise SettingError(
            f"{where}: a run names its data by a place, so that it can be resumed. Save the "
            f"{type(value).__name__} (to_json) and give the file's path; or make a task of it, "
            "pal.dataset_task(NAME, data=...), and give task=NAME."
        )
    raise SettingError(f"{where} {_quote(value)}: give {describe(hint)}.")


def _quote(value: Any) -> str:
    """A value to name in a sentence; a long one is cut."""
    return shorten(repr(value), 80)


def _convert_marked(value: Any, hint: Any, where: str) -> Any:
    """A value that has to be in a range, or a JSON object."""
    with contextlib.suppress(ValueError, TypeError):  # a SettingError is one
        if _is_json(hint):
            return _write_json(value)
        inner = convert(value, get_args(hint)[0], where)
        if all(inner in mark for mark in _read_marks(hint) if isinstance(mark, (Range, Filled))):
            return inner
    raise SettingError(f"{where} {_quote(value)}: give {describe(hint)}.")


def _write_json(value: Any) -> str:
    """A JSON object as text, in one form whether it comes as text or as a table; "" for an empty one.

    Raises ValueError or TypeError for anything else.
    """
    table = json.loads(value or "{}") if isinstance(value, str) else value
    if not isinstance(table, Mapping):
        raise ValueError("This is no JSON object.")
    return json.dumps(table, sort_keys=True, allow_nan=False) if table else ""


def _convert_plain(value: Any, hint: type) -> Any:
    """A value as a text, a number, a truth value or a group; None where it is none."""
    if hint is str and isinstance(value, PathLike):
        return str(value)
    if isinstance(value, bool) and hint is not bool:
        return None
    if hint is not float:
        return value if isinstance(value, hint) else None
    with contextlib.suppress(OverflowError):  # of a whole number that no float holds
        if isinstance(value, Real) and math.isfinite(value):
            return float(value)
    return None


def describe(hint: Any) -> str:
    """What may stand in a setting, in words."""
    kind = get_origin(hint)
    if _is_json(hint):
        return 'a JSON object, such as {"enable_thinking": false}'
    if kind is Annotated:
        ranges = [str(mark) for mark in _read_marks(hint) if isinstance(mark, (Range, Filled))]
        return ", ".join([describe(get_args(hint)[0]), *ranges])
    if kind in (Union, UnionType):
        return " or ".join(describe(arm) for arm in get_args(hint))
    if kind is Literal:
        return " or ".join(map(str, get_args(hint)))
    if kind is tuple:
        return "a list of texts"
    if is_group(hint):
        return f"a {hint.__name__}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[hint]
