"""Dataset tasks: `@dataset_task` over a function that turns one row into one `Problem`; without a function,
of data whose columns say all (`..data.own`).

Rows come from the Hugging Face hub, or with the option `data` from local files: a folder that holds one file
per split, or a single file. A single file serves one split only: the first that is asked for. It would
otherwise be trained and evaluated on at once, so a second split is refused.

A problem of the train split whose key is also in another split is left out of train, wherever that other
split lies at hand: in the same folder, or in the same configuration on the hub (one download brings all its
splits). A lone train file can't be compared with anything.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, overload

from ...verifiers import Rubric
from ..data.own import make_task
from ..data.places import find_published, find_split, list_data_files
from ..data.spec import OPTIONS as OWN_DATA
from ..data.spec import DataSpec
from .errors import DataError
from .hub import load_hub_data
from .options import read_keyword_defaults
from .packaged import find_packaged
from .problem import Problem
from .rowfiles import SUFFIXES, Row, read_rows
from .sources import Rows
from .task import Task, first_paragraph, register

ToProblem = Callable[..., Problem | None]


@dataclass(frozen=True)
class Hub:
    """A data set on the Hugging Face hub. revision: a commit, tag or branch; None is the newest.

    config: one configuration, or several whose rows follow each other.
    """

    path: str
    config: str | tuple[str, ...] | None = None
    revision: str | None = None

    @property
    def configs(self) -> tuple[str, ...]:
        if not self.config:
            return ()
        return (self.config,) if isinstance(self.config, str) else self.config

    def __str__(self) -> str:
        return f"{self.path} ({', '.join(self.configs)})" if self.configs else self.path


@dataclass(frozen=True)
class Dataset:
    """A `Source` over the rows of a data set, each split read once and kept.

    split_names: our split -> the hub's.  files: our split -> the file's name in a local folder, which may
        also be a copy of the hub's (`main/test-00000-of-00001.parquet`).
    sizes: our split -> number of rows, as declared, for listings that read no data.
    options: values of the row function's keyword-only parameters.  data: local folder or file; ""
        for the hub.
    belongs: (row, split) -> whether the row is of that split, where one local file holds all splits.
    packaged: our split -> (package, file) where another package, if it is installed, brings the rows along.
    """

    name: str
    to_problem: ToProblem
    split_names: Mapping[str, str]
    columns: tuple[str, ...] = ()
    hub: Hub | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    data: str = ""
    belongs: Callable[[Mapping[str, Any], str], bool] | None = None
    packaged: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.split_names)

    @property
    def option_defaults(self) -> dict[str, Any]:
        return {"data": self.data, **read_keyword_defaults(self.to_problem), **self.options}

    def with_options(self, options: Mapping[str, Any]) -> Dataset:
        rest = {name: value for name, value in options.items() if name != "data"}
        return replace(self, data=str(options.get("data", self.data) or ""), options={**self.options, **rest})

    def declared_size(self, split: str) -> int | None:
        """Rows of a split as declared, without reading any.

        None where local data are given or nothing was declared.
        """
        return None if self.data else self.sizes.get(split)

    def size(self, split: str) -> int | None:
        return self._rows.size(split)

    def at(self, split: str, index: int, seed: int = 0, level: int | None = None) -> Problem:
        return self._rows.at(split, index, seed, level)

    @cached_property
    def _rows(self) -> Rows:
        return Rows(self.name, self._load, self.splits)

    @cached_property
    def _loaded(self) -> dict[str, tuple[Problem, ...]]:
        return {}

    def _load(self, split: str) -> Sequence[Problem]:
        if split not in self._loaded:
            self._refuse_second_split_of_one_file(split)
            problems = self._read(split)
            if split == "train":
                others = [other for other in self.splits if other != "train" and self._at_hand(other)]
                held_out = {problem.key for other in others for problem in self._load(other)}
                problems = [problem for problem in problems if problem.key not in held_out]
            self._loaded[split] = tuple(problems)
        return self._loaded[split]

    def _refuse_second_split_of_one_file(self, split: str) -> None:
        if self.data and self._loaded and Path(self.data).is_file() and self.belongs is None:
            raise DataError(
                f"{self.data} already serves the {next(iter(self._loaded))} split of task {self.name} and "
                "can't serve "
                f"{split} too, or it would be evaluated on what it was trained on. Give a folder with a "
                "file for each."
            )

    def _at_hand(self, split: str) -> bool:
        if not self.data:
            return True
        return Path(self.data).is_dir() and bool(self._find_local(split))

    def _read(self, split: str) -> list[Problem]:
        problems = []
        for index, row in enumerate(self._split_rows(split)):
            missing = [column for column in self.columns if column not in row.values]
            if missing:
                raise DataError(
                    f"{row.where}: no column {missing[0]!r}; task {self.name} reads "
                    f"{', '.join(self.columns)}, "
                    f"the row has {', '.join(map(str, row.values)) or 'none'}."
                )
            try:
                if self.belongs is not None and not self.belongs(row.values, split):
                    continue
                problem = self.to_problem(row.values, **self.options)
            except (ValueError, TypeError, KeyError, IndexError, AttributeError) as failure:
                raise DataError(
                    f"{row.where}: task {self.name} can't read this row: {failure!r}."
                ) from failure
            if problem is not None:
                problems.append(
                    replace(problem, id=f"{self.name}/{split}/{index}", key=problem.key or problem.text)
                )
        return problems

    def _split_rows(self, split: str) -> Iterator[Row]:
        if not self.data:
            file = self.find_packaged(split)
            return read_rows(file) if file is not None else self._hub_rows(split)
        path = Path(self.data)
        if path.is_file():
            return read_rows(path)
        if not path.is_dir():
            raise DataError(f"There is no file or folder {path} with the data of task {self.name}.")
        files = self._find_local(split)
        if not files:
            there = ", ".join(sorted(entry.name for entry in path.iterdir())[:10]) or "nothing"
            wanted = self.files.get(split, f"{split}.jsonl")
            raise DataError(
                f"{path} has no file {wanted} for the {split} split of task {self.name}; it has {there}."
            )
        return chain.from_iterable(map(read_rows, files))

    def find_packaged(self, split: str) -> Path | None:
        """The split's file in another package; None where it is not installed."""
        return find_packaged(*self.packaged[split]) if split in self.packaged else None

    def _find_local(self, split: str) -> list[Path]:
        """The split's files in the local folder: by its own name, or as the hub's copy calls them."""
        folder = Path(self.data)
        names = [self.files[split]] if split in self.files else []
        candidates = [folder / name for name in (*names, *(split + suffix for suffix in SUFFIXES))]
        own = next((path for path in candidates if path.is_file()), None)
        if own is not None:
            return [own]
        found = find_published(folder, split, self.split_names[split], self.hub.configs if self.hub else ())
        if found or len(self.splits) > 1:
            return found
        every = list_data_files(folder)  # of a task with one split: the one file, if its name says no other
        return every if len(every) == 1 and not find_split(every[0].name) else []

    def _hub_rows(self, split: str) -> Iterator[Row]:
        advice = f"Give a local file or folder with --data (columns {', '.join(self.columns)})."
        if self.hub is None:
            raise DataError(f"Task {self.name} is not on the hub. {advice}")
        tables = [
            load_hub_data(self.hub.path, config, self.split_names[split], self.hub.revision, advice)
            for config in self.hub.configs or (None,)
        ]
        for index, values in enumerate(chain.from_iterable(tables)):
            yield Row(dict(values), f"{self.hub}, {split} row {index}")


