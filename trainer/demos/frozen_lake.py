"""An episode with a verifiable reward: SFT from nothing, then PPO and GRPO from the same start. Lakes never
seen are walked step by step.

The demonstrations mix two habits (`lake_walkers`): most make for the goal as if there were no holes, one in
five works out its way before each step. Both stay after SFT, and the model mostly hurries. The reward is the
end of the walk alone, and makes it plan.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from ...tasks import Problem, Task
from ...tasks.core import registry
from ...tasks.core.episode import play
from ..config.objective import KLControlConfig
from ..config.sft import SFTConfig
from ..config.train import PPOConfig, TrainConfig
from ..intervals import paired_difference
from ..model.policy import load_policy
from ..model.prompts import PromptFormat
from ..model.threads import choose_threads
from ..reports import curves
from ..runs.setup import train
from ..runs.state import RunResult
from ..sft.fit import draw_training_problems, encode_demonstrations, fit
from ..storage.atomic import write_folder
from ..storage.interrupts import Interrupts
from .arms import Arm, compute_rates, read_arm
from .lake_walkers import PLANNED_SHARE, mix_habits
from .settings import FrozenLakeConfig, clear_folder

LEVEL = 1  # lakes of 4 x 4 fields
TOKENS = 768  # of an episode: a walk with a plan at each step takes about 200, the longest ones 700
PROMPTS, SAMPLES = 16, 8


def run_frozen_lake(config: FrozenLakeConfig) -> int:
    """Run the demo; returns the exit code."""
    began = time.perf_counter()
    folder = clear_folder(config.out)
    task = registry.get("frozen_lake")
    policy = load_policy("embedded", seed=config.seed)
    threads = choose_threads(policy, config.threads)
    print(
        f"A transformer of {policy.parameters:,} parameters, fresh, on {policy.device} ({threads} thread(s))."
    )
    print(
        f"1. SFT on walks over {config.demonstrations:,} lakes, {config.sft_steps} steps: "
        f"{PLANNED_SHARE:.0%} plan each step, the others make for the goal as if there were no holes."
    )
    settings = SFTConfig.of(seed=config.seed, steps=config.sft_steps)
    problems = draw_training_problems(task, config.demonstrations, config.seed, LEVEL)
    shown = replace(task, player=mix_habits)
    data = encode_demonstrations(
        PromptFormat.of(policy.tokenizer), shown, problems, config.seed, settings.imitation.max_tokens
    )
    with Interrupts() as stop:
        warm = fit(policy, task, data, settings, stop)
        write_folder(folder / "sft", policy.save)
        if stop.requested:
            print(f"Stopped during SFT; the model so far is in {folder / 'sft'}.")
            return 130
    results: dict[str, RunResult] = {}
    for algorithm in ("ppo", "grpo"):
        print(
            f"{2 + len(results)}. {algorithm.upper()}, {config.steps} steps of {PROMPTS} lakes x {SAMPLES} "
            "walks, rewarded by where they end alone."
        )
        start = replace(policy, model=copy.deepcopy(policy.model), source=str(folder / "sft"))
        results[algorithm] = train(
            make_train_config(config, algorithm, folder), start, say=lambda _line: None
        )
        if results[algorithm].interrupted:
            return 130
    report(config, task, folder, results, warm.seconds)
    print(f"\nAll of it took {time.perf_counter() - began:.0f} s. The models and curves: {folder}")
    return 0


def make_train_config(config: FrozenLakeConfig, algorithm: str, folder: Path) -> TrainConfig:
    """The same rollouts for both: what differs is where the credit of a token comes from."""
    shared = TrainConfig.of(
        task="frozen_lake",
        level=LEVEL,
        out=str(folder / algorithm),
        seed=config.seed,
        steps=config.steps,
        prompts_per_step=PROMPTS,
        group_size=SAMPLES,
        max_new_tokens=TOKENS,
        learning_rate=5e-4,
        eval_problems=config.eval_problems,
        eval_samples=2,
        eval_every=0,
        save_every=0,
        preflight_problems=0,
        threads=torch.get_num_threads(),
    )
    if algorithm == "grpo":
        return shared
    # No KL to the SFT model, as GRPO has none, so that the comparison is of the credit alone.
    ppo = PPOConfig(kl=KLControlConfig(kl_coef=0.0), lam=1.0, critic_warmup=min(5, config.steps // 10))
    return shared.but(algorithm="ppo", ppo=ppo)


def report(
    config: FrozenLakeConfig, task: Task, folder: Path, results: dict[str, RunResult], sft_seconds: float
) -> None:
    """What happened, for a person; the same numbers go to summary.json."""
    first = results["ppo"].evaluations[0]
    planner = compute_planner_rate(task, [group.problem for group in first.greedy.groups])
    print(f"\nPass@1 on {first.greedy.problems} lakes never seen, with 95 % intervals\n")
    print(f"{'':12}{'greedy':>24}{'sampled':>24}{'gain, sampled':>30}{'seconds':>9}")
    greedy, sampled = first.greedy.pass_at[1], first.sampled.pass_at[1]
    print(f"{'after SFT':12}{greedy!s:>24}{sampled!s:>24}{'':>30}{sft_seconds:>9.0f}")
    summary: dict[str, object] = {
        "config": asdict(config),
        "planner": planner,
        "sft": Arm("after SFT", first.greedy, first.sampled, sft_seconds).summarise(),
    }
    for algorithm, result in results.items():
        arm = read_arm(algorithm.upper(), result)
        gain = paired_difference(compute_rates(first.sampled), compute_rates(arm.sampled))
        greedy, sampled = arm.greedy.pass_at[1], arm.sampled.pass_at[1]
        print(f"{arm.name:12}{greedy!s:>24}{sampled!s:>24}{gain!s:>30}{arm.seconds:>9.0f}")
        summary[algorithm] = {**arm.summarise(), "gain": asdict(gain)}
    print(f"{'a planner':12}{f'{planner:.1%}':>24}")
    for algorithm, result in results.items():
        rates = [line["pass_rate"] for line in result.metrics()]
        print()
        print(curves.draw_text_curve(rates, f"{algorithm.upper()}: pass-rate of the rollouts", low=0.0))
    (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")


def compute_planner_rate(task: Task, problems: Sequence[Problem]) -> float:
    """The share of the lakes that the task's own player crosses, by breadth-first search."""
    return sum(task.score(play(task, problem), problem).passed for problem in problems) / len(problems)
