"""The loop of a run: evaluation before, steps, evaluations, checkpoints, evaluation after.

A step reads from top to bottom in `take_step`. It does not know the algorithm or the engine: `update_policy`
asks the one, `Run.sample` the other.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.api import CheckpointException
from tqdm import tqdm

from ..algorithms.update import update_policy
from ..config.presets import describe_origin
from ..distributed.world import find_world
from ..evaluation.evaluate import evaluate, split_by_task
from ..evaluation.held_out import write_held_out
from ..model import lora
from ..model.lora_saving import ADAPTER
from ..model.sharded import save_moments
from ..model.shares import check_replicas
from ..objective.checks import warn_of_idle_ratio
from ..objective.formula import write_truncation
from ..reports import curves, overoptimisation
from ..reports.progress import is_due
from ..reports.progress import make_progress_bar as progress_bar
from ..rollouts.ahead import Known, Source
from ..rollouts.control_arms import apply_control
from ..rollouts.rollouts import make_sampling
from ..storage import checkpoint
from ..storage.atomic import DiskError, write_folder
from ..storage.interrupts import Interrupts
from ..storage.names import CURVES, LEDGER, ROLLOUTS
from ..storage.records import write_text
from .guards import halt_if_broken, halt_if_tripped
from .metrics import (
    measure_costs,
    measure_rewards,
    measure_shadow,
    measure_staleness,
    measure_sync,
    measure_update,
    score_shadow,
)
from .preflight import Preflight, look_ahead
from .rollout_log import average_advantages, write_rollouts
from .schedule import make_schedule
from .source import open_source
from .state import Evaluations, Progress, Run, RunResult
from .weights import find_factors, read_ramps, weigh_groups, weigh_task

Metrics = dict[str, Any]
STAGED = ".moments.partial"  # in the folder of checkpoints, while the processes write their shards


def run_steps(run: Run, progress: Progress, stop: Interrupts, say: Callable[[str], None]) -> RunResult:
    """The loop itself, from `progress` to the last step."""
    config, evaluations = run.config, list[Evaluations]()
    schedule = make_schedule(run)
    stop_at = min(config.steps, progress.step + config.stop_after) if config.stop_after else config.steps
    if progress.step == 0 and not stop.agree():
        evaluations.append(measure(run, progress, say))
        save(run, progress, evaluations)
    bar_of_steps = progress_bar(
        total=config.steps,
        initial=progress.step,
        desc=type(run.learner.algorithm).__name__,
        unit="step",
        disable=not run.folder.writes,
    )
    with open_source(run, stop_at) as source, bar_of_steps as bar:
        while progress.step < config.steps and not stop.agree():
            metrics = take_step(run, progress, source, schedule.at(progress.step))
            run.saver.check()
            bar.set_postfix(summarise(metrics), refresh=False)
            bar.update()
            last = progress.step == config.steps
            if progress.step == stop_at and not last:
                stop.requested = "--stop-after"
            if last or is_due(progress.step, config.evaluation.eval_every):
                evaluations.append(measure(run, progress, say))
            if last or is_due(progress.step, config.output.save_every) or progress.best_step == progress.step:
                save(run, progress, evaluations)
            if progress.watch.list_tripped(config.guards.watch):
                save(run, progress, evaluations)
                halt_if_tripped(run, progress)
    if stop.agree():
        save(run, progress, evaluations)
        run.saver.wait()
        say(
            f"Stopped by {stop.requested} at step {progress.step}; go on with: "
            f"{shlex.join(['palaestra', 'resume', str(run.folder.path)])}"
        )
        stopped = checkpoint.locate(run.folder.checkpoints, progress.step)
        return RunResult(run.folder.path, stopped, evaluations, interrupted=True)
    with find_world().phase("save"):
        write_end(run)
    return RunResult(run.folder.path, run.folder.model, evaluations)


def write_end(run: Run) -> None:
    """The trained model, and the curves of the run."""
    run.saver.wait()
    policy = run.learner.take_whole()
    if not run.folder.writes:
        return
    write_folder(run.folder.model, partial(run.write_model, policy))
    if run.base:
        write_folder(run.folder.path / ADAPTER, partial(run.write_adapters, policy))
    draw_curves(run.folder.path, f"{run.task.name}, seed {run.config.seed}")


def begin(run: Run, say: Callable[[str], None]) -> Preflight | None:
    """Say what is optimised, and sample ahead: what that promises, None where it is left out. Raise UserError
    for a run that can't learn, unless forced."""
    objective = run.config.objective
    if objective.preset:
        say(describe_origin(objective))
    say(run.learner.algorithm.formula(run.config))
    if truncation := write_truncation(run.config.rollouts):
        say(truncation)
    if warning := warn_of_idle_ratio(objective):
        say(warning)
    return look_ahead(run, say)


