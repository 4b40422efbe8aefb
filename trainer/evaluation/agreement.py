"""How far a rubric says what people say: its verdicts beside labels of the same completions.

Imports no torch. Suffix: P problems.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ...tasks.core.errors import DataError, shorten
from ...tasks.core.rowfiles import Row
from ..intervals import Interval, mean_interval

SPELLED = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Agreement:
    """Labels of `labelled` completions beside what the rubric made of them; what abstained is left out.

    agreed: share on which both say the same.  wrong_passed: of those labelled wrong, the share that passes.
    right_failed: of those labelled right, the share that does not. Each is a mean over problems with its 95 %
    interval.  kappa: agreement beyond what chance gives two judges with these rates (Cohen 1960), over all
    completions, from -1 to 1; not a number where both always say the same one thing.
    """

    labelled: int
    agreed: Interval
    wrong_passed: Interval
    right_failed: Interval
    kappa: float

    def __str__(self) -> str:
        said = [f"agrees with the labels of {self.labelled} completions: {self.agreed}"]
        if not math.isnan(self.kappa):
            said[0] += f", kappa {self.kappa:.2f}"
        if self.wrong_passed.problems:
            said.append(f"labelled wrong and passed {self.wrong_passed}")
        if self.right_failed.problems:
            said.append(f"labelled right and not passed {self.right_failed}")
        return "\n    ".join(said)


@dataclass(frozen=True, slots=True)
class _Pair:
    label: bool
    passed: bool

    @property
    def agrees(self) -> bool:
        return self.label == self.passed


@dataclass
class Labels:
    """Labels and verdicts by problem, as they come in."""

    pairs_P: dict[str, list[_Pair]] = field(default_factory=dict)

    def add(self, problem: str, label: bool, passed: bool) -> None:
        self.pairs_P.setdefault(problem, []).append(_Pair(label, passed))

    def summarise(self) -> Agreement | None:
        """None where nothing is labelled."""
        listed = list(self.pairs_P.values())
        pairs = [pair for of_one in listed for pair in of_one]
        if not pairs:
            return None
        agreed = [[float(pair.agrees) for pair in of_one] for of_one in listed]
        wrong = [[float(pair.passed) for pair in of_one if not pair.label] for of_one in listed]
        right = [[float(not pair.passed) for pair in of_one if pair.label] for of_one in listed]
        return Agreement(
            len(pairs),
            mean_interval(agreed, 0, 1),
            mean_interval(wrong, 0, 1),
            mean_interval(right, 0, 1),
            _compute_kappa(pairs),
        )


def read_labels(row: Row, column: str, count: int) -> list[bool | None]:
    """What a row's column says of its completions: true or false (1 or 0; as words, too, since a CSV has
    nothing else), a list of them where it has several; null says nothing. Raises DataError for anything else,
    and for a row without the column."""
    if column not in row.values:
        raise DataError(
            f"{row.where}: no column {column!r} with labels; the row has {', '.join(map(str, row.values))}."
        )
    value = row.values[column]
    values = value if isinstance(value, list) else [value] * count if value is None else [value]
    if len(values) != count:
        raise DataError(f"{row.where}: {len(values)} labels in {column!r} for {count} completions.")
    labels: list[bool | None] = []
    for each in values:
        said = SPELLED.get(each.strip().lower(), each) if isinstance(each, str) else each
        if said is not None and said not in (0, 1):
            raise DataError(
                f"{row.where}: the label {shorten(repr(each), 60)} in {column!r} is neither true nor false. "
                "Write true, false, or null for a completion without a label (in a CSV, an empty cell)."
            )
        labels.append(None if said is None else bool(said))
    return labels


def _compute_kappa(pairs: list[_Pair]) -> float:
    count = len(pairs)
    right = sum(pair.label for pair in pairs) / count
    passed = sum(pair.passed for pair in pairs) / count
    chance = right * passed + (1 - right) * (1 - passed)
    agreed = sum(pair.agrees for pair in pairs) / count
    return (agreed - chance) / (1 - chance) if chance < 1 else math.nan
