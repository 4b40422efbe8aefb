"""What stops a run that can't be trusted any more, with the reason and what to do."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from ...tasks.core.errors import RunError, UserError
from ..algorithms.base import StepResult
from ..config.settings import resolve
from ..config.train import GuardConfig
from ..engines.sync import LOGPROB_BOUNDS
from ..model.policy import Policy
from ..rollouts.group import Group, list_reasons
from ..storage import checkpoint
from ..storage.names import TRIPPED
from ..storage.records import write_json
from .schedule import make_schedule, suggest_lower_rate
from .state import Progress, Run
from .tripwires import TRIPWIRES


def find_bound(guards: GuardConfig, policy: Policy) -> float:
    """Mean difference of an engine's log-probabilities from the trainer's that stops a run, in nats."""
    return resolve(guards.max_logprob_difference, LOGPROB_BOUNDS[policy.dtype])


def halt_if_broken(run: Run, groups: Sequence[Group], result: StepResult, metrics: Mapping[str, Any]) -> None:
    """Raise RunError where too little was scored, sampler and update disagree,
    or the gradient is not finite."""
    guards, step, abstained = run.config.guards, metrics["step"], metrics["abstained"]
    if abstained > guards.max_abstained:
        raise RunError(
            f"Step {step}: {abstained:.0%} of the completions could not be scored (the bound is "
            f"{guards.max_abstained:.0%}). First reasons: {'; '.join(list_reasons(groups)[:3])} See to them, "
            "and resume; or let the run go on with so many.",
            f"--max-abstained {min(1.0, math.ceil(20 * abstained) / 20):g}",
        )
    # Of completions that older weights have drawn, the difference is that of the weights, and no bound is
    # known; whether the sampler has the weights that it says is proven at every load (`source`).
    stale = metrics.get("staleness", {"max": 0})["max"] > 0 and guards.max_logprob_difference == "auto"
    bound = math.inf if stale else find_bound(guards, run.learner.policy)
    difference = metrics["logprob_difference_mean"]
    exact = run.learner.policy.dtype is torch.float32
    if difference is not None and not difference <= bound:
        finite = math.isfinite(difference)
        raise RunError(
            f"Step {step}: sampler and update disagree by {difference:.2g} nats per token in the mean (the "
            f"bound is {bound:.2g}), so the gradient can't be trusted. "
            + ("Raise the bound if you accept that." if exact and finite else "Take exact arithmetic."),
            f"--max-logprob-difference {2 * difference:.1g}" if exact and finite else "--dtype float32",
        )
    if not all(math.isfinite(norm) for norm in result.grad_norms):
        arithmetic = "" if exact else "--dtype float32 "
        raise RunError(
            f"Step {step}: the gradient is not finite; the weights were left as they were before it. Go on "
            f"with a lower learning rate{'' if exact else ' and exact arithmetic'}.",
            f"{arithmetic}{suggest_lower_rate(run)}",
        )


def halt_if_tripped(run: Run, progress: Progress) -> None:
    """Write what tripped to report.json, and raise UserError with the best checkpoint and what to do."""
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
    path = run.folder.path / TRIPPED
    write_json(path, report)
    again = shlex.join(["palaestra", "resume", str(run.folder.path)])
    without = " ".join(f"{TRIPWIRES[name].flag} 0" for name in tripped)
    raise UserError(
        f"Stopped at step {progress.step}: {', '.join(tripped)} beyond the bound for {bounds.patience} "
        "steps in a row. "
        f"{f'The best checkpoint is {best}. ' if best else ''}What happened: {path} and metrics.jsonl. Go on "
        f"with a lower learning rate (it is {make_schedule(run).peak:g}): "
        f"{again} {suggest_lower_rate(run)} ; or without that bound: {again} {without}"
    )