def take_step(run: Run, progress: Progress, source: Source, learning_rate: float) -> Metrics:
    """Sample, verify, credit, update; log the step and return its metrics. source: of its groups.

    Raises UserError when the run is broken.
    """
    config, world = run.config, find_world()
    start = time.perf_counter()
    known = Known(progress.ledger, progress.rates.passed)
    drawn = source.take(progress.step, progress.position, known)
    collected, progress.position = drawn.collected, drawn.position
    run.make_room()
    sampled = time.perf_counter()
    # Sampled ahead, they were weighed by what was known then.
    ramps = read_ramps(config.reward.criterion_weight)
    factors = find_factors(ramps, progress.step, progress.rates)
    task = weigh_task(run.task, factors)
    groups = weigh_groups(collected.groups, run.task, factors)
    groups = apply_control(groups, task, config.reward.control, config.seed, progress.step)
    # Its verifiers run beside the update, which does not read them.
    seed, beside = (config.seed, progress.step + 1), run.rollouts.run_beside
    shadow_share = config.reward.shadow_share if world.writes else 0.0
    shadow_scores = score_shadow(groups, run.task, shadow_share, seed, beside)
    with world.phase("update"):
        result = update_policy(run.learner, groups, config, progress.step, learning_rate)
    seconds = {"sample": sampled - start, "update": time.perf_counter() - sampled}
    progress.step += 1
    progress.ledger.add(progress.step, groups, run.task)
    progress.rates.add(groups, ramps)
    shadow = shadow_scores.collect()
    metrics = {
        "kind": "step",
        "step": progress.step,
        **measure_rewards(groups, run.task, config),
        **measure_update(result),
        **measure_shadow(groups, shadow),
        "learning_rate": learning_rate,
        "prompts": {"tried": collected.tried, "kept": len(groups), **progress.position.summarise()},
        "tokens_sampled": collected.tokens,
        **measure_staleness(groups, config, progress.step - 1),
        **measure_costs(groups, seconds),
        **({} if config.rollouts.staleness else measure_sync(run.sync.report)),
    }
    metrics = world.agree(metrics)  # what stops a run is read from them: times, and the shadow's, differ
    if run.folder.writes:
        run.folder.log(metrics)
        advantages_B = average_advantages(result.batch)
        path, prompts = run.folder.path / ROLLOUTS, run.rollouts.prompts
        versions = bool(config.rollouts.staleness)
        write_rollouts(path, groups, prompts, progress.step, advantages_B, shadow, versions=versions)
    halt_if_broken(run, groups, result, metrics)
    for warning in progress.watch.look(metrics, config.guards.watch):
        if run.folder.writes:
            tqdm.write(f"Warning, {warning}", file=sys.stderr)
    return metrics


def summarise(metrics: Metrics) -> dict[str, str]:
    """A step's metrics beside its progress bar."""
    shown = {"reward": "reward", "passed": "pass_rate", "tokens": "tokens"}
    places = {"tokens": 1}
    return {name: f"{metrics.get(key, 0.0):.{places.get(name, 3)}f}" for name, key in shown.items()}


