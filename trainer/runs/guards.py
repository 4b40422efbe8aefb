"""What stops a run that can't be trusted any more, with the reason and what to do."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from ...tasks.core.errors import UserError
from ..algorithms.base import StepResult
from ..config.settings import resolve
from ..rollouts.group import Group, list_reasons
from ..storage import checkpoint
from .state import Progress, Run

LOGPROB_BOUNDS = {torch.float32: 1e-3, torch.bfloat16: 0.1}  # mean difference in nats


def halt_if_broken(run: Run, groups: Sequence[Group], result: StepResult, metrics: Mapping[str, Any]) -> None:
    """Raise UserError where too little was scored, sampler and update disagree,
    or the gradient is not finite."""
    guards, step = run.config.guards, metrics["step"]
    if metrics["abstained"] > guards.max_abstained:
        raise UserError(
            f"Step {step}: {metrics['abstained']:.0%} of the completions could not be scored "
            f"(the bound is {guards.max_abstained:.0%}). First reasons: {'; '.join(list_reasons(groups)[:3])}"
        )
    bound = resolve(guards.max_logprob_difference, LOGPROB_BOUNDS[run.learner.policy.dtype])
    difference = metrics["logprob_difference_mean"]
    if difference is not None and not difference <= bound:
        raise UserError(
            f"Step {step}: sampler and update disagree by {difference:.2g} nats per token in the mean (the "
            "bound is "
            f"{bound:.2g}), so the gradient can't be trusted. Try --dtype float32, or raise "
            "--max-logprob-difference."
        )
    if not all(math.isfinite(norm) for norm in result.grad_norms):
        raise UserError(
            f"Step {step}: the gradient is not finite; the weights were left as they were before it. "
            f"Go on from the newest checkpoint with a lower rate: palaestra resume {run.folder.path} "
            "--learning-rate X."
        )


def halt_if_tripped(run: Run, progress: Progress) -> None:
    """Write what tripped to report.json, and raise UserError with the best checkpoint."""
    bounds = run.config.guards.watch
    tripped = progress.watch.list_tripped(bounds)
    if not tripped:
        return
    best = checkpoint.locate(run.folder.checkpoints, progress.best_step) if progress.best_step > 0 else None
    report = {
        "step": progress.step,
        "tripped": tripped,
        "bounds": asdict(bounds),
        "suspects": progress.ledger.list_suspects(),
        "best": str(best) if best else None,
    }
    path = run.folder.path / "report.json"
    path.write_text(json.dumps(report, indent=1), encoding="utf-8")
    raise UserError(
        f"Stopped at step {progress.step}: {', '.join(tripped)} beyond the bound for {bounds.patience} "
        "steps in a row. "
        f"{f'The best checkpoint is {best}. ' if best else ''}What happened: {path} and metrics.jsonl. Go on "
        f"with a lower rate, palaestra resume {run.folder.path} --learning-rate X (it is "
        f"{run.config.optimizer.learning_rate}), or with another bound (--watch.*)."
    )
