"""Does the model please the reward model, or get better? The learned reward against the verified pass-rate of
one run.

Where the one goes on rising while the other falls, the policy has found what the reward model gets wrong (Gao
et al. 2022, arXiv:2210.10760, whose curves are over the KL to the reference as well).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .curves import read_metrics

PREFIX = "learned/"
DATA, PLOT = "overoptimisation.json", "overoptimisation.png"


@dataclass(frozen=True)
class Point:
    """One step's rollouts. learned: normalised reward, in standard deviations.  pass_rate: verified, in [0,
    1].

    kl: of the policy to the reference, in nats per completion; None where the run had no reference.
    """

    step: int
    learned: float
    pass_rate: float
    kl: float | None


@dataclass(frozen=True)
class Curve:
    """points: of the steps.  evaluations: of the held-out problems,
    each with both numbers and their intervals."""

    criterion: str
    points: Sequence[Point]
    evaluations: Sequence[dict[str, Any]]


def read_curve(run: Path) -> Curve | None:
    """The curve of a run with both a learned reward and a verified pass-rate; None for any other run."""
    lines = read_metrics(run)
    steps = [line for line in lines if line["kind"] == "step" and "pass_rate" in line]
    names = [key.removeprefix(PREFIX) for key in steps[0] if key.startswith(PREFIX)] if steps else []
    if not names:
        return None
    name = names[0]
    points = [
        Point(line["step"], line[PREFIX + name], line["pass_rate"], line.get("kl_per_completion"))
        for line in steps
        if PREFIX + name in line
    ]
    evaluations = [
        {
            "step": line["step"],
            "learned": line["sampled"]["learned"][name],
            "pass@1": line["sampled"]["pass_at"]["1"],
        }
        for line in lines
        if line["kind"] == "evaluation"
        and name in line["sampled"]["learned"]
        and "1" in line["sampled"]["pass_at"]
    ]
    return Curve(name, points, evaluations)


def write(run: Path, title: str) -> bool:
    """Write the curve's data and plot into the run's folder; False for a run that has none."""
    curve = read_curve(run)
    if curve is None:
        return False
    (run / DATA).write_text(json.dumps(asdict(curve), indent=1), encoding="utf-8")
    draw(curve, run / PLOT, title)
    return True


def draw(curve: Curve, path: Path, title: str) -> None:
    """Both numbers over the steps, with the held-out intervals; below,
    over the square root of the KL where it is known."""
    from matplotlib.figure import Figure

    known = [point for point in curve.points if point.kl is not None]
    rows = 2 if known else 1
    figure = Figure(figsize=(7, 3.4 * rows), layout="constrained")
    axes = figure.subplots(rows, 1, squeeze=False)
    steps = [point.step for point in curve.points]
    above = axes[0][0]
    beside = _draw_pair(above, steps, curve.points, curve.criterion, "step")
    for axis, key, colour in ((above, "learned", "tab:blue"), (beside, "pass@1", "tab:orange")):
        values = [line[key]["value"] for line in curve.evaluations]
        errors = [
            [max(0.0, line[key]["value"] - line[key]["low"]) for line in curve.evaluations],
            [max(0.0, line[key]["high"] - line[key]["value"]) for line in curve.evaluations],
        ]
        axis.errorbar(
            [line["step"] for line in curve.evaluations], values, errors, fmt="o", capsize=3, color=colour
        )
    above.set_title(title)
    if known:
        ordered = sorted(known, key=lambda point: point.kl or 0.0)
        roots = [max(0.0, point.kl or 0.0) ** 0.5 for point in ordered]
        _draw_pair(
            axes[1][0],
            roots,
            ordered,
            curve.criterion,
            "square root of the KL to the reference (nats per completion)",
        )
    figure.savefig(path, dpi=110)


def _draw_pair(axis: Any, x: Sequence[float], points: Sequence[Point], criterion: str, label: str) -> Any:
    """Learned reward on the left axis, pass-rate on the right one, which is returned."""
    axis.plot(x, [point.learned for point in points], color="tab:blue", alpha=0.7)
    axis.set(xlabel=label)
    axis.set_ylabel(f"{criterion} (standard deviations)", color="tab:blue")
    twin = axis.twinx()
    twin.plot(x, [point.pass_rate for point in points], color="tab:orange", alpha=0.7)
    twin.set_ylabel("verified pass-rate", color="tab:orange")
    twin.set_ylim(-0.02, 1.02)
    return twin