def measure(run: Run, progress: Progress, say: Callable[[str], None]) -> Evaluations:
    """Evaluate on the held-out problems, greedy and at the training temperature.

    Log and say it, keep the best pass-rate.
    """
    start = time.perf_counter()
    sampling = make_sampling(run.config.rollouts)
    with run.hold_engine():
        run.load(progress.step)
        greedy = evaluate(run.rollouts, run.held_out, 1, replace(sampling, temperature=0.0))
        sampled = evaluate(run.rollouts, run.held_out, run.config.evaluation.eval_samples, sampling)
    run.make_room()  # for a checkpoint, too
    results = {
        "greedy": greedy.summarise(),
        "sampled": sampled.summarise(),
        "seconds": time.perf_counter() - start,
    }
    by_task = split_by_task(run.task, run.held_out, sampled)
    if by_task:
        results["tasks"] = {label: part.summarise() for label, part in by_task.items()}
    run.folder.log({"kind": "evaluation", "step": progress.step, **results})
    if run.folder.writes:
        write_held_out(run.folder.path, progress.step, sampled, run.rollouts.prompts, run.identity)
    evaluations = Evaluations(progress.step, greedy, sampled)
    with tqdm.external_write_mode():  # the progress bar makes room for the line
        say(str(evaluations))
        for label, part in by_task.items():
            say(f"  {label}: {part.headline} sampled")
        run.evaluated(progress.step)
    better = sampled.headline.value > progress.best_pass_rate or progress.best_step < 0
    if better and progress.step > 0:
        progress.best_pass_rate = sampled.headline.value
        progress.best_step = progress.step
    return evaluations


def save(run: Run, progress: Progress, evaluations: Sequence[Evaluations]) -> None:
    """Write a checkpoint, and drop older ones beyond `keep` but for the best. Of several processes, whose
    weights are held together first, one writes."""
    learner, saver, step, best = run.learner, run.saver, progress.step, progress.best_step
    check_replicas([learner.policy.model, *(trained.module for trained in learner.algorithm.trained)])
    whole, shards = learner.take_whole(), run.config.ranks.shard == "fsdp"
    if shards:
        save_shards(run)
    if not run.folder.writes:
        return
    model = saver.take_model(whole.model)
    state = saver.take_state(
        {
            "optimizer": None if shards else learner.optimizer.state_dict(),
            "progress": progress.to_dict(),
            "torch_rng": torch.get_rng_state(),
            "threads": torch.get_num_threads(),
            "algorithm": learner.algorithm.state(),
            "adapters": lora.collect_trained(whole.model) if run.config.model.lora_rank else None,
            "entropy": asdict(learner.algorithm.entropy),
        }
    )
    info = {
        "pass_rate": evaluations[-1].sampled.headline.value if evaluations else None,
        "task": run.task.name,
    }
    ledger = json.dumps({"suspects": progress.ledger.list_suspects(), "problems": progress.ledger.to_dict()})

    def write() -> None:
        folder = run.folder.checkpoints

        def write_model(place: Path) -> None:
            run.write_checkpoint_model(model, place)
            if shards:
                (folder / STAGED).rename(place / checkpoint.MOMENTS)

        checkpoint.save(folder, step, write_model, state, info, saver.wanted)
        if saver.wanted():
            checkpoint.prune(folder, run.config.output.keep, best)
            write_text(run.folder.path / LEDGER, ledger)

    with find_world().phase("save"):
        saver.run(f"The checkpoint of step {step}", write)


def save_shards(run: Run) -> None:
    """Every process's share of the optimizer's state, where the checkpoint takes it up."""
    place = run.folder.checkpoints / STAGED
    run.saver.wait()  # it may still take up the one before
    with find_world().phase("save"):
        if run.folder.writes:
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        find_world().gather(None)
        try:
            save_moments(run.learner.policy.model, run.learner.optimizer, place)
        except CheckpointException as failure:  # in all processes, whichever of them could not write
            ranks = ", ".join(f"rank {rank}" for rank in sorted(failure.failures))
            raise DiskError(
                f"{place} could not be written by {ranks}: the disk is full, or refuses."
            ) from None


def draw_curves(folder: Path, title: str) -> None:
    """The curves of a run as a picture."""
    lines = curves.read_metrics(folder)
    steps = [line for line in lines if line["kind"] == "step"]
    if steps:
        curves.write_png(
            folder / CURVES, steps, [line for line in lines if line["kind"] == "evaluation"], title
        )
    overoptimisation.write(folder, title)
