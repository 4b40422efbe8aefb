"""Go on with a run of any command that trains, from its newest checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ..config.train import TrainConfig
from ..distributed.ranks import speaks
from ..reward_models.run import resume_reward_model
from ..sft.run import resume_sft
from ..storage.sources import refuse_changes
from ..storage.starts import hold_folder
from ..supervised.run import FitOutcome
from .changeable import change_run
from .reference import check_reference
from .setup import resume_training
from .state import RunResult

Outcome = RunResult | FitOutcome
Say = Callable[[str], None]
GO_ON: Mapping[str, Callable[..., Outcome]] = {
    "train": resume_training,
    "sft": resume_sft,
    "reward-model": resume_reward_model,
}


def resume(
    path: Path,
    changes: Mapping[str, Any],
    say: Say = print,
    *,
    accept_changes: bool = False,
    evaluated: Callable[[int], None] | None = None,
) -> Outcome:
    """As if the run had never stopped, but for what is changed. changes: settings of the run's command by
    their short or full names, such as `steps` in all, `stop_after`, `learning_rate`.  accept_changes: go on
    though the code or the data of the run are others than at its start.  evaluated: of `train`, called with
    the step after each evaluation on held-out problems.

    Raises UserError when `path` is no run, for a setting that can't change in a run that has begun, for steps
    that are done already, and for code or data that have changed.
    """
    say = say if speaks() else (lambda _line: None)
    changed = change_run(path, changes, say)
    if isinstance(changed.config, TrainConfig) and isinstance(changed.before, TrainConfig):
        check_reference(changed.before, changed.config)
    with hold_folder(path) if speaks() else nullcontext():
        refuse_changes(path, changed.folder.read_facts(), accept_changes, say)
        told = {"evaluated": evaluated} if evaluated is not None else {}
        return GO_ON[changed.command.name](path, changed.config, say, **told)
