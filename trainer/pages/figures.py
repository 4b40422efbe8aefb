"""The curves of runs as figures for papers: PNG and SVG, the band that of the page."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError
from .gather import Page, RunData

FORMATS = ("png", "svg")
COLOURS = ("#1d5fd1", "#c4501b", "#14804a", "#8a3fb0", "#a8820c", "#0f7c8a", "#b52f6b", "#59636e")
LABELS = {
    "held-out": "held-out pass@1, sampled",
    "reward": "reward of rollouts",
    "pass_rate": "pass-rate in training",
    "tokens": "tokens per completion",
    "entropy": "entropy (nats)",
}
AXES = {"step": "step", "tokens": "tokens sampled (millions)", "hours": "hours"}
DEFAULT = ("held-out", "reward", "tokens", "entropy")


@dataclass(frozen=True)
class Look:
    """width: of the whole figure, in inches.  dpi: of the PNG.  axis: one of `AXES`."""

    width: float = 6.75
    dpi: int = 200
    axis: str = "step"


def list_measures(page: Page) -> list[str]:
    """What can be drawn of these runs."""
    names = dict.fromkeys(name for run in page.runs for name in run.series.lines)
    held = any(run.evaluations for run in page.runs)
    return [*(["held-out"] if held else []), *names]


def choose_measures(page: Page, asked: Sequence[str]) -> list[str]:
    """What is drawn: what was asked for, else the first ones of `DEFAULT` that there are.

    Raises UserError, with the nearest name, for one that no run has.
    """
    known = list_measures(page)
    for name in asked:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=2, cutoff=0.4)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(known[:12])}."
            raise UserError(f"No run has a measure {name!r}. {hint}")
    return list(asked) or [name for name in DEFAULT if name in known]


def draw_figures(page: Page, measures: Sequence[str], stem: Path, look: Look) -> list[Path]:
    """Write STEM.png and STEM.svg, a panel for each measure, two in a row; what was written.

    Text stays text in the SVG, so that a paper's own fonts can be set.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(2, len(measures))
    rows = -(-len(measures) // columns)
    settings: dict[str, Any] = {"svg.fonttype": "none", "font.size": 8, "svg.hashsalt": "palaestra"}
    with matplotlib.rc_context(settings):
        size = (look.width, rows * look.width / columns * 0.62)
        figure, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False, constrained_layout=True)
        panels = [axis for line in axes for axis in line]
        for axis, measure in zip(panels, measures, strict=False):
            for number, run in enumerate(page.runs):
                _draw_curve(axis, run, measure, look.axis, COLOURS[number % len(COLOURS)])
            axis.set(xlabel=AXES[look.axis], ylabel=LABELS.get(measure, measure))
            axis.grid(alpha=0.3, linewidth=0.5)
            axis.spines[["top", "right"]].set_visible(False)
        for axis in panels[len(measures) :]:
            axis.set_visible(False)
        if len(page.runs) > 1:
            panels[0].legend(frameon=False)
        stem.parent.mkdir(parents=True, exist_ok=True)
        written = [stem.with_name(f"{stem.name}.{kind}") for kind in FORMATS]
        for path in written:
            metadata = {"Date": None} if path.suffix == ".svg" else None  # the same bytes every time
            figure.savefig(path, dpi=look.dpi, metadata=metadata)
        pyplot.close(figure)
    return written


def _draw_curve(axis: Any, run: RunData, measure: str, along: str, colour: str) -> None:
    if measure == "held-out":
        _draw_held_out(axis, run, along, colour)
        return
    values = run.series.lines.get(measure)
    if values is None:
        return
    nan = float("nan")
    x = run.series.axes[along]
    axis.plot(x, [nan if value is None else value for value in values], color=colour, lw=1.1, label=run.name)
    band = run.series.bands.get(measure)
    if band is not None:
        low, high = ([nan if end is None else end for end in ends] for ends in (band.low, band.high))
        axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def _draw_held_out(axis: Any, run: RunData, along: str, colour: str) -> None:
    points = [each for each in run.list_evaluations() if "sampled pass@1" in each["values"]]
    if not points:
        return
    x = [each["at"][along] for each in points]
    values = [each["values"]["sampled pass@1"] for each in points]
    errors = [
        [max(0.0, value - low) for value, low, _ in values],
        [max(0.0, high - value) for value, _, high in values],
    ]
    middle = [value for value, _, _ in values]
    axis.errorbar(x, middle, errors, fmt="o-", ms=3, lw=1.1, capsize=2, color=colour, label=run.name)
