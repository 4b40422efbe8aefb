"""The entries of reasoning-gym's generators, made by their seeds: the same in any process."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from io import StringIO
from typing import Any

_SETTABLE = (bool, int, float, str)


@dataclass(frozen=True)
class Generator:
    """One generator of the package. options: the settings of its configuration that are plain values."""

    module: str
    summary: str
    options: Mapping[str, Any]


@cache
def list_datasets() -> dict[str, Generator]:
    """The package's generators by their names. Raises ImportError where it is not installed."""
    factory = importlib.import_module("reasoning_gym.factory")
    return {name: _describe(made, config) for name, (made, config) in factory.DATASETS.items()}


def _describe(made: type, config: type) -> Generator:
    plain = config()
    values = {field.name: getattr(plain, field.name) for field in dataclasses.fields(config)}
    options = {name: value for name, value in values.items() if name not in ("seed", "size")
               and isinstance(value, _SETTABLE)}  # fmt: skip
    doc = (inspect.getdoc(made) or "").split("\n\n")[0]
    return Generator(made.__module__, " ".join(doc.split()), options)


def read_version() -> str:
    """Of the package."""
    return version("reasoning-gym")


@lru_cache(maxsize=64)
def _open(name: str, options: tuple[tuple[str, Any], ...], seed: int) -> Any:
    package = importlib.import_module("reasoning_gym")
    return package.create_dataset(name, seed=seed, size=1, **dict(options))


def make_entry(name: str, options: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The entry of a seed from 0 to 2**32 - 1: question, answer, metadata."""
    return find_entry(name, options, seed).values


@dataclass(frozen=True)
class Entry:
    """An entry's values and the dataset that it is of, whose scorer judges answers to it."""

    dataset: Any
    values: dict[str, Any]


def find_entry(name: str, options: Mapping[str, Any], seed: int) -> Entry:
    """The entry of a seed. Most datasets make any entry by its place; some only those that they were opened
    with."""
    chosen = tuple(sorted(options.items()))
    with redirect_stdout(StringIO()):  # some generators print their progress
        dataset = _open(name, chosen, 0)
        try:
            return Entry(dataset, dataset[seed])
        except IndexError:
            dataset = _open(name, chosen, seed)
            return Entry(dataset, dataset[0])
