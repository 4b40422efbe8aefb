"""What is known of each problem: its pass-rate over time, and references that look wrong.

Problems of a dataset come back every epoch and are kept by id. Those of a procedural task don't, so they are
kept by level. Of a mixture's tasks there is a pass-rate each. Everything here is plain data, so that a
checkpoint can hold it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...tasks import Task
from .group import Group

SUSPECT_COMPLETIONS = 16  # scored completions before a reference can be suspected
SUSPECT_AGREEMENT = 0.6  # share of them that must agree on one other answer


@dataclass
class Item:
    """One problem, or one level. visits: [step, passed, scored] each.  answers:
    how often each failed answer was given."""

    visits: list[list[int]] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)

    @property
    def scored(self) -> int:
        return sum(scored for _, _, scored in self.visits)

    @property
    def passed(self) -> int:
        return sum(passed for _, passed, _ in self.visits)

    def visit(self, step: int, group: Group) -> None:
        """Enter a group of a step."""
        scored = [score for score in group.scores_G if not score.abstained]
        passed = sum(score.passed for score in scored)
        if self.visits and self.visits[-1][0] == step:
            self.visits[-1][1] += passed
            self.visits[-1][2] += len(scored)
        else:
            self.visits.append([step, passed, len(scored)])

    def compute_recent_rate(self, visits: int = 2) -> float | None:
        """Pass-rate of the last visits; None when there were fewer, or none of their completions was
        scored."""
        return self.compute_rate(self.visits[-visits:], visits)

    @staticmethod
    def compute_rate(last: Sequence[Sequence[int]], visits: int) -> float | None:
        """Pass-rate of some visits; None when there are fewer than `visits`, or nothing was scored."""
        scored = sum(scored for _, _, scored in last)
        return sum(passed for _, passed, _ in last) / scored if len(last) == visits and scored else None


def name_level(task: Task, member: Task, level: int) -> str:
    """What the ledger keeps the problems of a level under. member: the task itself, or one of a mixture."""
    return f"level {level}" if member is task else f"{member.name} level {level}"


@dataclass
class Ledger:
    """items: by problem id, or by level for problems that never come back.  tasks: those of a mixture, by
    their labels."""

    items: dict[str, Item] = field(default_factory=dict)
    tasks: dict[str, Item] = field(default_factory=dict)

    def add(self, step: int, groups: Sequence[Group], task: Task) -> None:
        """Enter a step's groups. task: the run's."""
        for group in groups:
            problem, member = group.problem, task.find_member(group.problem.id)
            if member is not task:
                self.tasks.setdefault(task.find_label(problem), Item()).visit(step, group)
            if member.source.size("train") is None:
                level = name_level(task, member, problem.metadata.get("level", 1))
                self.items.setdefault(level, Item()).visit(step, group)
                continue
            item = self.items.setdefault(problem.id, Item())
            item.visit(step, group)
            _count_answers(item, group)

    def list_suspects(self) -> list[str]:
        """Problems that never passed although most completions agree on one answer:
        their reference may be wrong."""
        return [
            name
            for name, item in sorted(self.items.items())
            if item.scored >= SUSPECT_COMPLETIONS
            and item.passed == 0
            and max(item.answers.values(), default=0) >= SUSPECT_AGREEMENT * item.scored
        ]

    def to_dict(self) -> dict[str, Any]:
        """The items alone, for those who read a run."""
        return {name: {"visits": item.visits, "answers": item.answers} for name, item in self.items.items()}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Ledger:
        """What `dataclasses.asdict` made of one."""
        return cls(_read_items(plain["items"]), _read_items(plain.get("tasks", {})))


def _read_items(plain: dict[str, Any]) -> dict[str, Item]:
    return {name: Item(**item) for name, item in plain.items()}


def _count_answers(item: Item, group: Group) -> None:
    counts: Counter[str] = Counter(item.answers)
    for score in group.scores_G:
        answer = score.correctness.answer if score.correctness is not None else None
        if answer is not None and not score.passed:
            counts[answer[:80]] += 1
    item.answers = dict(counts.most_common(4))