@overload
def dataset_task(
    name: str,
    *,
    rubric: Rubric,
    splits: Mapping[str, str],
    columns: Sequence[str],
    hub: Hub | None = None,
    files: Mapping[str, str] | None = None,
    sizes: Mapping[str, int] | None = None,
    belongs: Callable[[Mapping[str, Any], str], bool] | None = None,
    packaged: Mapping[str, tuple[str, str]] | None = None,
    instruction: str | None = None,
    **about: Any,
) -> Callable[[ToProblem], Task]: ...
@overload
def dataset_task(
    name: str,
    *,
    data: Any,
    prompt: str = "",
    answer: str = "",
    verify: Any = "",
    choices: str = "",
    solution: str = "",
    split: str = "",
    test_share: float = 0.1,
    bad_rows: str = "refuse",
    **about: Any,
) -> Task: ...
def dataset_task(name: str, **given: Any) -> Callable[[ToProblem], Task] | Task:
    """Make a task of a data set: by a function that turns a row into a problem, or of data whose columns say
    all.

    With `rubric`, `splits` and `columns` it decorates `to_problem(row, *, option=default, ...) -> Problem |
    None`; None leaves the row out.

    splits: our split -> the hub's.  columns: what each row must have.
    files: our split -> file name in a local folder (default: `<split>.jsonl`, `.json`, `.parquet`, ...).
    sizes: rows per split, for listings.
    belongs: (row, split) -> whether a row is of that split, where one local file holds them all.
    packaged: our split -> (package, file in it), where a package that may be installed brings the rows along.
    instruction: None asks for the form that the rubric reads.

    With `data` it needs no function and returns the task, as `palaestra train --data` makes it.

    data: a file, a folder with a file a split (both as they are seen from the calling file, or else from the
        current folder), a hub id (`org/name`, `org/name:config`), a list of dicts, a `datasets.Dataset` or
        DatasetDict.
    prompt, answer, choices, solution: the columns; "" guesses them by their names.
    verify: math, number, exact, choice, code, regex:PATTERN, FILE.py:name or module:name, or a Rubric, a
        Criterion, a function. "" guesses where answers are numbers, letters of options or tests.
    split: of the data, to train on.  test_share: above 0, at most 1, held out where the data have no test
        split.  bad_rows: "refuse", or "skip" to leave rows out that can't be used.

    about: further fields of `Task` (kind, licence, citation, solve, ...).
    Raises DataError for columns that are not there, and where nobody says how answers are judged.

    >>> import palaestra as pal
    >>> rows = [{"question": f"What is {n} + {n}?", "answer": 2 * n} for n in range(40)]
    >>> doubles = pal.dataset_task("doubles", data=rows, verify="number")
    >>> doubles.splits, doubles.problem("test", 0).prompt
    (('train', 'test'), 'What is 10 + 10?')
    """
    if "data" in given:
        return _register_own(name, sys._getframe(1).f_globals, **given)
    if "rubric" not in given:
        raise DataError(
            f"Task {name}: say which data (data=, verify=), or give rubric=, splits= and columns= and "
            "decorate a function that turns a row into a problem."
        )
    return _decorate(name, **given)


