"""What changed between two judgements of the same completions. Imports no torch.

Suffixes: P problems, B completions.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...verifiers import Score
from ..intervals import Difference, Interval, mean_interval, paired_difference
from ..storage.rows import write_episode
from .recorded import Recorded

EXAMPLES = 5  # kept of each kind of change
UNSCORED = "unscored"


@dataclass(frozen=True)
class Change:
    """How many completions went from one status to another, with some of them.

    before, after: statuses of the correctness criterion, `unscored` for an abstention.
    """

    before: str
    after: str
    count: int
    examples: Sequence[Mapping[str, Any]] = field(default_factory=tuple, repr=False)


@dataclass(frozen=True)
class Changes:
    """All of them.

    equal: completions whose reward, status and pass stayed as they were.
    changes: by transition, the most frequent first, those that stayed among them (`before == after`).
    false_positive: of the completions that the new judgement scored as not passed, the share that had passed;
    false_negative: of those that pass now, the share that had not; both means over problems, with their 95 %
    intervals.  pass_rate: new minus old, over problems.  reward_before, reward_after: means.
    open_before, open_after: completions that were not scored.
    """

    completions: int
    problems: int
    equal: int
    changes: Sequence[Change]
    false_positive: Interval
    false_negative: Interval
    pass_rate: Difference
    reward_before: float
    reward_after: float
    open_before: int
    open_after: int


def find_changes(rows_B: Sequence[Recorded], scores_B: Sequence[Score]) -> Changes:
    """Of each completion what was recorded and what is found now."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    equal = 0
    for row, score in zip(rows_B, scores_B, strict=True):
        statuses = name_status(row), name_status_now(score)
        counts[statuses] += 1
        same = is_same(row, score)
        equal += same
        if not same and len(examples[statuses]) < EXAMPLES:
            examples[statuses].append(_make_example(row, score))
    changes = [Change(*kind, count, tuple(examples[kind])) for kind, count in counts.most_common()]
    both = [
        (row, score)
        for row, score in zip(rows_B, scores_B, strict=True)
        if not (row.abstained or score.abstained)
    ]
    return Changes(
        len(rows_B),
        len({row.problem for row in rows_B}),
        equal,
        changes,
        _share(both, lambda row, score: None if score.passed else row.passed),
        _share(both, lambda row, score: not row.passed if score.passed else None),
        _compare_rates(both),
        _average([row.reward for row in rows_B if not row.abstained]),
        _average([score.reward for score in scores_B if not score.abstained]),
        sum(row.abstained for row in rows_B),
        sum(score.abstained for score in scores_B),
    )


def is_same(row: Recorded, score: Score) -> bool:
    """Whether a judgement repeats what was recorded, to the bit."""
    now = (score.reward, score.passed, score.abstained, name_status_now(score))
    return now == (row.reward, row.passed, row.abstained, name_status(row))


def name_status(row: Recorded) -> str:
    """Of the correctness criterion, the first that was recorded."""
    if row.abstained:
        return UNSCORED
    first = next(iter(row.verdicts.values()), None)
    return first.status.value if first is not None else "passed" if row.passed else "not passed"


def name_status_now(score: Score) -> str:
    if score.abstained:
        return UNSCORED
    return score.parts[score.criterion].status.value


def _make_example(row: Recorded, score: Score) -> dict[str, Any]:
    verdict = score.parts[score.criterion]
    was = next(iter(row.verdicts.values()), None)
    return {
        "step": row.step, "sample": row.sample, "problem": row.problem, "completion": row.completion.text,
        "finish_reason": row.completion.finish_reason, **write_episode(row.completion),
        "reference": row.reference, "reward_before": row.reward, "reward_after": score.reward,
        "answer_before": was.answer if was is not None else None, "answer_after": verdict.answer,
        "reason_before": was.reason if was is not None else "", "reason_after": verdict.reason,
    }  # fmt: skip


def _share(
    both: Sequence[tuple[Recorded, Score]], counts: Callable[[Recorded, Score], bool | None]
) -> Interval:
    """The mean over problems of what counts, True or False; None stays out."""
    values_P: dict[str, list[float]] = defaultdict(list)
    for row, score in both:
        found = counts(row, score)
        if found is not None:
            values_P[row.problem].append(float(found))
    return mean_interval(list(values_P.values()), 0.0, 1.0)


def _compare_rates(both: Sequence[tuple[Recorded, Score]]) -> Difference:
    before_P: dict[str, list[float]] = defaultdict(list)
    after_P: dict[str, list[float]] = defaultdict(list)
    for row, score in both:
        before_P[row.problem].append(float(row.passed))
        after_P[row.problem].append(float(score.passed))
    return paired_difference(
        [_average(values) for values in before_P.values()], [_average(values) for values in after_P.values()]
    )


def _average(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
