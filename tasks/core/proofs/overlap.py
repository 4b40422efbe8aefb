"""Whether problems that a model is measured on are among those that it is trained on.

Exact: the same words in the same order. By 13-grams: 13 words in a row in common (Brown et al. 2020,
arXiv:2005.14165, appendix C); a shorter problem counts as one gram.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..dataset import Dataset
from ..errors import UserError
from ..problem import Problem
from ..reach import find_reach
from ..task import Task
from .probes import draw
from .proof import Overlap, Shared

GRAM = 13  # words
MOST = 20_000  # problems of a split that are looked at
FEW = 300  # of a generator's stream
HELD_OUT = ("test", "validation")


def list_words(text: str) -> tuple[str, ...]:
    """The words of a text in small letters, numbers too."""
    return tuple(re.findall(r"\w+", text.casefold()))


def list_grams(words: Sequence[str]) -> Iterator[int]:
    """A hash of each 13 words in a row, of all of them where they are fewer; none of no words."""
    if words:
        for start in range(max(1, len(words) - GRAM + 1)):
            yield hash(tuple(words[start : start + GRAM]))


def squeeze(text: str) -> str:
    """A text in small letters, with one space for each stretch of white space; its signs stay."""
    return " ".join(text.casefold().split())


@dataclass
class Index:
    """The texts of a set of problems. name: what a sentence calls it."""

    name: str
    texts: set[str] = field(default_factory=set)
    whole: set[int] = field(default_factory=set)
    grams: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, name: str, problems: Iterable[Problem]) -> Index:
        index = cls(name)
        for problem in problems:
            words = list_words(problem.text)
            index.texts.add(squeeze(problem.text))
            index.whole.add(hash(words))
            index.grams.update(list_grams(words))
        return index

    def count_shared(self, problems: Sequence[Problem], *, patterned: bool) -> Shared:
        """How many problems are among these, and how many share 13 words in a row with one of them.

        patterned: whether the problems' texts are made from a pattern: grams say nothing there, and signs
        may be all that differs (the walls of a maze)."""
        texts = [problem.text for problem in problems]
        if patterned:
            return Shared(self.name, len(texts), sum(squeeze(text) in self.texts for text in texts))
        exact = sum(hash(list_words(text)) in self.whole for text in texts)
        return Shared(self.name, len(texts), exact, sum(self.shares(text, patterned=False) for text in texts))

    def shares(self, text: str, *, patterned: bool) -> bool:
        """Whether a text is one of these or, where they are made from no pattern, has 13 words in a row of
        one."""
        if patterned:
            return squeeze(text) in self.texts
        words = list_words(text)
        return hash(words) in self.whole or any(gram in self.grams for gram in list_grams(words))


class KnownSets:
    """The evaluation sets among the tasks that are known, each read when it is first asked for, and once.

    tasks: to look among.  data: folders and files for those that are not at hand by themselves, by name.
    """

    def __init__(self, tasks: Iterable[Task], data: Mapping[str, str] | None = None) -> None:
        self._data = dict(data or {})
        self._tasks = {
            task.name: task
            for task in tasks
            if isinstance(task.source, Dataset) and _find_held_out(task) is not None
        }
        self._indices: dict[str, Index | None] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tasks)

    def read(self, name: str) -> Index | None:
        """The texts of a set; None where its data are not at hand. Raises KeyError for none of `names`."""
        if name not in self._indices:
            self._indices[name] = self._read(self._tasks[name])
        return self._indices[name]

    def _read(self, task: Task) -> Index | None:
        given = task.with_options({"data": self._data[task.name]}) if task.name in self._data else task
        split = _find_held_out(task)
        if split is None or find_reach(given) == "network":
            return None
        try:
            return Index.of(task.name, draw(given, split, MOST))
        except UserError:
            return None


def _find_held_out(task: Task) -> str | None:
    return next((split for split in HELD_OUT if split in task.splits), None)


def measure_overlap(task: Task, known: KnownSets) -> Overlap:
    """The test split in the train split, and the train split in the known sets but the task's own; nothing,
    without a look at those, for a task that has no train split."""
    if "train" not in task.splits:
        return Overlap()
    patterned = task.source.size(task.splits[0]) is None
    count = FEW if patterned else MOST
    train = draw(task, "train", count)
    held_out = _find_held_out(task)
    within = None
    if held_out is not None:
        index = Index.of("train", train)
        within = index.count_shared(draw(task, held_out, count), patterned=patterned)
    sets = {name: known.read(name) for name in known.names if name != task.name}
    others = [index.count_shared(train, patterned=patterned) for index in sets.values() if index is not None]
    not_here = tuple(name for name, index in sets.items() if index is None)
    return Overlap(within, tuple(others), not_here)
