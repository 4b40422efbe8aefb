"""Settings from a config file (TOML or YAML) and from flags; flags win. Mistakes are sentences that name the mend."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ...tasks.core.errors import UserError
from ...tasks.core.options import parse_option
from .presets import PRESETS

Config = TypeVar("Config")
RESAMPLE = 3  # rounds of a preset with dynamic sampling; the papers sample until the batch is full


def parse(config: type[Config], argv: Sequence[str], prog: str) -> Config:
    """A config from `--config FILE` and flags; a `preset` named by either sets what both may then change."""
    import tyro

    argv = list(argv)
    path = take_option(argv, "--config")
    values = read_file(Path(path)) if path is not None else {}
    defaults = config()
    if hasattr(defaults, "preset"):
        defaults = merge(defaults, preset_values(peek_option(argv, "--preset") or values.get("preset", "")), "preset")
    if path is not None:
        defaults = merge(defaults, values, path)
    cli: Any = tyro.cli  # its overloads don't accept a type that is a variable
    return cli(
        config,
        args=argv,
        prog=prog,
        description=f"{(config.__doc__ or '').strip()}\n\n--config FILE reads settings from TOML or YAML; flags win over it.",
        config=(tyro.conf.AvoidSubcommands, tyro.conf.UseAppendAction),
        default=defaults,
    )


def preset_values(name: str) -> dict[str, Any]:
    """The settings of a preset as a table; an empty one for no name. Raises UserError for an unknown name."""
    if not name:
        return {}
    if name not in PRESETS:
        near = difflib.get_close_matches(str(name), PRESETS, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]}?" if near else f"Presets: {', '.join(PRESETS)}."
        raise UserError(f"There is no preset {name!r}. {hint}")
    chosen = PRESETS[name]
    return {
        "loss": asdict(chosen.loss),
        "advantages": asdict(chosen.advantages),
        "mask_truncated": chosen.mask_truncated,
        "resample": RESAMPLE if chosen.dynamic_sampling else 0,
    }


def peek_option(argv: Sequence[str], flag: str) -> str | None:
    """The value of `flag VALUE` or `flag=VALUE` in argv, which stays as it is; None when it is not there."""
    return take_option(list(argv), flag)


def take_option(argv: list[str], flag: str) -> str | None:
    """Remove `flag VALUE` or `flag=VALUE` from argv and return the value; None when it is not there."""
    for index, argument in enumerate(argv):
        if argument == flag:
            if index + 1 >= len(argv):
                raise UserError(f"{flag} needs a value after it.")
            argv.pop(index)
            return argv.pop(index)
        if argument.startswith(f"{flag}="):
            return argv.pop(index).partition("=")[2]
    return None


def read_file(path: Path) -> dict[str, Any]:
    """The table in a TOML or YAML file."""
    if not path.is_file():
        raise UserError(f"There is no config file {path}.")
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as failure:
            raise UserError(f"{path} is not valid TOML: {failure}.") from failure
    if path.suffix in (".yaml", ".yml"):
        import yaml

        try:
            values = yaml.safe_load(text)
        except yaml.YAMLError as failure:
            raise UserError(f"{path} is not valid YAML: {failure}.") from failure
        if not isinstance(values, dict):
            raise UserError(f"{path} does not hold keys with values.")
        return values
    raise UserError(f"{path}: a config file ends in .toml, .yaml or .yml.")


def merge(config: Config, values: Mapping[str, Any], where: str, prefix: str = "") -> Config:
    """`config` with the values of a table put in. Unknown keys and values of a wrong type raise UserError."""
    hints = get_type_hints(type(config))
    changes: dict[str, Any] = {}
    for given, value in values.items():
        key = str(given).replace("-", "_")
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1, cutoff=0.4)
            hint = f"Did you mean {prefix + near[0]!r}?" if near else f"Known keys: {', '.join(hints)}."
            raise UserError(f"{where}: there is no setting {prefix + key!r}. {hint}")
        current = getattr(config, key)
        if is_dataclass(current) and isinstance(value, Mapping):
            changes[key] = merge(current, value, where, f"{prefix}{key}.")
        else:
            changes[key] = _checked(value, hints[key], f"{where}: {prefix}{key}")
    return replace(config, **changes)  # type: ignore[type-var]


def _checked(value: Any, hint: Any, where: str) -> Any:
    """`value` as a `hint`; TOML's integers pass as floats, lists as tuples."""
    origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint):
            raise UserError(f"{where} is one of {', '.join(map(repr, get_args(hint)))}, not {value!r}.")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise UserError(f"{where} is a list, not {value!r}.")
        return tuple(_checked(item, get_args(hint)[0], where) for item in value)
    if origin in (Union, UnionType):
        if value is None and NoneType in get_args(hint):
            return None
        return _checked(value, next(arg for arg in get_args(hint) if arg is not NoneType), where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise UserError(f"{where} is of type {hint.__name__}, not {value!r}.")
    return value


def task_options(pairs: Sequence[str], data: str) -> dict[str, Any]:
    """`name=value` pairs as a table of task options; `data` joins them."""
    return {**({"data": data} if data else {}), **dict(parse_option(pair) for pair in pairs)}
