"""A real pretrained model on a laptop: GRPO alone makes an instruct model answer small sums rightly.

No warm-up and no demonstrations: the model can do it now and then, and the reward makes that a habit. Beside
it, for about the same time, what the gain must be told from: rewards by a coin, and imitation of the model's
own verified answers.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass

from ....tasks import Task
from ....tasks.core import registry
from ...model.logprobs import compute_logprobs
from ...model.policy import Policy, load_policy
from ...model.sequences import Sequences
from ...model.threads import choose_threads
from ...rollouts.rollouts import make_sampling
from ..addition import DemoConfig, run_addition
from ..arms import make_rollouts
from ..settings import PretrainedConfig, clear_folder
from .arms import (
    CONTROLS,
    EVAL_SAMPLES,
    LEVEL,
    PROMPTS,
    SAMPLES,
    TASK,
    list_grpo_arms,
    list_other_arms,
    make_settings,
    train_watched,
)
from .report import report
from .weights import find_weights

TRIAL_PROBLEMS = 3  # of the step that is timed before anything else
SIGNAL_SHARE = 0.4  # of the groups of a run (0.38 to 0.40 for three seeds); the update leaves the others out


def run_pretrained(config: PretrainedConfig) -> int:
    """Run the demo; returns the exit code."""
    start = time.perf_counter()
    print(
        "A language model learns from a verifiable reward: it answers small questions (sums, products,\n"
        "one-line stories), a program checks each answer, and GRPO makes likelier what passed the check.\n"
    )
    weights = find_weights(config.model, print)
    if weights is None:
        return run_small(config, "So")
    print(f"Model: {weights.origin}.")
    task = registry.get(TASK)
    policy = load_policy(weights.source, seed=config.seed)
    threads = choose_threads(policy, config.threads)
    print(f"{policy.parameters:,} parameters on {policy.device}, {threads} thread(s).")
    minutes = estimate_minutes(policy, task, config)
    if config.most_minutes and minutes > config.most_minutes:
        print("The real model, however long it takes: palaestra demo pretrained --most-minutes 0")
        return run_small(config, f"By a timed step this would take {minutes:.0f} minutes here, so")
    print(f"By a timed step, all of it takes about {minutes:.0f} minutes here; Ctrl-C stops it at any time.")
    clear_folder(config.out)
    watched = train_watched(policy, task, config)
    if watched is None:
        return 130
    del policy  # its weights make room for the next arm's
    arms = list_grpo_arms(watched.result)
    for train_arm in list_other_arms(config):
        gc.collect()
        arm = train_arm(config, weights, task, watched.result)
        if arm is None:
            return 130
        arms.append(arm)
    report(config, watched, arms)
    print(f"\nAll of it took {time.perf_counter() - start:.0f} s.")
    return 0


def run_small(config: PretrainedConfig, why: str) -> int:
    """The demo that needs no weights, in place of this one."""
    print(f"{why} a small model is trained from nothing: `palaestra demo addition`.\n")
    return run_addition(DemoConfig(seed=config.seed, out=config.out, threads=config.threads))


@dataclass(frozen=True)
class Trial:
    """Seconds that `TRIAL_PROBLEMS` questions of a step take, all of them with a signal."""

    sampled: float
    updated: float


def estimate_minutes(policy: Policy, task: Task, config: PretrainedConfig) -> float:
    """How long the demo will take, by a part of a step."""
    time_trial(policy, task, config)  # the first one probes and compiles
    trial = time_trial(policy, task, config)
    share = PROMPTS / TRIAL_PROBLEMS
    training = config.steps * share * (trial.sampled + SIGNAL_SHARE * trial.updated)
    arms = 1 + (len(CONTROLS) if config.controls else 0) + (config.lora_rank > 0)
    measuring = trial.sampled * config.eval_problems * (1 + EVAL_SAMPLES) / (SAMPLES * TRIAL_PROBLEMS)
    return (arms * training + (1 + arms) * measuring) / 60


def time_trial(policy: Policy, task: Task, config: PretrainedConfig) -> Trial:
    """Sample and score a few questions, and take the gradient of what was sampled; nothing is learned."""
    problems = task.problems("train", TRIAL_PROBLEMS, config.seed, LEVEL)
    rollouts, sampling = make_rollouts(policy, task), make_sampling(make_settings(config).rollouts)
    began = time.perf_counter()
    groups = rollouts.sample_groups(problems, SAMPLES, sampling, "trial")
    sampled = time.perf_counter()
    rollouts.close()
    completions = [completion for group in groups for completion in group.completions_G]
    sequences = Sequences.of(
        [completion.prompt_ids for completion in completions],
        [completion.ids for completion in completions],
        policy.device,
    )
    with policy.autocast():
        compute_logprobs(policy.model, sequences).logprobs_BT.sum().backward()
    policy.model.zero_grad(set_to_none=True)
    return Trial(sampled - began, time.perf_counter() - sampled)
