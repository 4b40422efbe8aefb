"""The loop of a run: evaluation before, steps, evaluations, checkpoints, evaluation after.

It does not know the algorithm: a step samples and scores, then a step function credits and updates.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ...tasks.core.errors import UserError
from ..storage import checkpoint
from ..reports import curves
from ..model import lora
from ..evaluation.evaluate import evaluate
from ..evaluation.records import write_groups
from ..algorithms.base import StepResult
from ..algorithms.update import update_policy
from ..rollouts.rollouts import make_sampling
from ..storage.interrupts import Interrupts
from .metrics import (cost_metrics, reward_metrics, shadow_metrics, update_metrics)
from ..model.policy import SMALL
from ..config.presets import origin
from ..model.optim import Schedule
from ..reports.progress import progress as progress_bar
from ..reports import overoptimisation
from ..rollouts.group import Group
from .state import (Evaluations, Progress, Run, RunResult)
from ..rollouts.collect import collect, next_problems
from ..rollouts.control_arms import controlled
from .preflight import preflight
from ..reports.progress import due

PREFLIGHT_SAMPLES = 4
LOGPROB_BOUNDS = {torch.float32: 1e-3, torch.bfloat16: 0.1}  # mean difference in nats


def steps(run: Run, progress: Progress, stop: Interrupts, say: Callable[[str], None]) -> RunResult:
    """The loop itself, from `progress` to the last step."""
    config = run.config
    peak = config.learning_rate or (3e-4 if run.learner.policy.parameters < SMALL else 1e-6) * (lora.RATE if config.lora_rank else 1)
    schedule = Schedule(peak, config.steps, config.warmup_steps, config.schedule, config.final_learning_rate)
    evaluations: list[Evaluations] = []
    stop_at = progress.step + config.stop_after if config.stop_after else config.steps
    if progress.step == 0 and not stop.requested:
        look_ahead(run, say)
        evaluations.append(measure(run, progress))
        save(run, progress, evaluations)
    bar = progress_bar(total=config.steps, initial=progress.step, desc=config.algorithm.upper(), unit="step")
    with bar:
        while progress.step < config.steps and not stop.requested:
            metrics = one_step(run, progress, schedule.at(progress.step))
            bar.update()
            bar.set_postfix(reward=f"{metrics['reward']:.3f}", passed=f"{metrics.get('pass_rate', 0.0):.3f}",
                            tokens=f"{metrics['tokens']:.1f}", refresh=False)  # fmt: skip
            last = progress.step == config.steps
            if progress.step == stop_at and not last:
                stop.requested = "--stop-after"
            if last or due(progress.step, config.eval_every):
                evaluations.append(measure(run, progress))
            if last or due(progress.step, config.save_every) or progress.best_step == progress.step:
                save(run, progress, evaluations)
            if progress.watch.tripped(config.watch):
                give_up(run, progress, evaluations)
    if stop.requested:
        save(run, progress, evaluations)
        say(f"Stopped by {stop.requested} at step {progress.step}; go on with: palaestra resume {run.folder}")
        return RunResult(run.folder, checkpoint.path_of(run.folder / "checkpoints", progress.step), evaluations, True)
    checkpoint.write_folder(run.folder / "model", run.learner.policy.save)
    draw_curves(run.folder, f"{run.task.name}, seed {config.seed}")
    return RunResult(run.folder, run.folder / "model", evaluations)


def one_step(run: Run, progress: Progress, learning_rate: float) -> dict[str, Any]:
    """Sample, verify, credit, update; log the step and return its metrics. Raises UserError when the run is broken."""
    config = run.config
    start = time.perf_counter()
    collected = collect(
        lambda problems: run.sample(problems, progress.step),
        lambda count: next_problems(count, run.task, config, progress.position, progress.ledger, run.rollouts.fits),
        config,
    )
    sampled = time.perf_counter()
    groups = controlled(collected.groups, run.task, config.control, config.seed, progress.step)
    result = update_policy(run.learner, groups, config, progress.step, learning_rate)
    seconds = {"sample": sampled - start, "update": time.perf_counter() - sampled}
    progress.step += 1
    progress.ledger.add(progress.step, groups, run.task.source.size("train") is not None)
    metrics = {
        "kind": "step",
        "step": progress.step,
        **reward_metrics(groups),
        **update_metrics(result),
        **shadow_metrics(groups, run.task, config.shadow_share, (config.seed, progress.step)),
        "learning_rate": learning_rate,
        "prompts": {"tried": collected.tried, "kept": len(groups), **asdict(progress.position)},
        **cost_metrics(groups, seconds),
    }
    if not run.task.rubric.verifiable:
        metrics.pop("pass_rate")
    run.log(metrics)
    write_groups(run.folder / "rollouts.jsonl", groups, step=progress.step)
    halt_if_broken(run, groups, result, metrics)
    for warning in progress.watch.look(metrics, config.watch):
        tqdm.write(f"Warning, {warning}", file=sys.stderr)
    return metrics


def look_ahead(run: Run, say: Callable[[str], None]) -> None:
    """Print the objective and the preflight; raise UserError for a run that can't learn, unless forced."""
    config = run.config
    if config.preset:
        say(origin(config.preset, config.overlong_cache, config.updates_per_batch * config.minibatches))
    say(run.learner.algorithm.formula(config))
    if not config.preflight_problems:
        return
    level = config.level or None
    problems = [run.task.problem("train", index, config.seed, level) for index in range(config.preflight_problems)]
    # A run may sample one completion of a prompt, but whether a problem can teach anything takes several.
    samples = config.group_size if config.group_size > 1 else PREFLIGHT_SAMPLES
    run.rollouts.engine.load(run.learner.policy, 0)
    report = preflight(run.rollouts, problems, samples, make_sampling(config), config.steps, config.prompts_per_step)
    run.log({"kind": "preflight", "step": 0, **asdict(report)})
    say("\n".join([*report.lines(), *report.warnings()]))
    if report.faults() and not config.force:
        raise UserError(" ".join([*report.faults(), "--force starts all the same."]))


