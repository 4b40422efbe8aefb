"""A `Source` over data of one's own: their splits, a held-out share where they have none, the rows that can't
be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

from ..core.errors import DataError
from ..core.problem import Problem
from ..core.rowfiles import Row
from ..core.seeds import digest
from ..core.sources import Rows
from .answers import UnusableError
from .judges import Judge
from .places import WHOLE, Place, find_split, open_place
from .rows import Layout, find_layout, make_problem
from .spec import DataSpec

FIRST_ROWS = 1000  # by which columns, marks and counting are found out
SHOWN = 3
_STEPS = 1 << 32
OPTIONS = ("data", "prompt", "answer", "choices", "solution", "split", "test_share", "bad_rows")


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that can't be used. where: file and line.  what: why, alike for rows of like fault.
    kind: of a reference that can't be read, whose reason is its own: what goes for all such."""

    where: str
    what: str
    kind: str = ""


@dataclass(frozen=True)
class Part:
    """What one split holds. places: a problem's id -> its file and line.  overlap: where rows of train were
    that are in another split too, and were left out."""

    problems: tuple[Problem, ...]
    places: Mapping[str, str]
    faults: tuple[Fault, ...] = ()
    overlap: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """Where a split of ours comes from. name: the data's own split.  held_out: None for all of it, True for
    the share that is held out, False for the rest."""

    name: str
    held_out: bool | None = None


