"""A run of supervised fine-tuning: held-out loss before, during and after, checkpoints, and going on from one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ...tasks import Task
from ...tasks.core import registry
from ...tasks.core.errors import UserError
from ..config.parse import merge, task_options
from ..config.sft import SFTConfig
from ..model.policy import Policy, choose_threads, load_policy
from ..reports.progress import due
from ..storage import checkpoint
from ..storage.folders import forget_after, new_folder
from ..storage.interrupts import Interrupts
from .data import encode_pairs, read_pairs, split_pairs
from .fit import Demonstration, demonstrations, fit, mean_loss, optimizer_of, training_problems

KEEP = 2  # checkpoints


@dataclass(frozen=True)
class Data:
    """What to imitate and what to measure on. name: for the default folder.  task: any, where pairs are given."""

    name: str
    task: Task
    train: Sequence[Demonstration]
    held_out: Sequence[Demonstration]


def run_sft(config: SFTConfig) -> int:
    """Fine-tune from the beginning; returns the exit code."""
    task = registry.get(config.task, task_options(config.option, config.data))
    name = "pairs" if config.pairs else task.name
    folder = new_folder(config.out or f"runs/{name}-sft-{config.seed}", named=bool(config.out))
    policy = load_policy(config.model, config.device, config.dtype, config.seed)
    threads = choose_threads(policy, config.threads)
    print(f"{config.model}: {policy.parameters:,} parameters, {policy.device}, {threads} CPU thread(s)")
    data = prepare(policy, task, config)
    (folder / "sft.json").write_text(json.dumps(asdict(config), indent=1), encoding="utf-8")
    before = mean_loss(policy, data.held_out, config.tokens_per_microbatch)
    return _steps(policy, data, config, folder, before, 0, None)


def resume_sft(folder: Path, steps: int = 0, stop_after: int = 0) -> int:
    """Go on from the newest checkpoint of a run, as if it had never stopped. steps: in all; 0 as it was started."""
    config = merge(SFTConfig(), json.loads((folder / "sft.json").read_text(encoding="utf-8")), str(folder / "sft.json"))
    config = replace(config, stop_after=stop_after, steps=steps or config.steps)
    found = checkpoint.checkpoints(folder / "checkpoints")
    if not found:
        raise UserError(f"{folder} holds no checkpoint yet; start the run again with `palaestra sft`.")
    state = checkpoint.load_state(found[-1])
    policy = replace(load_policy(str(found[-1]), config.device, config.dtype, config.seed), source=config.model)
    torch.set_num_threads(state["threads"])
    optimizer = optimizer_of(policy, config)
    optimizer.load_state_dict(state["optimizer"])
    forget_after(folder, state["step"])
    task = registry.get(config.task, task_options(config.option, config.data))
    print(f"Going on from {found[-1]}, step {state['step']} of {config.steps}.")
    return _steps(policy, prepare(policy, task, config), config, folder, state["before"], state["step"], optimizer)


def prepare(policy: Policy, task: Task, config: SFTConfig) -> Data:
    """The demonstrations, those over the token budget left out and counted. Raises UserError when none is left."""
    if config.pairs:
        if not 0 <= config.eval_share < 1:
            raise UserError(f"--eval-share {config.eval_share} must be 0 or more and below 1.")
        shown, hidden = split_pairs(read_pairs(config.pairs), config.eval_share)
        train = encode_pairs(policy, shown, config.max_tokens)
        held_out = encode_pairs(policy, hidden, config.max_tokens)[: config.eval_problems]
        left_out, everything = len(shown) - len(train), len(shown)
    else:
        problems = training_problems(task, config.demonstrations, config.seed, config.level or None)
        train = demonstrations(policy, task, problems, config.seed, config.max_tokens)
        split = "test" if "test" in task.splits else task.splits[-1]
        unseen = task.problems(split, config.eval_problems, level=config.level or None)
        held_out = demonstrations(policy, task, unseen, 0, config.max_tokens)
        left_out, everything = len(problems) - len(train), len(problems)
    if left_out:
        print(f"{left_out} of {everything} demonstrations are over {config.max_tokens} tokens: left out.")
    if not train or not held_out:
        which = "demonstration" if not train else "held-out demonstration"
        raise UserError(f"There is no {which} of at most {config.max_tokens} tokens; raise --max-tokens or --eval-share.")
    return Data("pairs" if config.pairs else task.name, task, train, held_out)


def _steps(
    policy: Policy,
    data: Data,
    config: SFTConfig,
    folder: Path,
    before: float,
    begin: int,
    optimizer: torch.optim.Optimizer | None,
) -> int:
    log = (folder / "metrics.jsonl").open("a", encoding="utf-8")
    with log, Interrupts() as stop:

        def after_step(step: int, loss: float, optimizer: torch.optim.Optimizer) -> None:
            last = step == config.steps
            if config.stop_after and step == begin + config.stop_after and not last:
                stop.requested = "--stop-after"
            line: dict[str, Any] = {"kind": "step", "step": step, "loss": loss}
            if due(step, config.eval_every) and not last:
                line["held_out_loss"] = mean_loss(policy, data.held_out, config.tokens_per_microbatch)
            log.write(json.dumps(line) + "\n")
            if (due(step, config.save_every) or stop.requested) and not last:
                log.flush()
                state = {
                    "step": step, "before": before, "optimizer": optimizer.state_dict(), "threads": torch.get_num_threads()
                }  # fmt: skip
                checkpoint.save(folder / "checkpoints", step, policy.save, state, {"loss": loss})
                checkpoint.prune(folder / "checkpoints", KEEP, -1)

        result = fit(policy, data.task, data.train, config, stop, begin=begin, optimizer=optimizer, after_step=after_step)
    done = begin + len(result.losses)
    if done < config.steps:
        print(f"Stopped by {stop.requested} at step {done}; go on with: palaestra resume {folder}")
        return 130
    after = mean_loss(policy, data.held_out, config.tokens_per_microbatch)
    checkpoint.write_folder(folder / "model", policy.save)
    losses = [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    summary = {"config": asdict(config), "held_out_loss": {"before": before, "after": after}, "losses": losses}
    (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    print(f"Held-out loss per completion token: {before:.3f} before, {after:.3f} after {done} steps (nats).")
    print(f"The model: {folder / 'model'}    next: palaestra train --task {data.task.name} --model {folder / 'model'}")
    return 0
