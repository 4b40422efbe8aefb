"""Which steps of a run can be re-created, and from which checkpoint. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError
from ..config.train import TrainConfig
from ..reports import curves
from ..storage import checkpoint
from ..storage.folders import ROLLOUTS, open_existing
from ..storage.records import read_lines
from ..storage.sources import list_changes

TIMINGS = ("seconds", "tokens_per_second", "peak_memory_mib", "sync")


def find_start(run: Path, step: int) -> Path:
    """The newest checkpoint before a step.

    Raises UserError when the run did not log that step or keeps no checkpoint before it, for a run of another
    command, and where its code or data have changed.
    """
    facts = open_existing(run).read_facts()
    if facts["command"] != "train":
        raise UserError(
            f"{run} is a run of `palaestra {facts['command']}`; replay is for runs of `palaestra train`."
        )
    steps = [line["step"] for line in curves.read_metrics(run) if line["kind"] == "step"]
    if step not in steps:
        has = (
            f"it has steps {min(steps)} to {max(steps)}: give one of them"
            if steps
            else "it has taken no step"
        )
        raise UserError(f"{run} has no record of step {step} in metrics.jsonl; {has}.")
    config = open_existing(run).read_config(TrainConfig, step)
    if config.ranks.processes > 1:
        raise UserError(
            f"{run} took step {step} in {config.ranks.processes} processes, whose sums round otherwise than "
            "those of one: a step is re-created in one process, so only steps of one can be."
        )
    if config.rollouts.staleness:
        raise UserError(
            f"{run} took step {step} with --staleness {config.rollouts.staleness}: its completions were "
            f"drawn ahead, by weights that no checkpoint holds. {ROLLOUTS} has them, with the version of the "
            "weights of each; what can be re-created are steps of --staleness 0."
        )
    if changes := list_changes(run, facts):
        shown = "\n".join(change.shown for change in changes)
        raise UserError(
            f"{', '.join(change.path for change in changes)} changed since the run began:\n{shown}\nPut back "
            "what it was: a step can be re-created by the same code and data alone."
        )
    kept = checkpoint.list_checkpoints(run / "checkpoints")
    earlier = [path for path in kept if checkpoint.parse_step(path) < step]
    if not earlier:
        steps = ", ".join(str(checkpoint.parse_step(path)) for path in kept) or "none"
        raise UserError(
            f"{run} keeps no checkpoint before step {step} (kept: {steps}). Train with a larger --keep."
        )
    return earlier[-1]


def read_recorded(run: Path, step: int) -> dict[str, Any]:
    """What a run recorded of a step, without its timings: metrics, and completions with their rewards."""
    lines = [line for line in curves.read_metrics(run) if line["kind"] == "step" and line["step"] == step]
    rows = [line.values for line in read_lines(run / ROLLOUTS) if line.values["step"] == step]
    texts = [[row["id"], row["completion"], row["reward"]] for row in rows]
    metrics = {name: value for name, value in lines[-1].items() if name not in TIMINGS}
    return {**metrics, "completions": texts}
