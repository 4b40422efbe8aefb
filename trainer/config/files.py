"""Config files (TOML, YAML, JSON) as tables. A mistake is a sentence with the file, the place and the fix."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError, shorten


def read_file(path: Path) -> dict[str, Any]:
    """The table in a TOML, YAML or JSON file; `config.json` of a run is one.

    Raises UserError where there is no such file, where it can't be read as what its name says, and where it
    gives a key twice.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder. Give the config file in it: --config {path / 'config.json'}.")
    if not path.is_file():
        raise UserError(f"There is no config file {path}.")
    readers: dict[str, Callable[[str], Any]] = {
        ".toml": tomllib.loads,
        ".json": _read_json,
        ".yaml": _read_yaml,
        ".yml": _read_yaml,
    }
    if path.suffix not in readers:
        raise UserError(f"{path}: a config file ends in .toml, .yaml, .yml or .json.")
    try:
        values = readers[path.suffix](path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as failure:
        raise UserError(
            f"{path} is not UTF-8: byte {failure.start + 1} is {failure.object[failure.start]:#04x}. "
            "Save it as UTF-8."
        ) from failure
    except (ValueError, RecursionError) as failure:  # TOML's and JSON's errors are ValueErrors
        raise UserError(
            f"{path} is not valid {path.suffix[1:].upper()}: {shorten(str(failure), 200)}."
        ) from failure
    if not isinstance(values, dict):
        raise UserError(f"{path} does not hold keys with values.")
    return values


def _read_json(text: str) -> Any:
    def make_table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for key, value in pairs:
            if key in table:
                raise ValueError(f"the key {key!r} is given twice")
            table[key] = value
        return table

    return json.loads(text, object_pairs_hook=make_table)


def _read_yaml(text: str) -> Any:
    """YAML with JSON's numbers (1e-5 is one), in which a key given twice is an error."""
    import yaml  # only who writes YAML waits for it

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys: list[Any] = []
            for place, _ in node.value:
                key = self.construct_object(place, deep=True)
                if key in keys:
                    raise ValueError(f"line {place.start_mark.line + 1} gives the key {key!r} again")
                keys.append(key)
            return super().construct_mapping(node, deep)

    number = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    try:
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as failure:
        mark = failure.problem_mark or failure.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise ValueError(f"{where}{failure.problem or failure.context}") from failure
    except yaml.YAMLError as failure:
        raise ValueError(str(failure)) from failure
