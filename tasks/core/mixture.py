"""Several tasks in one stream, in shares that are set: what `--task gsm8k:2,countdown@3:1` trains on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from ...verifiers import Completion, Criterion, Rubric, Score, Verdict
from ...verifiers.types import ProblemLike
from . import registry
from .errors import TaskError
from .interleave import Slot, count_slots, order_slots
from .problem import Problem
from .task import Kind, Task

# A name may have a colon itself: what follows it is a weight where it begins as a number does.
_PART = re.compile(r"(?P<name>.+?)(?:@(?P<level>[^@:/]*))?(?::(?P<weight>[-+.]?\d[^:/]*)?)?", re.DOTALL)


@dataclass(frozen=True)
class ComponentName:
    """What a text asks for: a task's name or file, its level (None: all of them), its weight."""

    name: str
    level: int | None = None
    weight: float = 1.0


def names_mixture(text: str) -> bool:
    """Whether a task's name is that of a mixture: names with commas between them."""
    return "," in text and not Path(text).exists()


def read_names(text: str) -> list[ComponentName]:
    """What NAME[@LEVEL][:WEIGHT],... asks for. Raises TaskError for an empty name, a level that is no whole
    number, and a weight that is no number above 0."""
    return [_read_name(component.strip(), text) for component in text.split(",")]


def _read_name(component: str, text: str) -> ComponentName:
    found = _PART.fullmatch(component)
    if found is None:
        raise TaskError(f"--task {text}: a name is empty. Give names with single commas between them.")
    level, weight = found["level"], found["weight"]
    if level is not None and not (level.isdecimal() and int(level) >= 1):
        raise TaskError(
            f"--task {text}: the level of {found['name']} is a whole number above 0, not {level!r}."
        )
    try:
        number = 1.0 if weight is None else float(weight)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise TaskError(f"--task {text}: the weight of {found['name']} is a number above 0, not {weight!r}.")
    return ComponentName(found["name"], None if level is None else int(level), number)


@dataclass(frozen=True)
class Component:
    """A task in a mixture. weight: its share of the problems, beside the others' weights.  level: of a
    procedural task; None goes round its levels.

    >>> import palaestra as pal
    >>> hard, easy = pal.tasks.get("gcd"), pal.tasks.get("sorting")
    >>> pal.mix([pal.Component(hard, weight=2, level=3), pal.Component(easy)]).name
    'gcd@3+sorting'
    """

    task: Task
    weight: float = 1.0
    level: int | None = None

    @property
    def label(self) -> str:
        """What it is called in metrics: the task's name, with @LEVEL where it has one level only."""
        return self.task.name if self.level is None else f"{self.task.name}@{self.level}"

    def holds(self, problem: Problem) -> bool:
        """Whether a problem is one of this component."""
        of_task = problem.id.partition("/")[0] == self.task.name
        return of_task and (self.level is None or problem.metadata.get("level") == self.level)


@dataclass(frozen=True)
class Place:
    """Where a problem of a mixture is: at `index` of a component's own stream."""

    component: Component
    index: int


@dataclass(frozen=True)
class _Order:
    """Who is in a split, how often each comes in a period of it, and the period."""

    members: tuple[Component, ...]
    counts: list[int]
    slots: list[Slot]


@dataclass(frozen=True)
class MixedSource:
    """The streams of several tasks, interleaved by their weights in a fixed order. No split has an end: data
    sets begin again. All have a train split; a task without another one is not in that."""

    components: tuple[Component, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(split for component in self.components for split in component.task.splits))

    @property
    def option_defaults(self) -> dict[str, Any]:
        return {}

    def with_options(self, options: Mapping[str, Any]) -> Self:  # noqa: ARG002
        return self

    def declared_size(self, split: str) -> int | None:
        return self.size(split)

    def size(self, split: str) -> int | None:
        if split not in self.splits:
            raise TaskError(f"The mixture has no split {split!r}; it has {', '.join(self.splits)}.")
        return None

    def locate(self, index: int, split: str = "train") -> Place:
        """Whose the problem at a position is, and where it is in that component's own stream."""
        order = self._orders[split]
        rounds, position = divmod(index, len(order.slots))
        slot = order.slots[position]
        return Place(order.members[slot.number], rounds * order.counts[slot.number] + slot.rank)

    def at(self, split: str, index: int, seed: int = 0, level: int | None = None) -> Problem:
        if level is not None:
            raise TaskError("A mixture has no level of its own; give each task its own, as countdown@3.")
        self.size(split)
        place = self.locate(index, split)
        return place.component.task.problem(split, place.index, seed, place.component.level)

    @cached_property
    def _orders(self) -> dict[str, _Order]:
        return {split: self._order(split) for split in self.splits}

    def _order(self, split: str) -> _Order:
        members = tuple(component for component in self.components if split in component.task.splits)
        counts = count_slots([component.weight for component in members])
        return _Order(members, counts, order_slots(counts))


