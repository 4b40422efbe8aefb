"""Where data lie: a file, a folder, the hub, or memory. What is there by the names of its splits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import DataError, UserError
from ..core.hub import load_hub_data
from ..core.rowfiles import SUFFIXES, Row, read_rows
from .spec import shorten_path

SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("validation", "valid", "val", "dev", "eval", "evaluation"),
}
WHOLE = "all"  # the name of what has no name
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")

Read = Callable[[], Iterable[Row]]


@dataclass(frozen=True)
class Place:
    """splits: the names that the data give their splits, each with what reads its rows.  name: of the data,
    for a task and its folder.  notes: what a user should know of how it was read."""

    name: str
    splits: Mapping[str, Read]
    notes: tuple[str, ...] = field(default=())


def open_place(data: Any) -> Place:
    """Find what is at a place. Reads no row of a file.

    Raises DataError where nothing is, or nothing that can be read.
    """
    if not isinstance(data, str | Path):
        return _open_memory(data)
    path = Path(data).expanduser().absolute()
    if path.is_file():
        _check_suffix(path)
        return Place(name_file(path), {find_split(path.name, exact=True) or WHOLE: _reader([path])})
    if path.is_dir():
        return _open_folder(path)
    text = str(data)
    address, _, revision = text.partition("@")
    source, _, config = address.partition(":")
    if _HUB_ID.fullmatch(source) and not source.lower().endswith(SUFFIXES):
        return _open_hub(text, source, config, revision)
    raise DataError(f"There is no file or folder {text}. {_suggest_file(path)}")


def stamp(data: Any) -> tuple[Any, ...]:
    """What changes when a file, or a file of a folder, is written anew."""
    path = Path(data).expanduser()
    files = [path] if path.is_file() else sorted(path.rglob("*")) if path.is_dir() else []
    return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)


def find_split(name: str, *, exact: bool = False) -> str:
    """The split that a file's or split's name says; "" where it says none.

    exact: the name alone, without endings; else a word in it (`train-00000-of-00002`, `test_sft`).
    """
    stem = _stem(name).lower()
    words = [stem] if exact else re.split(r"[^a-z]+", stem)
    return next((split for split, known in SPLITS.items() if {*words} & {*known}), "")


def find_published(folder: Path, split: str, published: str, configs: Sequence[str] = ()) -> list[Path]:
    """The files of one split where a folder has the layout of a data set on the hub
    (`main/test-00000-of-00001.parquet`); [] where none is its.

    published: what the hub calls the split.  configs: the configurations that the rows are of, whose folders
    are looked into before any other.
    """
    named = [folder / config for config in configs if (folder / config).is_dir()]
    if named:
        return [path for inner in named for path in _of_split(inner, split, published)]
    return _of_split(folder, split, published)


def list_data_files(folder: Path) -> list[Path]:
    """The files of rows in a folder and in those within it, by name."""
    return [
        path
        for path in sorted([*folder.glob("*"), *folder.glob("*/*")])
        if path.is_file() and path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")
    ]


def _of_split(folder: Path, split: str, published: str) -> list[Path]:
    """What says that it is of the split by the hub's name for it, else by ours; of the folder itself, else of
    one folder within it."""
    files = list_data_files(folder)
    for says in (lambda name: _stem(name).split("-")[0] == published, lambda name: find_split(name) == split):
        found = [path for path in files if says(path.name)]
        places = sorted({path.parent for path in found}, key=lambda place: (place != folder, place))
        if places and (places[0] == folder or len(places) == 1):
            return [path for path in found if path.parent == places[0]]
    return []


def name_file(path: Path) -> str:
    """A name for a task of what lies at a path: letters, digits and `_`."""
    stem = _stem(path.resolve().name)
    if find_split(stem, exact=True) and path.resolve().parent.name:
        stem = f"{path.resolve().parent.name}_{stem}"
    return re.sub(r"\W+", "_", stem).strip("_") or "data"


def _stem(name: str) -> str:
    lower = name.lower()
    return name[: -len(next((s for s in SUFFIXES[::-1] if lower.endswith(s)), "")) or None]


def _reader(paths: list[Path]) -> Read:
    def read() -> Iterator[Row]:
        for path in paths:  # by the path as it is seen from here, which sentences then name
            yield from read_rows(Path(shorten_path(str(path))))

    return read


def _check_suffix(path: Path) -> None:
    if not path.name.lower().endswith(SUFFIXES):
        raise DataError(
            f"{shorten_path(str(path))} has an ending that is not read; give a file that ends in "
            f"{', '.join(SUFFIXES)}."
        )


def _suggest_file(path: Path) -> str:
    import difflib  # only mistakes need it

    folder = path.parent if path.parent.is_dir() else Path.cwd()
    there = [entry.name for entry in folder.iterdir() if entry.name.lower().endswith(SUFFIXES)]
    near = difflib.get_close_matches(path.name, there, n=2, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(shorten_path(str(folder / name)) for name in near)}?"
    return "Give a data file, a folder with a file a split, or a hub id such as org/name."


def _open_folder(folder: Path) -> Place:
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        import datasets  # slow to import, and only what it saved needs it

        return _of_tables(name_file(folder), datasets.load_from_disk(str(folder)), str(folder))
    found = list_data_files(folder)
    top = [path for path in found if path.parent == folder]
    files = top if any(find_split(path.name) for path in top) else found
    splits: dict[str, list[Path]] = {}
    for path in files:
        own = find_split(path.name) or (find_split(path.parent.name) if path.parent != folder else "")
        splits.setdefault(own or WHOLE, []).append(path)
    if not splits:
        there = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10]) or "nothing"
        raise DataError(
            f"{shorten_path(str(folder))} holds no data file ({', '.join(SUFFIXES)}); it has {there}."
        )
    left = splits.pop(WHOLE, []) if len(splits) > 1 else []
    if len(splits.get(WHOLE, [])) > 1:
        raise DataError(
            f"{shorten_path(str(folder))} has {len(splits[WHOLE])} data files, and no name says its split: "
            f"{', '.join(path.name for path in splits[WHOLE][:6])}. Call them train.jsonl and test.jsonl "
            "(dev, valid, ...), or give one file."
        )
    notes = tuple(f"{shorten_path(str(path))} is not read: its name says no split." for path in left[:3])
    return Place(name_file(folder), {name: _reader(paths) for name, paths in splits.items()}, notes)


def _open_hub(text: str, source: str, config: str, revision: str) -> Place:
    advice = "Connect, set HTTPS_PROXY, or give a file or folder."
    try:
        tables = load_hub_data(source, config or None, None, revision or None, advice)
    except DataError as failure:
        unasked = isinstance(failure.__cause__, UserError)  # nobody knows whether a configuration is missing
        hint = "" if config or unasked else " A configuration is named as org/name:config."
        raise DataError(f"There is no file or folder {text}. As a data set: {failure}{hint}") from failure
    return _of_tables(re.sub(r"\W+", "_", source.partition("/")[2]), tables, text)


def _of_tables(name: str, tables: Any, label: str) -> Place:
    """Of a `datasets` object, or a mapping of tables."""
    if not isinstance(tables, Mapping):
        tables = {str(getattr(tables, "split", None) or WHOLE).partition("[")[0]: tables}
    return Place(name, {split: _table_reader(table, label, split) for split, table in tables.items()})


def _table_reader(table: Iterable[Mapping[str, Any]], label: str, split: str) -> Read:
    where = f"{label}, {split} row" if split != WHOLE else f"{label}, row"

    def read() -> Iterator[Row]:
        for index, values in enumerate(table):
            if not isinstance(values, Mapping):
                raise DataError(f"{where} {index}: a row is a dict, not a {type(values).__name__}.")
            yield Row(dict(values), f"{where} {index}")

    return read


def _open_memory(data: Any) -> Place:
    if hasattr(data, "to_dict") and hasattr(data, "iterrows"):  # a table of pandas
        data = data.to_dict("records")
    if isinstance(data, Mapping) and data and all(_is_table(table) for table in data.values()):
        return _of_tables("data", data, "data")
    if _is_table(data):
        return _of_tables("data", data, "data")
    raise DataError(
        "Data are a path, a hub id, a list of rows (dicts), or a datasets.Dataset, not a "
        f"{type(data).__name__}."
    )


def _is_table(data: Any) -> bool:
    if isinstance(data, list | tuple):
        return all(isinstance(row, Mapping) for row in data)
    return hasattr(data, "column_names") and hasattr(data, "__iter__")