def give_up(run: Run, progress: Progress, evaluations: list[Evaluations]) -> None:
    """Save, write what tripped to report.json, and raise UserError with the best checkpoint."""
    config, bounds = run.config, run.config.watch
    save(run, progress, evaluations)
    tripped = progress.watch.tripped(bounds)
    best = checkpoint.path_of(run.folder / "checkpoints", progress.best_step) if progress.best_step > 0 else None
    report = {"step": progress.step, "tripped": tripped, "bounds": asdict(bounds), "suspects": progress.ledger.suspects()}
    (run.folder / "report.json").write_text(json.dumps({**report, "best": str(best) if best else None}, indent=1))
    raise UserError(
        f"Stopped at step {progress.step}: {', '.join(tripped)} beyond the bound for {bounds.patience} steps in a row. "
        f"{f'The best checkpoint is {best}. ' if best else ''}What happened: {run.folder / 'report.json'} and metrics.jsonl. "
        f"Lower --learning-rate (now {config.learning_rate or 'automatic'}), or move the bound (--watch.*) and resume."
    )




def halt_if_broken(run: Run, groups: Sequence[Group], result: StepResult, metrics: Mapping[str, Any]) -> None:
    """Stop, with the reason, a run that can't be trusted any more."""
    if metrics["abstained"] > run.config.max_abstained:
        reasons = {v.reason for g in groups for s in g.scores_G for v in s.parts.values() if s.abstained and v.reason}
        raise UserError(
            f"Step {metrics['step']}: {metrics['abstained']:.0%} of the completions could not be scored "
            f"(the bound is {run.config.max_abstained:.0%}). First reasons: {'; '.join(sorted(reasons)[:3])}"
        )
    bound = run.config.max_logprob_difference or LOGPROB_BOUNDS[run.learner.policy.dtype]
    difference = metrics["logprob_difference_mean"]
    if difference is not None and not difference <= bound:
        raise UserError(
            f"Step {metrics['step']}: sampler and update disagree by {difference:.2g} nats per token in the mean (the bound "
            f"is {bound:.2g}), so the gradient can't be trusted. Try --dtype float32, or raise --max-logprob-difference."
        )
    if not all(math.isfinite(norm) for norm in result.grad_norms):
        raise UserError(
            f"Step {metrics['step']}: the gradient is not finite; the weights were left as they were before it. "
            f"Lower --learning-rate and resume from a checkpoint in {run.folder / 'checkpoints'}."
        )


def measure(run: Run, progress: Progress) -> Evaluations:
    """Evaluate on the held-out problems, greedy and at the training temperature; log it and keep the best pass-rate."""
    start = time.perf_counter()
    sampling = make_sampling(run.config)
    run.rollouts.engine.load(run.learner.policy, progress.step)
    greedy = evaluate(run.rollouts, run.held_out, 1, replace(sampling, temperature=0.0))
    sampled = evaluate(run.rollouts, run.held_out, run.config.eval_samples, sampling)
    run.log(
        {"kind": "evaluation", "step": progress.step, "greedy": greedy.summary(), "sampled": sampled.summary(),
         "seconds": time.perf_counter() - start}
    )  # fmt: skip
    what = "pass@1" if sampled.pass_at else "reward"
    tqdm.write(f"step {progress.step}: held-out {what} {sampled.headline} sampled, {greedy.headline} greedy")
    better = sampled.headline.value > progress.best_pass_rate or progress.best_step < 0
    if better and progress.step > 0:
        progress.best_pass_rate = sampled.headline.value
        progress.best_step = progress.step
    return Evaluations(progress.step, greedy, sampled)


def save(run: Run, progress: Progress, evaluations: list[Evaluations]) -> None:
    """Write a checkpoint, and drop older ones beyond `keep` but for the best."""
    state = {
        "optimizer": run.learner.optimizer.state_dict(),
        "betas": list(run.learner.optimizer.param_groups[0]["betas"]),
        "progress": progress.plain(),
        "torch_rng": torch.get_rng_state(),
        "threads": torch.get_num_threads(),
        "algorithm": run.learner.algorithm.state(),
        "adapters": lora.adapters(run.learner.policy.model) if run.config.lora_rank else None,
    }
    info = {"pass_rate": evaluations[-1].sampled.headline.value if evaluations else None, "task": run.task.name}
    folder = run.folder / "checkpoints"
    checkpoint.save(folder, progress.step, run.learner.policy.save, state, info)
    checkpoint.prune(folder, run.config.keep, progress.best_step)
    ledger = {"suspects": progress.ledger.suspects(), "problems": progress.ledger.plain()}
    (run.folder / "ledger.json").write_text(json.dumps(ledger), encoding="utf-8")


def draw_curves(folder: Path, title: str) -> None:
    lines = curves.read_metrics(folder)
    done = [line for line in lines if line["kind"] == "step"]
    if done:
        curves.write_png(folder / "curves.png", done, [line for line in lines if line["kind"] == "evaluation"], title)
    overoptimisation.write(folder, title)
