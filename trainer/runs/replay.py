"""Re-create one step of a run from the checkpoint before it,
and say whether it matches what the run recorded."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.train import TrainConfig
from ..storage import checkpoint
from ..storage.folders import CONFIG, FACTS, REFERENCE, open_existing
from .replayable import find_start, read_recorded
from .setup import resume_training


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

    Raises UserError for a step that can't be re-created.
    """
    before = find_start(run, step)
    recorded = read_recorded(run, step)
    with tempfile.TemporaryDirectory(prefix="palaestra-replay-") as temporary:
        folder = Path(temporary)
        (folder / "checkpoints").mkdir()
        shutil.copytree(before, folder / "checkpoints" / before.name)
        for name in (CONFIG, FACTS):
            shutil.copyfile(run / name, folder / name)
        if (run / REFERENCE).exists():
            shutil.copytree(run / REFERENCE, folder / REFERENCE)
        start = checkpoint.parse_step(before)
        config = open_existing(folder).read_config(TrainConfig, step)
        config = config.but(stop_after=step - start, eval_every=0, save_every=0)
        resume_training(folder, config, say=lambda _line: None)
        again = read_recorded(folder, step)
    return Replay(step, start, _compare(recorded, again))


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
