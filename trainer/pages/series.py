"""The curves of a run: every number of its steps, with 95 % intervals over problems where they can be had."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ..intervals import bootstrap
from ..reports.loggers import flatten
from .rows import Table, group_by_step, list_criteria

BAND_DRAWS = 1000  # of a step's bootstrap: its ends repeat to about 3 % of its width
DIGITS = 5  # that a number of a curve keeps
HIDDEN = ("prompts/",)  # positions in the train stream


@dataclass(frozen=True)
class Band:
    """The ends of the interval of each step; None where it has none."""

    low: list[float | None]
    high: list[float | None]


@dataclass(frozen=True)
class Series:
    """Curves over the steps of a run.

    axes: `step`, `tokens` (millions that were sampled up to there, those of groups that were thrown away,
    too) and `hours` (spent on steps and evaluations up to there), each ascending.
    lines: name -> the value of each step.  bands: of some of them.
    """

    axes: dict[str, list[float]]
    lines: dict[str, list[float | None]]
    bands: dict[str, Band] = field(default_factory=dict)


def trace(metrics: Sequence[Mapping[str, Any]]) -> Series:
    """The curves of the lines of metrics.jsonl, without bands."""
    axes: dict[str, list[float]] = {"step": [], "tokens": [], "hours": []}
    rows: list[dict[str, float]] = []
    tokens = seconds = 0.0
    for line in metrics:
        spent = line.get("seconds", 0.0)
        seconds += sum(spent.values()) if isinstance(spent, Mapping) else float(spent)
        if line["kind"] != "step":
            continue
        values = flatten({name: value for name, value in line.items() if name not in ("kind", "step")})
        tokens += values.get("tokens_sampled", values.get("tokens", 0.0))  # of a fit, those it learned from
        for axis, value in (("step", line["step"]), ("tokens", tokens / 1e6), ("hours", seconds / 3600)):
            axes[axis].append(round_digits(value, 7) or 0.0)
        rows.append(values)
    names = dict.fromkeys(name for row in rows for name in row if not name.startswith(HIDDEN))
    return Series(axes, {name: [round_digits(row.get(name)) for row in rows] for name in names})


def measure_bands(series: Series, table: Table, run: int) -> dict[str, Band]:
    """Intervals of reward, pass-rate and each criterion, over the problems of each step.

    The bootstrap takes a phantom problem at each end, so a step whose problems all agree has an interval,
    too. Rewards beyond 0 and 1 (of reward models) have bands between their own extremes.
    """
    wanted = {"reward": "reward", "pass_rate": "passed"}
    wanted |= {f"criteria/{name}/mean": f"value {name}" for name in list_criteria(table)}
    bands = {}
    for line, column in wanted.items():
        groups = group_by_step(table, run, column) if line in series.lines else {}
        if not groups:
            continue
        means = {
            step: [math.fsum(values) / len(values) for values in of_step.values()]
            for step, of_step in groups.items()
        }
        least = min(0.0, *(value for of_step in means.values() for value in of_step))
        most = max(1.0, *(value for of_step in means.values() for value in of_step))
        ends = [
            _bound(tuple(means[step]), least, most) if step in means else (None, None)
            for step in map(int, series.axes["step"])
        ]
        bands[line] = Band([round_digits(low) for low, _ in ends], [round_digits(high) for _, high in ends])
    return bands


@lru_cache(100_000)  # a live page asks again for all steps
def _bound(means: tuple[float, ...], least: float, most: float) -> tuple[float, float]:
    return bootstrap(means, least, most, draws=BAND_DRAWS)


def round_digits(value: float | None, digits: int = DIGITS) -> float | None:
    """To that many significant digits; None for what is no number."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")