@dataclass(frozen=True)
class Table:
    """Problems from data of one's own, read once and kept.

    Train and test are the data's own splits; where they have none to test on, a share of the problems is held
    out by a hash of the prompt, so that the same problem is always on the same side. A problem of the train
    split that is also in another one is left out of train.

    guessed: why this judge, where nobody named one.
    """

    name: str
    spec: DataSpec
    judge: Judge
    guessed: str = ""

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.origins)

    @property
    def option_defaults(self) -> dict[str, Any]:
        values = {name: getattr(self.spec, name) for name in OPTIONS}
        return {**values, "data": values["data"] if isinstance(values["data"], str) else ""}

    def with_options(self, options: Mapping[str, Any]) -> Table:
        return replace(self, spec=replace(self.spec, **options))

    def declared_size(self, split: str) -> int | None:  # noqa: ARG002
        return None

    def size(self, split: str) -> int | None:
        return self._rows.size(split)

    def at(self, split: str, index: int, seed: int = 0, level: int | None = None) -> Problem:
        return self._rows.at(split, index, seed, level)

    @cached_property
    def place(self) -> Place:
        """Where the data lie."""
        return open_place(self.spec.data)

    @cached_property
    def origins(self) -> dict[str, Origin]:
        """Our splits, and where each comes from."""
        return assign_splits(self.place, self.spec)

    @cached_property
    def layout(self) -> Layout:
        """How its rows are read, found out by the first ones."""
        first = next(iter(self.origins.values())).name
        return find_layout(self.spec, self.judge, self.read_first(first, FIRST_ROWS), self.label)

    @property
    def label(self) -> str:
        return self.spec.label

    def read_first(self, name: str, count: int) -> list[Row]:
        """The first rows of one of the data's own splits."""
        return list(islice(self._read(name), count))

    def part(self, split: str) -> Part:
        """What a split holds, rows that can't be used among it. Raises DataError for a file that can't be
        read."""
        if split not in self._parts:
            origin = self.origins[split]
            if origin.held_out is None:
                self._parts[split] = self._collect(split, enumerate(self._read(origin.name)))
            else:
                self._divide(origin.name)
            if split == "train":
                self._parts[split] = self._leave_out_held(self._parts[split])
        return self._parts[split]

    def list_faults(self, splits: Iterable[str]) -> list[Fault]:
        """The rows of these splits that can't be used, each once."""
        return list(dict.fromkeys(fault for split in splits for fault in self.part(split).faults))

    def refuse_faults(self, splits: Iterable[str]) -> None:
        """Raise DataError where rows of these splits can't be used, unless they are to be skipped."""
        refusal = self.write_refusal(splits)
        if refusal:
            raise DataError(refusal)

    def write_refusal(self, splits: Iterable[str]) -> str:
        """What is said of rows that can't be used and are not to be skipped; "" where there are none."""
        splits = tuple(splits)
        faults = self.list_faults(splits)
        if not faults or self.spec.bad_rows == "skip":
            return ""
        if any(self.part(split).problems for split in splits):
            return f"{describe_faults(faults)} Mend them, or leave them out with --bad-rows skip."
        return (
            f"None of the {len(faults)} rows of {self.label} can be used: {_list_kinds(faults)}. Are "
            "--prompt, --answer and --verify as they should be?"
        )

    @cached_property
    def _rows(self) -> Rows:
        return Rows(self.name, self._load, self.splits)

    @cached_property
    def _parts(self) -> dict[str, Part]:
        return {}

    def _load(self, split: str) -> Sequence[Problem]:
        self.refuse_faults([split])
        return self.part(split).problems

    def _read(self, name: str) -> Iterator[Row]:
        return iter(self.place.splits[name]())

    def _collect(self, split: str, rows: Iterable[tuple[int, Row]]) -> Part:
        problems, faults, places = [], [], {}
        for index, row in rows:
            made = self._make(row)
            if isinstance(made, Fault):
                faults.append(made)
                continue
            problem = replace(made, id=f"{self.name}/{split}/{index}")
            problems.append(problem)
            places[problem.id] = row.where
        return Part(tuple(problems), places, tuple(faults))

    def _make(self, row: Row) -> Problem | Fault:
        try:
            problem = make_problem(self.layout, row)
        except UnusableError as failure:
            return Fault(row.where, str(failure))
        fault = self.judge.find_fault(problem)
        if fault:
            return Fault(row.where, fault, f"can't be read by the verifier {self.judge.name}")
        return problem

    def _divide(self, name: str) -> None:
        """Both sides of one split of the data, at once."""
        sides: dict[bool, list[tuple[int, Problem, str]]] = {True: [], False: []}
        faults = []
        for index, row in enumerate(self._read(name)):
            made = self._make(row)
            if isinstance(made, Fault):
                faults.append(made)
            else:
                sides[draw_side(made.key) < self.spec.test_share * _STEPS].append((index, made, row.where))
        if not sides[True] and len({problem.key for _, problem, _ in sides[False]}) > 1:
            lowest = min((problem.key for _, problem, _ in sides[False]), key=draw_side)
            sides[True] = [entry for entry in sides[False] if entry[1].key == lowest]
            sides[False] = [entry for entry in sides[False] if entry[1].key != lowest]
        for split, origin in self.origins.items():
            if origin.name == name and origin.held_out is not None:
                made_problems, places = [], {}
                for index, problem, where in sides[origin.held_out]:
                    placed = replace(problem, id=f"{self.name}/{split}/{index}")
                    made_problems.append(placed)
                    places[placed.id] = where
                self._parts[split] = Part(tuple(made_problems), places, tuple(faults))

    def _leave_out_held(self, part: Part) -> Part:
        others = [split for split in self.origins if split in ("test", "validation")]
        held = {problem.key for split in others for problem in self.part(split).problems}
        kept = tuple(problem for problem in part.problems if problem.key not in held)
        gone = tuple(part.places[problem.id] for problem in part.problems if problem.key in held)
        return replace(part, problems=kept, overlap=gone)


def draw_side(key: str) -> int:
    """A number below 2**32 by which a problem is held out or not: of its key alone, whatever its file."""
    return digest("held out", key) % _STEPS


def describe_faults(faults: Sequence[Fault]) -> str:
    """How many rows can't be used, and why, the first three of each kind named."""
    return f"{len(faults)} {'row' if len(faults) == 1 else 'rows'} can't be used. {_list_kinds(faults)}."


