"""Means with intervals, and how often a model's completions beat a baseline's. Imports no torch.

Suffixes: P problems, G completions of one problem.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...tasks.core.errors import UserError
from ...tasks.core.rowfiles import read_rows
from ..intervals import bootstrap


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval over problems; nan with the widest interval when nothing was counted."""

    value: float
    low: float
    high: float
    problems: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean_interval(values_PG: Sequence[Sequence[float]], least: float, most: float) -> Interval:
    """Mean over problems of the mean over their completions; values in [least, most]. Empty problems don't count."""
    means_P = [min(most, max(least, math.fsum(values) / len(values))) for values in values_PG if values]
    if not means_P:
        return Interval(math.nan, least, most, 0)
    low, high = bootstrap(means_P, least, most)
    return Interval(math.fsum(means_P) / len(means_P), low, high, len(means_P))


@dataclass(frozen=True)
class WinRate:
    """Chance that a completion has a higher reward than the baseline's for the same problem, a tie counting half.

    wins, ties, losses: shares of all pairs of completions.  unmatched: problems that only one side has.
    """

    rate: Interval
    wins: float
    ties: float
    losses: float
    unmatched: int

    def __str__(self) -> str:
        return f"{100 * self.rate.value:.1f} % [{100 * self.rate.low:.1f}, {100 * self.rate.high:.1f}]"


def win_rate(ours: Mapping[str, Sequence[float]], baseline: Mapping[str, Sequence[float]]) -> WinRate:
    """Every completion against every completion of the baseline, problem by problem (id -> rewards).

    The interval is over problems, which are independent; pairs of one problem are not.
    """
    shared = [key for key in ours if ours[key] and baseline.get(key)]
    unmatched = len({key for key in ours if ours[key]} ^ {key for key in baseline if baseline[key]})
    pairs_P = [[(a, b) for a in ours[key] for b in baseline[key]] for key in shared]
    rates = [[0.5 if a == b else float(a > b) for a, b in pairs] for pairs in pairs_P]
    flat = [pair for pairs in pairs_P for pair in pairs]
    count = max(1, len(flat))
    return WinRate(
        mean_interval(rates, 0.0, 1.0),
        sum(a > b for a, b in flat) / count,
        sum(a == b for a, b in flat) / count,
        sum(a < b for a, b in flat) / count,
        unmatched,
    )


def read_baseline(source: str) -> dict[str, list[str]]:
    """Completions by problem id from the completions.jsonl of an evaluation (the file or its folder). Raises UserError."""
    path = Path(source) / "completions.jsonl" if Path(source).is_dir() else Path(source)
    if not path.is_file():
        raise UserError(f"There is no file {path}. Give the folder of an earlier `palaestra eval`, or its completions.jsonl.")
    found: dict[str, list[str]] = {}
    for row in read_rows(path):
        if not isinstance(row.values.get("id"), str) or not isinstance(row.values.get("completion"), str):
            raise UserError(
                f"{row.where}: a baseline's row has an id and a completion; this one has {json.dumps(list(row.values))}."
            )
        found.setdefault(row.values["id"], []).append(row.values["completion"])
    return found