def _register_own(task: str, caller: Mapping[str, Any], **given: Any) -> Task:
    """A task whose columns say all. caller: the globals of the file that defines it."""
    said = {name: given.pop(name) for name in OWN_DATA if name in given}
    said |= {name: _find_beside(caller.get("__file__"), said.get(name, "")) for name in ("data", "verify")}
    doc = first_paragraph(caller.get("__doc__") or "") if "__file__" in caller else ""
    try:
        return register(make_task(DataSpec(**said), task, **({"summary": doc} if doc else {}), **given))
    except TypeError as failure:
        raise DataError(f"Task {task}: {failure}.") from failure


def _find_beside(file: str | None, place: Any) -> Any:
    """A path (or FILE.py:name) as a file's folder sees it, where something is there; else as it is."""
    if file is None or not isinstance(place, str | Path) or not str(place):
        return place
    head, colon, rest = str(place).partition(":")
    beside = Path(file).resolve().parent / head
    return f"{beside}{colon}{rest}" if beside.exists() else place


def _decorate(
    name: str,
    *,
    rubric: Rubric,
    splits: Mapping[str, str],
    columns: Sequence[str],
    hub: Hub | None = None,
    files: Mapping[str, str] | None = None,
    sizes: Mapping[str, int] | None = None,
    belongs: Callable[[Mapping[str, Any], str], bool] | None = None,
    packaged: Mapping[str, tuple[str, str]] | None = None,
    instruction: str | None = None,
    **about: Any,
) -> Callable[[ToProblem], Task]:
    def decorate(to_problem: ToProblem) -> Task:
        doc = inspect.getdoc(to_problem) or inspect.getdoc(inspect.getmodule(to_problem)) or ""
        about.setdefault("summary", first_paragraph(doc))
        about.setdefault("origin", str(hub) if hub else "local files")
        source = Dataset(name, to_problem, dict(splits), tuple(columns), hub, files or {}, sizes or {})
        source = replace(source, belongs=belongs, packaged=packaged or {})
        says = rubric.instruction if instruction is None else instruction
        return register(Task(name, source, rubric, instruction=says, **about))

    return decorate