class MixedRubric(Rubric):
    """The rubric of a mixture: each problem is judged by that of its own task, and by no other.

    criteria: of all tasks, for whoever lists them; two tasks may have criteria of one name.
    """

    def __init__(self, rubrics: Mapping[str, Rubric]) -> None:
        self.rubrics = dict(rubrics)
        self.criteria = tuple(each for rubric in self.rubrics.values() for each in rubric.criteria)

    @property
    def instruction(self) -> str:
        return ""

    @property
    def verifiable(self) -> bool:
        return all(rubric.verifiable for rubric in self.rubrics.values())

    @property
    def bounded(self) -> bool:
        return all(rubric.bounded for rubric in self.rubrics.values())

    @property
    def least(self) -> float:
        return min(rubric.least for rubric in self.rubrics.values())

    @property
    def most(self) -> float:
        return max(rubric.most for rubric in self.rubrics.values())

    def start(self) -> dict[str, Any]:
        return {key: fact for rubric in self.rubrics.values() for key, fact in rubric.start().items()}

    @property
    def correctness(self) -> Criterion:
        raise TypeError("Each task of a mixture has its own correctness: ask rubric.of(problem.id).")

    def of(self, problem_id: str) -> Rubric:
        """Raises TaskError where the mixture has no task of that problem."""
        name = problem_id.partition("/")[0]
        if name not in self.rubrics:
            raise TaskError(
                f"The mixture of {', '.join(self.rubrics)} has no task of problem {problem_id!r}: take "
                "one of its own problems."
            )
        return self.rubrics[name]

    def score(self, completion: Completion, problem: ProblemLike) -> Score:
        return self.of(getattr(problem, "id", "")).score(completion, problem)

    def judge(self, parts: Mapping[str, Verdict], learned: Mapping[str, float]) -> Score:  # noqa: ARG002
        raise TypeError("Each task of a mixture weighs its own verdicts: ask rubric.of(problem.id).")

    def weigh(self, factors: Mapping[str, float]) -> MixedRubric:
        return MixedRubric({name: rubric.weigh(factors) for name, rubric in self.rubrics.items()})

    def lenient(self) -> MixedRubric:
        return MixedRubric({name: rubric.lenient() for name, rubric in self.rubrics.items()})

    def describe(self) -> str:
        return "\n".join(f"{name}:\n{_indent(rubric.describe())}" for name, rubric in self.rubrics.items())

    def __repr__(self) -> str:
        return f"MixedRubric({', '.join(f'{name}: {rubric!r}' for name, rubric in self.rubrics.items())})"


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))


