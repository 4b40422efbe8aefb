"""Set up a run, or take one up again where it stopped; the steps themselves are in `loop`.

Everything random in a step depends on the seed and the number of the step, so weights, optimizer, the
algorithm's state and `Progress` are all that a resumed run needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ...tasks import Task
from ...tasks.core.errors import UserError
from ...tasks.core.isolation import isolate
from ...tasks.core.mixture import Mixture
from ..algorithms.base import Learner
from ..algorithms.named import find_algorithm
from ..config.paths import list_code, list_data, make_paths_absolute
from ..config.settings import resolve
from ..config.tasks import TRAINED, check_data, load_task
from ..config.together import check_ranks
from ..config.train import TrainConfig
from ..distributed.world import World, find_world, join
from ..engines.checks import check_engine
from ..engines.choice import Extent, describe_engine, make_engine
from ..engines.sync import SyncProof
from ..evaluation.held_out import identify
from ..model import lora
from ..model.budget import check_prompts
from ..model.context import limit_prompts
from ..model.fit import fit_sizes
from ..model.lora_saving import check_merge
from ..model.memory import HeldModel, sleeps_between_steps
from ..model.optim import adamw, restore
from ..model.policy import Policy, enable_gradient_checkpointing, load_policy_of, take_weights
from ..model.probe import describe_decoding
from ..model.prompts import PromptFormat
from ..model.sharded import load_moments, shard
from ..model.shares import copy_weights
from ..model.source import check_source
from ..model.template_file import check_template
from ..model.threads import choose_threads, use_threads
from ..model.update_probe import check_update
from ..objective.agreement import check_truncation, settle_correction
from ..objective.entropy_control import EntropyControlState
from ..objective.probe import probe_loss
from ..reports.loggers import check_loggers
from ..reward_models.scoring import Judged, assign_models
from ..rollouts.shared import SharedRollouts
from ..storage import checkpoint
from ..storage.atomic import write_folder
from ..storage.background import Saver, saves_in_background
from ..storage.folders import (
    REFERENCE,
    RunFolder,
    gather_facts,
    open_existing,
)
from ..storage.interrupts import Interrupts, tell_how_to_go_on
from ..storage.names import ENGINE
from .beside import judge_task, list_models_beside
from .checks import check_lora
from .ending import record_end
from .guards import find_bound
from .loop import begin, run_steps
from .places import (
    begin_shared_folder,
    check_processes,
    choose_say,
    open_shared,
    reopen_shared,
    take_least,
    watch_over,
)
from .reference import find_base, keeps_reference, make_reference
from .source import take_turns
from .state import Progress, Run, RunResult
from .warm_up import save_warm_up, warm_up
from .weights import check_ramps, read_ramps

COMMAND = "train"
Say = Callable[[str], None]
Evaluated = Callable[[int], None]


def train(
    config: TrainConfig,
    policy: Policy | None = None,
    say: Say = print,
    evaluated: Evaluated = lambda _step: None,
) -> RunResult:
    """Train on a task's reward.

    policy: a model in memory to start from, in place of the one that is named.  evaluated: called with the
    step after each evaluation on held-out problems.
    """
    if config.arms:
        raise UserError("This asks for several arms, and `train` makes one run: take `train_arms`.")
    check_processes(config)
    with join(config.ranks.deadline) as world:
        config = config.but(processes=world.size)
        return _train(config, policy, world, choose_say(world, say), evaluated)


def _train(
    config: TrainConfig, policy: Policy | None, world: World, say: Say, evaluated: Evaluated
) -> RunResult:
    """`train`, as one of the processes of `world`."""
    config = settle_correction(take_weights(make_paths_absolute(config), policy))
    check(config)
    task = load_task(config.task)
    check_before_loading(config, task, policy)
    check_data(task, TRAINED, say)
    if policy is None:
        check_prompts(config.model, task, TRAINED, config.rollouts.max_prompt_tokens, say, config.prompt)
    layers = isolate(task, config.task.allow_weak_sandbox, say)
    fresh = policy is None and config.model.source == "embedded"
    base = REFERENCE if fresh or policy is not None else config.model.source
    with begin_shared_folder(world, config.output.out, f"{task.name}-{config.seed}", say) as path:
        if policy is None:
            policy = load_policy_of(config.model, config.seed)
        dtype = str(policy.dtype).removeprefix("torch.")
        say(f"{policy.source}: {policy.parameters:,} parameters, {policy.device}, {dtype}")
        limited = hold_to_model(policy, config, say, task.has_episodes)
        threads = use_threads(world.agree(choose_threads(policy, config.model.threads)))
        with Interrupts() as stop:
            say(f"{threads} CPU thread(s)")
            prompts = PromptFormat.of(policy.tokenizer, config.prompt, say, end_ids=policy.end_ids)
            if fresh:
                warm_up(policy, prompts, task, limited, stop)
        if stop.agree() and fresh:
            return save_warm_up(policy, config, path, stop.requested or "", COMMAND, say)
        if stop.requested:
            raise KeyboardInterrupt
        if config.model.lora_rank:
            adapt(policy, config, path, say)
        judged = judge_task(task, config)
        beside = list_models_beside(policy, limited, judged)
        limited = hold_to_readers(policy, limited, beside, say)
        sizes = take_least(world, fit_sizes(policy, limited, beside, say, task.has_episodes))
        run = prepare(limited.but(**sizes), RunFolder(path), policy, prompts, judged, say)
        with ExitStack() as refused:
            refused.callback(run.close)
            ahead = begin(run, say)
            refused.pop_all()
        # Whatever may refuse the run has been asked: from here on it is written down.
        found = {"device": str(policy.device), "threads": threads, "sizes": sizes, **layers, **prompts.facts}
        found |= {"policy": policy.facts, "task": task.facts, **describe_engine(run.rollouts.engine)}
        if config.model.lora_rank:
            found["base"] = base
        facts = gather_facts(COMMAND, path, list_code(config), list_data(config), **found)
        folder = open_shared(world, path, config, facts, config.output.log)
        if ahead is not None:
            folder.log({"kind": "preflight", "step": 0, **ahead.to_dict()})
        if config.model.lora_rank or keeps_reference(config):
            begun = run.learner.take_whole()
            if world.writes:
                write_folder(path / REFERENCE, begun.save)
        world.gather(None)  # what all read is written
        run = replace(run, folder=folder, base=find_base(config, folder), evaluated=evaluated)
        return take_steps(run, Progress(), say)


def adapt(policy: Policy, config: TrainConfig, place: Path, say: Say) -> None:
    """Put adapters on the policy, and try at once all that a run does with them.

    place: a folder for a trial that is removed.
    Raises UserError where the model with adapters can't be saved merged, sampled from or trained: before the
    memory plan runs an update, which has no sentence for it.
    """
    lora.add_adapters(policy.model, config.model, config.seed)
    say(lora.describe_adapters(policy.model))
    if find_world().writes:  # transformers saves in one process of several only
        check_merge(
            policy.model,
            lambda folder: write_folder(folder, policy.save),
            place,
            trust_remote_code=config.model.trust_remote_code,
        )
    check_update(policy)


def resume_training(
    path: Path, config: TrainConfig, say: Say = print, evaluated: Evaluated = lambda _step: None
) -> RunResult:
    """Go on from the newest checkpoint of a run, as if it had never stopped.

    config: its settings from now on.  evaluated: as of `train`.
    """
    with join(config.ranks.deadline) as world:
        watch_over(world, path)
        return _resume(path, config, world, choose_say(world, say), evaluated)


def _resume(path: Path, config: TrainConfig, world: World, say: Say, evaluated: Evaluated) -> RunResult:
    """`resume_training`, as one of the processes of `world`."""
    folder = open_existing(path)
    # Another number of processes has other threads each, unless they are set.
    same = folder.read_config(TrainConfig).ranks.processes == world.size
    config = settle_correction(take_sizes(config, folder.read_facts())).but(processes=world.size)
    check(config)
    newest = folder.find_newest_checkpoint()
    state = checkpoint.load_state(newest)
    # A checkpoint's model has its adapters merged; training goes on with them apart,
    # on the model that they were added to.
    source = path / REFERENCE if config.model.lora_rank else newest
    policy = load_policy_of(config.model, config.seed, source=str(source))
    policy = replace(policy, source=config.model.source)
    facts = folder.read_facts()
    prompts = PromptFormat.of_run(policy.tokenizer, config.prompt, facts, say, policy.end_ids)
    if config.model.lora_rank:
        lora.add_adapters(policy.model, config.model, config.seed)
        lora.load_trained(policy.model, state["adapters"])
    task = load_task(config.task)
    isolate(task, config.task.allow_weak_sandbox, say)
    use_threads(resolve(config.model.threads, state["threads"]) if same else config.model.threads)
    torch.set_rng_state(state["torch_rng"])
    progress = Progress.of(state["progress"])
    progress.watch.forgive(config.guards.watch)
    judged = judge_task(task, config)
    # What may refuse comes before what is written: a refused resume leaves the run as it was.
    limited = hold_to_model(policy, config, say, task.has_episodes)
    limited = hold_to_readers(policy, limited, list_models_beside(policy, limited, judged), say)
    run = prepare(limited, folder, policy, prompts, judged, say)
    with ExitStack() as refused:
        refused.callback(run.close)
        if config.ranks.shard == "fsdp":
            load_moments(run.learner.policy.model, run.learner.optimizer, newest / checkpoint.MOMENTS)
        else:
            restore(run.learner.optimizer, state["optimizer"])
        run.learner.algorithm.load(state["algorithm"])
        if config.objective.loss.entropy_target and "entropy" in state:
            run.learner.algorithm.entropy = EntropyControlState(**state["entropy"])
        folder = reopen_shared(world, path, config, progress.step)
        refused.pop_all()
    run = replace(run, folder=folder, base=find_base(config, folder), evaluated=evaluated)
    say(f"Going on from {newest}, step {progress.step} of {config.steps}.")
    return take_steps(run, progress, say)


def take_sizes(config: TrainConfig, facts: Mapping[str, Any]) -> TrainConfig:
    """The settings with the sizes that the memory plan chose at the start, where they leave them open.

    A resumed run takes the same micro-batches, so that its bits are those of one that never stopped.
    """
    if "sizes" not in facts:
        raise UserError("An earlier version began this run: its facts.json has no sizes. Start it again.")
    chosen = {
        "rows": config.rollouts.rows,
        "tokens_per_microbatch": config.optimizer.tokens_per_microbatch,
        "fast_path": config.rollouts.fast_path,
        "keep_sampler": config.rollouts.keep_sampler,
    }
    return config.but(**{name: size for name, size in facts["sizes"].items() if chosen.get(name) == "auto"})


def take_steps(run: Run, progress: Progress, say: Say) -> RunResult:
    """Run the remaining steps, and close what is open."""
    try:
        with (
            tell_how_to_go_on(run.folder),
            Interrupts() as stop,
            record_end(run.folder.path, progress, run.config.steps, stop)
            if run.folder.writes
            else nullcontext(),
            run.saver,
        ):
            return run_steps(run, progress, stop, say)
    finally:
        run.close()


def check(config: TrainConfig) -> None:
    """Raise UserError for settings that make no sense together, before anything is computed."""
    find_algorithm(config.algorithm).check(config)
    check_truncation(config.rollouts)
    check_engine(config.engine)
    probe_loss(config.objective.loss)
    check_loggers(config.output.log)
    if config.ppo.critic_model:
        check_source(config.ppo.critic_model)
    check_lora(config.model)
    check_ranks(config)


def check_before_loading(config: TrainConfig, task: Task, policy: Policy | None) -> None:
    """Raise UserError for a model, a reward model or a level that is not there, while that costs nothing."""
    if policy is None:
        check_source(config.model.source)
    check_template(config.prompt)
    judged = assign_models(task, config.reward.reward_model, config.reward.reward_model_share)
    check_ramps(read_ramps(config.reward.criterion_weight), judged.task)
    task.check_level(config.task.single_level)


def hold_to_model(policy: Policy, config: TrainConfig, say: Say, turns: bool = False) -> TrainConfig:
    """The settings within the model's positions. Says how it is sampled from where that is not as usual.
    turns: whether for episodes of several turns.

    Raises UserError for a model that can't be sampled from or trained rightly.
    """
    note = describe_decoding(policy, turns)
    if note:
        say(note)
    check_update(policy)
    asked = config.rollouts
    return config.but(
        max_prompt_tokens=limit_prompts(policy, asked.max_prompt_tokens, asked.max_new_tokens, say)
    )


def hold_to_readers(
    policy: Policy, config: TrainConfig, beside: Sequence[HeldModel], say: Say
) -> TrainConfig:
    """The settings within the positions of the models that read the policy's texts, too.

    Raises UserError where they leave none for a prompt.
    """
    asked, readers = config.rollouts, {f"The {model.name}": model.positions for model in beside}
    return config.but(
        max_prompt_tokens=limit_prompts(policy, asked.max_prompt_tokens, asked.max_new_tokens, say, readers)
    )


def prepare(
    config: TrainConfig,
    folder: RunFolder,
    policy: Policy,
    prompts: PromptFormat,
    judged: Judged,
    say: Say,
) -> Run:
    """Everything that the steps need. Writes nothing but what an engine's server says."""
    copy_weights([policy.model])
    algorithm = find_algorithm(config.algorithm)(policy, config)
    copy_weights([trained.module for trained in algorithm.trained])
    reference = make_reference(policy, config, folder.path / REFERENCE) if keeps_reference(config) else None
    if config.model.gradient_checkpointing:
        enable_gradient_checkpointing(policy.model)
    check_update(
        policy
    )  # as it is from here on, with adapters and checkpointing; what was tried is not again
    rows = config.rollouts.rows
    if rows == "auto":
        raise UserError("The rows of a run are chosen before it is prepared.")
    task = judged.task
    split = "test" if "test" in task.splits else task.splits[-1]
    for name in task.unmeasured if isinstance(task, Mixture) else ():
        say(f"{name} has no test split: it is trained on, and no evaluation measures it.")
    held_out = task.problems(split, config.evaluation.eval_problems, level=config.task.single_level)
    read = (prompts.encode(each, task.find_member(each.id).instruction) for each in held_out)
    samples, code = config.evaluation.eval_samples, list_code(config.task)
    models = [text.rpartition("=")[2] for text in config.reward.reward_model]
    identity = identify(config, task, code, held_out, split, samples, read, models)
    whole = shard(policy) if config.ranks.shard == "fsdp" and find_world().size > 1 else None
    # After the shards, which it is of.
    optimizer = adamw(policy.model, config.optimizer, policy.parameters, config.seed)
    learner = Learner(policy, optimizer, algorithm, reference, whole)
    sync = SyncProof(find_bound(config.guards, policy))
    saver = Saver(saves_in_background(config.output.background_saving, policy.device))
    asked, scorers = config.rollouts, take_turns(judged.make_scorers(prompts))
    extent = Extent(
        rows,
        asked.max_prompt_tokens + asked.max_new_tokens,
        fast=asked.fast_path != "no",
        sleeps=sleeps_between_steps(policy.device, config),
    )
    # The last of all: a server that was started for it is ended with the run, or with what refuses it.
    engine = make_engine(
        policy if whole is None else whole.policy, config.engine, extent, folder.path / ENGINE, say
    )
    with ExitStack() as refused:
        refused.callback(engine.close)
        rollouts = SharedRollouts(engine, prompts, task, asked.max_prompt_tokens, scorers=scorers)
        refused.pop_all()
    return Run(config, folder, learner, task, rollouts, held_out, sync, identity=identity, saver=saver)
