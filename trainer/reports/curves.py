"""The curves of a run, as text for a terminal and as a PNG."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

BLOCKS = " ▁▂▃▄▅▆▇█"
SMOOTHED = 20  # steps of a running mean


@dataclass(frozen=True)
class Metrics:
    """lines: of a run's metrics.jsonl.  damaged: numbers, from 1, of whole lines that are no records."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl; a damaged one, and a last one cut by a crash, are left out."""
    return look_at_metrics(run).lines


def look_at_metrics(run: Path) -> Metrics:
    """As `read_metrics`, with which lines are damaged."""
    path, found = run / "metrics.jsonl", Metrics()
    for number, raw in enumerate(path.read_bytes().split(b"\n")[:-1] if path.is_file() else (), 1):
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError):
            line = None
        if isinstance(line, dict) and is_record(line):
            found.lines.append(line)
        else:
            found.damaged.append(number)
    return found


def is_record(line: Mapping[str, Any]) -> bool:
    """Whether a line says of which kind and step it is, and holds numbers where there must be some."""
    kind, step = line.get("kind"), line.get("step")
    if not isinstance(kind, str) or not _is_count(step):
        return False
    if kind == "step":
        return all(map(_holds_numbers, (value for name, value in line.items() if name != "kind")))
    results = [line[mode] for mode in ("greedy", "sampled") if line.get(mode) is not None]
    return all(isinstance(result, Mapping) and _is_result(result) for result in results)


def _holds_numbers(value: Any) -> bool:
    """Numbers, nothing, truth values, or tables of them."""
    if isinstance(value, Mapping):
        return all(map(_holds_numbers, value.values()))
    return value is None or isinstance(value, int | float)


def _is_result(result: Mapping[str, Any]) -> bool:
    """Whether the estimates of an evaluation are whole."""
    rates = result.get("pass_at", {})
    if not isinstance(rates, Mapping):
        return False
    estimates = [*rates.values(), *([result["reward_interval"]] if "reward_interval" in result else [])]
    needed = ("value", "low", "high", "problems")
    return all(
        isinstance(estimate, Mapping) and all(isinstance(estimate.get(end), int | float) for end in needed)
        for estimate in estimates
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def draw_text_curve(
    values: Sequence[float], title: str, width: int = 64, height: int = 6, low: float | None = None
) -> str:
    """A curve of `height` lines, each column the mean of its share of the values;
    the axis shows lowest and highest."""
    if not values:
        return f"{title}: no values"
    width = min(width, len(values))
    edges = [round(i * len(values) / width) for i in range(width + 1)]
    columns = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    bottom, top = min(columns) if low is None else low, max(columns)
    span = (top - bottom) or 1.0
    eighths = [round((column - bottom) / span * height * 8) for column in columns]
    lines = []
    for row in range(height - 1, -1, -1):
        label = f"{top:8.3g} " if row == height - 1 else f"{bottom:8.3g} " if row == 0 else " " * 9
        lines.append(label + "│" + "".join(BLOCKS[max(0, min(8, eighth - 8 * row))] for eighth in eighths))
    return "\n".join([f"{'':9} {title}", *lines])


def write_png(
    path: Path, steps: Sequence[Mapping[str, Any]], evaluations: Sequence[Mapping[str, Any]], title: str
) -> None:
    """Reward with held-out pass-rate, and length of completions, over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    x = [line["step"] for line in steps]
    above.plot(x, [line["reward"] for line in steps], label="reward of rollouts", color="tab:blue")
    shadow = [line for line in steps if "shadow" in line]
    if any(abs(line["shadow"]["gap"]) > 1e-9 for line in shadow):
        gaps = [line["shadow"]["gap"] for line in shadow]
        above.plot(
            [line["step"] for line in shadow],
            gaps,
            label="reward minus shadow reward",
            color="tab:purple",
            lw=1,
        )
    for name, colour in (("sampled", "tab:orange"), ("greedy", "tab:green")):
        points = [
            (line["step"], line[name]["pass_at"]["1"])
            for line in evaluations
            if name in line and "1" in line[name]["pass_at"]
        ]
        if points:
            values = [estimate["value"] for _, estimate in points]
            errors = [
                [max(0.0, estimate["value"] - estimate["low"]) for _, estimate in points],
                [max(0.0, estimate["high"] - estimate["value"]) for _, estimate in points],
            ]
            above.errorbar(
                [step for step, _ in points],
                values,
                errors,
                fmt="o-",
                capsize=3,
                color=colour,
                label=f"held-out pass@1, {name}, 95 % interval",
            )
    above.set(ylabel="reward, pass-rate", ylim=(-0.02, 1.02), title=title)
    above.legend(loc="lower right", fontsize=8)
    below.plot(x, [line["tokens"] for line in steps], color="tab:red")
    below.set(xlabel="step", ylabel="tokens per completion")
    figure.savefig(path, dpi=110)


def write_fit_png(
    path: Path, lines: Sequence[Mapping[str, Any]], held_out: Mapping[int, float], title: str
) -> None:
    """Loss of the steps of a fit with that of held-out examples, and the learning rate.

    lines: of metrics.jsonl.  held_out: loss by the steps done when it was measured, in nats.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    x = [line["step"] for line in lines]
    losses = [line["loss"] for line in lines]
    above.plot(x, losses, color="tab:blue", lw=0.8, alpha=0.5, label="loss of a step")
    if len(losses) >= 2 * SMOOTHED:
        above.plot(x, average_running(losses, SMOOTHED), color="tab:blue", label=f"mean of {SMOOTHED} steps")
    above.plot([*held_out], [*held_out.values()], "o-", color="tab:orange", label="held-out loss")
    above.set(ylabel="loss (nats)", title=title)
    above.legend(loc="upper right", fontsize=8)
    below.plot(x, [line.get("learning_rate", 0.0) for line in lines], color="tab:red")
    below.set(xlabel="step", ylabel="learning rate")
    figure.savefig(path, dpi=110)


def average_running(values: Sequence[float], width: int) -> list[float]:
    """The mean of each value with the up to `width` - 1 before it."""
    return [sum(values[max(0, end - width) : end]) / min(width, end) for end in range(1, len(values) + 1)]