@dataclass(frozen=True)
class Mixture(Task):
    """Several tasks as one. Each problem keeps its id, its instruction and its rubric.

    >>> import palaestra as pal
    >>> both = pal.mix({"gcd": 2, "sorting": 1})
    >>> [problem.id for problem in both.problems("test", 3)]
    ['gcd/test/0/1/0', 'sorting/test/0/1/0', 'gcd/test/0/2/1']
    """

    source: MixedSource
    components: tuple[Component, ...] = field(default=(), kw_only=True)

    @property
    def facts(self) -> dict[str, Any]:
        components = [
            {"weight": component.weight, "level": component.level, **component.task.facts}
            for component in self.components
        ]
        return {**super().facts, "components": components}

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """The tasks without a test split, which evaluations pass by where another one has it."""
        names = [member.name for member in self.members if "test" not in member.splits]
        return tuple(names) if "test" in self.splits else ()

    @property
    def members(self) -> tuple[Task, ...]:
        return tuple({component.task.name: component.task for component in self.components}.values())

    def find_member(self, problem_id: str) -> Task:
        name = problem_id.partition("/")[0]
        for member in self.members:
            if member.name == name:
                return member
        raise TaskError(f"The mixture {self.name} has no task of problem {problem_id!r}.")

    def find_label(self, problem: Problem) -> str:
        """The label of the component that a problem belongs to."""
        for component in self.components:
            if component.holds(problem):
                return component.label
        raise TaskError(f"The mixture {self.name} has no component of problem {problem.id!r}.")

    def check_level(self, level: int | None) -> None:
        if level is not None:
            raise TaskError(
                f"--level {level} is of one task. In a mixture give each its own: NAME@LEVEL, as countdown@3."
            )
        for component in self.components:
            component.task.check_level(component.level)

    def with_options(self, options: Mapping[str, Any]) -> Task:
        if options:
            raise TaskError(
                f"Option {next(iter(options))} belongs to one task, and a mixture has several. From Python: "
                "pal.mix of tasks that have their options."
            )
        return self

    def solution(self, problem: Problem) -> str:
        return self.find_member(problem.id).solution(problem)

    def demonstration(self, problem: Problem, rng: Any) -> str:
        return self.find_member(problem.id).demonstration(problem, rng)


def mix(tasks: Mapping[str, float] | Sequence[Component]) -> Mixture:
    """Several tasks as one, whose problems come in shares by weight.

    tasks: weights by the tasks' names, as NAME or NAME@LEVEL; or `Component`s of tasks in memory.
    Raises TaskError where there are fewer than two, two are of the same problems, one has no train split,
    or a reward model judges one of them.

    >>> import palaestra as pal
    >>> pal.mix({"countdown@2": 3, "gcd": 1}).summary
    'By weight: countdown@2 3, gcd 1.'
    """
    components = _load(tasks) if isinstance(tasks, Mapping) else tuple(tasks)
    _check(components)
    labels = [component.label for component in components]
    kinds = {component.task.kind for component in components}
    kind: Kind = kinds.pop() if len(kinds) == 1 else "unknown"
    said = ", ".join(f"{component.label} {component.weight:g}" for component in components)
    rubrics = {component.task.name: component.task.rubric for component in components}
    return Mixture(
        "+".join(labels),
        MixedSource(components),
        MixedRubric(rubrics),
        kind,
        f"By weight: {said}.",
        origin="mixture",
        components=components,
    )


def _load(weights: Mapping[str, float]) -> tuple[Component, ...]:
    named = [replace(_read_name(name, name), weight=float(weight)) for name, weight in weights.items()]
    return tuple(Component(registry.get(each.name), each.weight, each.level) for each in named)


def _check(components: Sequence[Component]) -> None:
    if len(components) < 2:
        raise TaskError("A mixture has two tasks or more; for one give its name alone.")
    seen: dict[str, list[Component]] = {}
    for component in components:
        if not 0 < component.weight < float("inf"):
            raise TaskError(f"The weight of {component.label} is a number above 0, not {component.weight!r}.")
        if component.task.rubric.learned:
            raise TaskError(
                f"Task {component.task.name} is judged by a reward model; a mixture takes verified ones."
            )
        seen.setdefault(component.task.name, []).append(component)
    for name, same in seen.items():
        levels = [component.level for component in same]
        if len(same) > 1 and (None in levels or len({*levels}) < len(levels)):
            raise TaskError(
                f"Task {name} is in the mixture twice with the same problems. Give it one weight, or "
                "levels of its own to each, as countdown@1:1,countdown@3:2."
            )
    without = [component.task for component in components if "train" not in component.task.splits]
    if without:
        raise TaskError(
            f"Task {without[0].name} has no train split (it has {', '.join(without[0].splits)}): it can be "
            "measured, and not be part of what is trained on. Leave it out of the mixture."
        )
