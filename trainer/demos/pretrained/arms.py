"""What the demo trains from the same weights: GRPO, and what its gain must be told from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ....tasks import Task
from ...config.sft import SFTConfig
from ...config.train import TrainConfig
from ...evaluation.evaluate import Evaluation, evaluate
from ...model.policy import Policy, load_policy
from ...reports.progress import make_progress_bar
from ...rollouts.group import Group
from ...rollouts.rollouts import make_sampling
from ...runs.setup import train
from ...runs.state import RunResult
from ...sft.fit import Demonstration, draw_training_problems, fit
from ..arms import Arm, make_rollouts, measure, read_arm, say_evaluations
from ..settings import CalculatorConfig, PretrainedConfig
from .unrelated import Drift, look_after, look_before
from .weights import Weights

TASK = "small_numbers"
LEVEL = 1
ABOVE = 2  # the level that is measured and never trained
ABOVE_PROBLEMS = 50
PROMPTS, SAMPLES, TOKENS = 8, 8, 12  # of a step; tokens of a completion
EVAL_SAMPLES = 1
RATE, LORA_RATE = 1.5e-5, 2e-4
# of GRPO's steps: with rewards by a coin every group has a signal, and a step takes about 1.8 times as long
RANDOM_SHARE = 0.5


@dataclass(frozen=True)
class Watched:
    """GRPO on all weights, and what was asked beside the task: the level above, and prompts that have nothing
    to do with it."""

    result: RunResult
    above_before: Evaluation
    above_after: Evaluation
    drift: Drift


def make_settings(
    config: PretrainedConfig | CalculatorConfig,
    out: str = "grpo",
    task: str = TASK,
    level: int = LEVEL,
    tokens: int = TOKENS,
) -> TrainConfig:
    """GRPO as it was tuned for SmolLM2-135M: four optimizer steps on each batch, since a step's sampling
    and gradient cost far more here than AdamW's step."""
    return TrainConfig.of(
        task=task,
        level=level,
        out=str(Path(config.out) / out),
        seed=config.seed,
        steps=config.steps,
        prompts_per_step=PROMPTS,
        group_size=SAMPLES,
        minibatches=4,
        max_new_tokens=tokens,
        learning_rate=RATE,
        warmup_steps=2,
        preflight_problems=0,
        eval_every=0,
        eval_problems=config.eval_problems,
        eval_samples=EVAL_SAMPLES,
        save_every=0,
        keep=1,
        threads=torch.get_num_threads(),
    )


def train_watched(policy: Policy, task: Task, config: PretrainedConfig) -> Watched | None:
    """GRPO on all weights of the policy, with what is asked before and after; None where it was stopped."""
    print(
        f"\n1. GRPO, {config.steps} steps: {PROMPTS} new questions in each, {SAMPLES} answers to each.\n"
        "   What was right where other answers were wrong becomes likelier. The test has its own questions."
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


def list_grpo_arms(result: RunResult) -> list[Arm]:
    """The first two lines of the table."""
    first = result.evaluations[0]
    return [Arm("as it comes", first.greedy, first.sampled, 0.0), read_arm("after GRPO", result)]


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


def train_random(config: PretrainedConfig, weights: Weights, _task: Task, _grpo: RunResult) -> Arm | None:
    """The control that tells learning from an artefact: the same algorithm, the rewards by a coin.

    Its completions stay long and every group has a signal, so a step takes up to twice as long as GRPO's.
    """
    steps = max(1, round(RANDOM_SHARE * config.steps))
    print(f"\nControl: {steps} steps with rewards by a coin. What it gains is no learning from the reward.")
    settings = make_settings(config, "random").but(model=weights.source, control="random", steps=steps)
    return run_arm("random rewards", settings)


def run_arm(name: str, settings: TrainConfig) -> Arm | None:
    """A run from the model that the settings name; None where it was stopped."""
    result = train(settings, say=say_evaluations)
    return None if result.interrupted else read_arm(name, result)


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
    if data:
        fit(policy, task, list(data.values()), settings)
    else:
        print("   None passed, so there is nothing to imitate.")
    seconds = time.perf_counter() - began
    held_out = [group.problem for group in grpo.evaluations[0].greedy.groups]
    arm = measure("SFT on verified", rollouts, held_out, EVAL_SAMPLES, sampling, seconds)
    rollouts.close()
    say_evaluations(
        f"step {config.steps}: held-out pass@1 {arm.sampled.headline} sampled, {arm.greedy.headline} greedy"
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
