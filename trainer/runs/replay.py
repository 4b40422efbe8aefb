"""Re-create one step of a run from the checkpoint before it,
and say whether it matches what the run recorded."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError
from ..config.train import TrainConfig
from ..reports import curves
from ..storage import checkpoint
from ..storage.folders import CONFIG, FACTS, open_existing
from ..storage.records import read_lines
from ..storage.sources import warn_of_changed_sources
from .setup import COMMAND, REFERENCE, resume_training

TIMINGS = ("seconds", "tokens_per_second", "peak_memory_mib")


@dataclass(frozen=True)
class Replay:
    """step: the step re-created.  start: the checkpoint's step.  differences:
    metrics and completions that differ."""

    step: int
    start: int
    differences: list[str]

    @property
    def matches(self) -> bool:
        return not self.differences


def replay(run: Path, step: int) -> Replay:
    """Go from the newest checkpoint before `step` to `step` in a temporary folder and compare with the run's
    logs.

    Raises UserError when the run did not log that step, or keeps no checkpoint before it.
    """
    facts = open_existing(run).read_facts()
    if facts["command"] != COMMAND:
        raise UserError(
            f"{run} is a run of `palaestra {facts['command']}`; replay is for runs of `palaestra {COMMAND}`."
        )
    warn_of_changed_sources(run, facts, say=lambda _line: None)
    recorded = _read_recorded(run, step)
    earlier = [
        path
        for path in checkpoint.list_checkpoints(run / "checkpoints")
        if checkpoint.parse_step(path) < step
    ]
    if not earlier:
        kept = (
            ", ".join(
                str(checkpoint.parse_step(path)) for path in checkpoint.list_checkpoints(run / "checkpoints")
            )
            or "none"
        )
        raise UserError(
            f"{run} keeps no checkpoint before step {step} (kept: {kept}). Train with a larger --keep."
        )
    with tempfile.TemporaryDirectory(prefix="palaestra-replay-") as temporary:
        folder = Path(temporary)
        (folder / "checkpoints").mkdir()
        shutil.copytree(earlier[-1], folder / "checkpoints" / earlier[-1].name)
        for name in (CONFIG, FACTS):
            shutil.copyfile(run / name, folder / name)
        if (run / REFERENCE).exists():
            shutil.copytree(run / REFERENCE, folder / REFERENCE)
        start = checkpoint.parse_step(earlier[-1])
        config = open_existing(folder).read_config(TrainConfig)
        config = config.but(stop_after=step - start, eval_every=0, save_every=0)
        resume_training(folder, config, say=lambda _line: None)
        again = _read_recorded(folder, step)
    return Replay(step, start, _compare(recorded, again))


def _read_recorded(run: Path, step: int) -> dict[str, Any]:
    lines = [line for line in curves.read_metrics(run) if line["kind"] == "step" and line["step"] == step]
    if not lines:
        raise UserError(f"{run} has no record of step {step} in metrics.jsonl.")
    rows = [line.values for line in read_lines(run / "rollouts.jsonl") if line.values["step"] == step]
    texts = [[row["id"], row["completion"], row["reward"]] for row in rows]
    metrics = {name: value for name, value in lines[-1].items() if name not in TIMINGS}
    return {**metrics, "completions": texts}


def _compare(recorded: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    differences = []
    for name in sorted(recorded.keys() | again.keys()):
        if recorded.get(name) != again.get(name):
            shown = (
                f"{recorded.get(name)!r:.60} then, {again.get(name)!r:.60} now"
                if name != "completions"
                else "differ"
            )
            differences.append(f"{name}: {shown}")
    return differences