def _list_kinds(faults: Sequence[Fault]) -> str:
    by_what: dict[str, list[Fault]] = {}
    for fault in faults:
        by_what.setdefault(fault.kind or fault.what, []).append(fault)
    kinds = sorted(by_what.items(), key=lambda kind: -len(kind[1]))
    return "; ".join(_describe_kind(what, alike) for what, alike in kinds[:SHOWN]) + (
        "; ..." if len(kinds) > SHOWN else ""
    )


def _describe_kind(kind: str, faults: Sequence[Fault]) -> str:
    """`12 references can't be read by the verifier number (mine.jsonl, lines 3, 7, 12, ...): ...`"""
    places = name_places([fault.where for fault in faults])
    if not faults[0].kind:
        return f"{places}: {kind}" + (f" ({len(faults)} rows)" if len(faults) > 1 else "")
    noun = "reference" if len(faults) == 1 else "references"
    reasons = list(dict.fromkeys(fault.what for fault in faults))
    said = "; ".join(reasons[:SHOWN]) + ("; ..." if len(reasons) > SHOWN else "")
    return f"{len(faults)} {noun} {kind} ({places}): {said}"


def name_places(places: Sequence[str]) -> str:
    """The first three places, and whether there are more: `mine.jsonl, lines 3, 7, 12, ...`."""
    shown = places[:SHOWN]
    heads = {place.rpartition(" ")[0] for place in shown}
    if len(shown) > 1 and len(heads) == 1:
        shown = [f"{heads.pop()}s {', '.join(place.rpartition(' ')[2] for place in shown)}"]
    return f"{', '.join(shown)}{', ...' if len(places) > SHOWN else ''}"


def assign_splits(place: Place, spec: DataSpec) -> dict[str, Origin]:
    """Which of the data's splits serve as train, test and validation; others keep their names.

    Raises DataError where the one to train on is not there, or several could be.
    """
    names = list(place.splits)
    train = _find_train(names, spec)
    left = [name for name in names if name != train]
    by_role = {role: [name for name in left if find_split(name) == role] for role in ("test", "validation")}
    test = _first_named("test", by_role["test"])
    validation = _first_named("validation", by_role["validation"])
    found: dict[str, Origin] = {}
    if train and (test or validation):
        found["train"] = Origin(train)
    elif train:
        if spec.test_share < 1:
            found["train"] = Origin(train, held_out=False)
        found["test"] = Origin(train, held_out=True)
    if test or validation:
        found["test"] = Origin(test or validation)
    if test and validation:
        found["validation"] = Origin(validation)
    used = {origin.name for origin in found.values()}
    return found | {name: Origin(name) for name in left if name not in used and name not in found}


def _find_train(names: list[str], spec: DataSpec) -> str:
    if spec.split:
        same = [name for name in names if spec.split == name or (name == WHOLE and spec.split == "train")]
        same = same or [name for name in names if find_split(name) == spec.split]
        if len(same) != 1:
            has = ", ".join(name for name in names if name != WHOLE)
            fix = f"it has {has}" if has else "it has none by name: leave --split out"
            raise DataError(f"{spec.label} has no split {spec.split!r}; {fix}.")
        return same[0]
    candidates = [name for name in names if find_split(name) == "train"]
    exact = _first_named("train", candidates) if "train" in candidates or len(candidates) == 1 else ""
    if len(candidates) > 1 and not exact:
        raise DataError(
            f"{spec.label} has several splits to train on: {', '.join(candidates)}. Say which: --split "
            f"{candidates[0]}"
        )
    if exact:
        return exact
    return names[0] if len(names) == 1 and not find_split(names[0]) else ""


def _first_named(role: str, names: list[str]) -> str:
    """The split that is called so, else the first."""
    return role if role in names else next(iter(names), "")
