"""Go on with a run of any command that trains, from its newest checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...tasks.core.errors import UserError
from ..reward_models import run as reward_models
from ..sft import run as sft
from ..storage.folders import open_existing
from ..supervised.run import FitOutcome
from . import setup
from .state import RunResult


def resume(path: Path, changes: dict[str, int], say: Callable[[str], None] = print) -> RunResult | FitOutcome:
    """As if the run had never stopped. changes: `steps` in all, `stop_after`.
    Raises UserError when `path` is no run."""
    commands: dict[str, Callable[..., RunResult | FitOutcome]] = {
        setup.COMMAND: setup.resume_training,
        sft.COMMAND: sft.resume_sft,
        reward_models.COMMAND: reward_models.resume_reward_model,
    }
    command = open_existing(path).read_facts()["command"]
    if command not in commands:
        raise UserError(f"{path} is a run of `palaestra {command}`, which can't be resumed.")
    return commands[command](path, {"stop_after": 0, **changes}, say)
