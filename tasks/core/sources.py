"""Where problems come from: a seeded generator (`Procedural`) or the rows of a dataset (`Rows`).

Both answer `at(split, index, seed)`, so that a run can stop anywhere and go on with the very next problem.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

from .errors import TaskError
from .options import read_keyword_defaults
from .problem import Problem
from .seeds import digest, split_of

MAX_DRAWS = 1_000

Generate = Callable[..., Problem | Iterator[Problem]]


class Source(Protocol):
    @property
    def splits(self) -> tuple[str, ...]: ...
    @property
    def option_defaults(self) -> Mapping[str, Any]:
        """The options it takes, with their present values."""
        ...

    def with_options(self, options: Mapping[str, Any]) -> Source:
        """This source with other values for some of its options, which exist."""
        ...

    def declared_size(self, split: str) -> int | None:
        """`size` as far as it is known without reading data, else None."""
        ...

    def size(self, split: str) -> int | None:
        """Number of problems in a split; None when it has no end."""
        ...

    def at(self, split: str, index: int, seed: int = 0, level: int | None = None) -> Problem:
        """The problem at a position of a split's stream. Same arguments, same problem, on any machine."""
        ...


@dataclass(frozen=True)
class Procedural:
    """Problems drawn by `generate(rng, level, **options)`, which returns or yields one problem.

    Each item has a generator of its own, seeded from a hash of name/split/seed/level/index. A draw whose
    key belongs to the other split is dropped and drawn again. Levels are 1..levels; without a chosen
    level, items go round them.
    """

    name: str
    generate: Generate
    levels: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    splits: tuple[str, ...] = ("train", "test")

    @property
    def option_defaults(self) -> dict[str, Any]:
        return {**read_keyword_defaults(self.generate), **self.options}

    def with_options(self, options: Mapping[str, Any]) -> Procedural:
        return replace(self, options={**self.options, **options})

    def declared_size(self, split: str) -> int | None:
        return self.size(split)

    def size(self, split: str) -> int | None:
        _check_split(self.name, split, self.splits)
        return None

    def at(self, split: str, index: int, seed: int = 0, level: int | None = None) -> Problem:
        _check_split(self.name, split, self.splits)
        level = level if level is not None else 1 + index % self.levels
        if not 1 <= level <= self.levels:
            raise TaskError(f"Task {self.name} has levels 1 to {self.levels}; there is no level {level}.")
        rng = random.Random(digest(self.name, split, seed, level, index))
        for _ in range(MAX_DRAWS):
            drawn = self.generate(rng, level, **self.options)
            problem = drawn if isinstance(drawn, Problem) else next(drawn)
            key = problem.key or problem.text
            if split_of(self.name, key) == split:
                metadata = {"level": level, **problem.metadata}
                return replace(
                    problem, id=f"{self.name}/{split}/{seed}/{level}/{index}", key=key, metadata=metadata
                )
        raise TaskError(
            f"Task {self.name}, level {level}: {MAX_DRAWS} draws gave no problem of the {split} split. "
            "Its generator makes too few different problems; widen it."
        )


@dataclass(frozen=True)
class Rows:
    """Problems from a finite dataset.

    `load(split)` is called for every problem: it keeps what it read, in a fixed order. A test split is read
    in its own order. A train split is read in a seeded permutation, another one each epoch.
    """

    name: str
    load: Callable[[str], Sequence[Problem]]
    splits: tuple[str, ...]

    @property
    def option_defaults(self) -> dict[str, Any]:
        return {}

    def with_options(self, options: Mapping[str, Any]) -> Rows:  # noqa: ARG002
        return self

    def declared_size(self, split: str) -> int | None:
        _check_split(self.name, split, self.splits)
        return None

    def size(self, split: str) -> int | None:
        return len(self._problems(split))

    def at(self, split: str, index: int, seed: int = 0, level: int | None = None) -> Problem:
        if level is not None:
            raise TaskError(f"Task {self.name} reads a dataset and has no levels; leave the level out.")
        problems = self._problems(split)
        epoch, position = divmod(index, len(problems))
        if split != "train":
            return problems[position]
        return problems[_permute(self.name, seed, epoch, len(problems))[position]]

    def _problems(self, split: str) -> Sequence[Problem]:
        _check_split(self.name, split, self.splits)
        problems = self.load(split)
        if not problems:
            raise TaskError(f"The {split} split of task {self.name} holds no problem.")
        return problems


@lru_cache(maxsize=64)  # the data sets of a mixture take turns
def _permute(name: str, seed: int, epoch: int, size: int) -> tuple[int, ...]:
    order = list(range(size))
    random.Random(digest(name, "epoch", seed, epoch)).shuffle(order)
    return tuple(order)


def _check_split(name: str, split: str, splits: tuple[str, ...]) -> None:
    if split not in splits:
        raise TaskError(f"Task {name} has no split {split!r}; it has {', '.join(splits)}.")
