"""Set up a run, or take one up again where it stopped; the steps themselves are in `loop`.

Everything random in a step depends on the seed and the number of the step, so weights, optimizer and `Progress` are all that a
resumed run needs.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from ...tasks import Task
from ...tasks.core import registry
from ...tasks.core.errors import UserError
from ..storage import checkpoint
from ..model import lora
from ..config.sft import SFTConfig
from ..config.train import TrainConfig
from ..storage.folders import forget_after, new_folder
from ..storage.interrupts import Interrupts
from ...tasks.core.isolation import isolate
from ..reports.loggers import open_loggers
from .loop import steps
from ..model.memory import HeldModel, fit_sizes, weight_bytes
from ..model.policy import (SMALL, Policy, checkpointing, choose_threads, load_policy)
from ..model.optim import adamw
from ..algorithms.base import Learner
from ..algorithms.named import algorithm_class
from ..reward_models.scoring import judged
from ..rollouts.rollouts import Rollouts
from ..engines.local import LocalEngine
from ..config.parse import task_options
from ..sft.fit import demonstrations, fit, training_problems
from .state import Progress, Run, RunResult

REFERENCE = "reference"  # folder of the model that a run started from


def train(config: TrainConfig, policy: Policy | None = None, say: Callable[[str], None] = print) -> RunResult:
    """Train by GRPO or PPO. `policy`: a model in memory to start from, in place of `config.model`."""
    validate(config)
    task = registry.get(config.task, task_options(config.option, config.data))
    facts = isolate(task, config.allow_weak_sandbox, say)
    folder = new_folder(config.out or f"runs/{task.name}-{config.seed}", named=bool(config.out))
    fresh = policy is None and config.model == "embedded"
    with Interrupts() as stop:
        if policy is None:
            policy = load_policy(config.model, config.device, config.dtype, config.seed)
            say(f"{config.model}: {policy.parameters:,} parameters, {policy.device}, {policy.dtype}".replace("torch.", ""))
        say(f"{choose_threads(policy, config.threads)} CPU thread(s)")
        if fresh:
            warm_up(policy, task, config, stop)
            if stop.requested:
                checkpoint.write_folder(folder / "sft", policy.save)
                say(
                    f"Stopped by {stop.requested} during the SFT warm-up; the model so far is in {folder / 'sft'}. Start again."
                )
                return RunResult(folder, folder / "sft", interrupted=True)
        if config.lora_rank:
            checkpoint.write_folder(folder / REFERENCE, policy.save)
            lora.add_adapters(policy.model, config.lora_rank, config.seed)
        config = fit_sizes(policy, config, models_beside(policy, config), say)
        (folder / "config.json").write_text(json.dumps({**asdict(config), **facts}, indent=1), encoding="utf-8")
        optimizer = adamw(policy.model, config.weight_decay, (0.9, 0.98 if policy.parameters < SMALL else 0.999))
        run = prepare(config, folder, policy, optimizer, task)
        try:
            return steps(run, Progress(), stop, say)
        finally:
            run.close()


def resume(folder: Path, changes: Mapping[str, Any], say: Callable[[str], None] = print) -> RunResult:
    """Go on from the newest checkpoint of a run, as if it had never stopped. changes: settings to replace (steps, say)."""
    from ..config.parse import merge

    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} is not the folder of a run: it holds no config.json.")
    recorded = json.loads((folder / "config.json").read_text())
    recorded.pop("sandbox_layers", None)  # found on the machine then, no setting
    config = merge(TrainConfig(), recorded, str(folder / "config.json"))
    config = merge(replace(config, stop_after=0), changes, "resume")
    validate(config)
    found = checkpoint.checkpoints(folder / "checkpoints")
    if not found:
        raise UserError(f"{folder} holds no checkpoint yet; start the run again with `palaestra train`.")
    state = checkpoint.load_state(found[-1])
    # A checkpoint's model has its adapters merged; training goes on with them apart, on the model that they were added to.
    source = folder / REFERENCE if config.lora_rank else found[-1]
    policy = replace(load_policy(str(source), config.device, config.dtype, config.seed), source=config.model)
    if config.lora_rank:
        lora.add_adapters(policy.model, config.lora_rank, config.seed)
        lora.load_adapters(policy.model, state["adapters"])
    task = registry.get(config.task, task_options(config.option, config.data))
    isolate(task, config.allow_weak_sandbox, say)
    torch.set_num_threads(state["threads"])
    optimizer = adamw(policy.model, config.weight_decay, tuple(state["betas"]))
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["torch_rng"])
    progress = Progress.of(state["progress"])
    forget_after(folder, progress.step)
    run = prepare(config, folder, policy, optimizer, task)
    run.learner.algorithm.load(state["algorithm"])
    say(f"Going on from {found[-1]}, step {progress.step} of {config.steps}.")
    with Interrupts() as stop:
        try:
            return steps(run, progress, stop, say)
        finally:
            run.close()


def warm_up(policy: Policy, task: Task, config: TrainConfig, stop: Interrupts) -> None:
    """SFT of a fresh model on the task's demonstrations: reinforcement needs a pass-rate that is not zero."""
    settings = SFTConfig(seed=config.seed, steps=config.sft_steps, max_tokens=config.max_prompt_tokens + config.max_new_tokens)
    problems = training_problems(task, settings.demonstrations, config.seed, config.level or None)
    fit(policy, task, demonstrations(policy, task, problems, config.seed, settings.max_tokens), settings, stop)


