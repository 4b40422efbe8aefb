"""What is known of each problem: its pass-rate over time, and references that look wrong.

Problems of a dataset come back every epoch and are kept by id. Those of a procedural task don't, so they are
kept by level. Everything here is plain data, so that a checkpoint can hold it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

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

    def compute_recent_rate(self, visits: int = 2) -> float | None:
        """Pass-rate of the last visits; None when there were fewer, or none of their completions was
        scored."""
        last = self.visits[-visits:]
        scored = sum(scored for _, _, scored in last)
        return sum(passed for _, passed, _ in last) / scored if len(last) == visits and scored else None


@dataclass
class Ledger:
    """items: by problem id, or "level N" for problems that never come back."""

    items: dict[str, Item] = field(default_factory=dict)

    def add(self, step: int, groups: Sequence[Group], finite: bool) -> None:
        """Enter a step's groups. finite: the task's problems come back."""
        for group in groups:
            scored = [score for score in group.scores_G if not score.abstained]
            level = group.problem.metadata.get("level", 1)
            item = self.items.setdefault(group.problem.id if finite else f"level {level}", Item())
            passed = sum(score.passed for score in scored)
            if item.visits and item.visits[-1][0] == step:
                item.visits[-1][1] += passed
                item.visits[-1][2] += len(scored)
            else:
                item.visits.append([step, passed, len(scored)])
            if finite:
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
        return {name: {"visits": item.visits, "answers": item.answers} for name, item in self.items.items()}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Ledger:
        return cls({name: Item(**item) for name, item in plain.items()})


def _count_answers(item: Item, group: Group) -> None:
    counts: Counter[str] = Counter(item.answers)
    for score in group.scores_G:
        answer = score.correctness.answer if score.correctness is not None else None
        if answer is not None and not score.passed:
            counts[answer[:80]] += 1
    item.answers = dict(counts.most_common(4))