def validate(config: TrainConfig) -> None:
    """Raise UserError for settings that make no sense, before anything is computed."""
    algorithm_class(config.algorithm).check(config)
    if config.lora_rank < 0:
        raise UserError(f"--lora-rank {config.lora_rank}: give a rank above 0, or 0 to train all weights.")
    if config.temperature <= 0:
        raise UserError(f"--temperature {config.temperature}: rollouts are sampled, so give a temperature above 0.")


def reference_of(policy: Policy, config: TrainConfig, kept: Path) -> Policy:
    """The policy as it was at the start: without its adapters where it has any, else a frozen copy, kept in a folder."""
    if config.lora_rank:
        return replace(policy, adapted=False)
    if not kept.exists():
        checkpoint.write_folder(kept, policy.save)
        reference = replace(policy, model=copy.deepcopy(policy.model))
    else:
        reference = load_policy(str(kept), config.device, config.dtype)
    reference.model.eval().requires_grad_(False)
    return reference


def keeps_reference(config: TrainConfig) -> bool:
    """Whether the first policy is kept. Beside a reward model it shows how far the policy has gone to please it."""
    return algorithm_class(config.algorithm).needs_reference(config) or bool(config.reward_model)


def models_beside(policy: Policy, config: TrainConfig) -> list[HeldModel]:
    """The models that the run will hold beside the policy."""
    held = list(algorithm_class(config.algorithm).held_models(policy, config))
    if keeps_reference(config) and not config.lora_rank:  # with adapters it is the policy without them
        held.append(HeldModel("reference", weight_bytes(policy.model)))
    return held


def prepare(
    config: TrainConfig, folder: Path, policy: Policy, optimizer: torch.optim.Optimizer, task: Task
) -> Run:
    """Everything that the steps need. The reference, where a KL needs one, is kept beside the checkpoints."""
    algorithm = algorithm_class(config.algorithm)(policy, config)
    reference = reference_of(policy, config, folder / REFERENCE) if keeps_reference(config) else None
    if config.gradient_checkpointing:
        checkpointing(policy.model)
    found = judged(task, config.reward_model, config.reward_model_share, config.device, config.dtype)
    engine = LocalEngine(policy, config.rows)
    rollouts = Rollouts(engine, policy.tokenizer, found.task, config.max_prompt_tokens, scorers=found.scorers)
    split = "test" if "test" in task.splits else task.splits[-1]
    held_out = task.problems(split, config.eval_problems, level=config.level or None)
    loggers = open_loggers(config.log, folder, asdict(config))
    learner = Learner(policy, optimizer, algorithm, reference)
    return Run(config, folder, learner, found.task, rollouts, held_out, loggers)
