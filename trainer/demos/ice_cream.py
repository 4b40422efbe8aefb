"""The pipeline for what nothing can verify, on the smallest task: ranked answers -> reward model -> PPO,
and GRPO directly.

The policy goes on after "I like ice" with cream, hockey or donkey, each a third of the time. A person would
rank them in this order. The reward model sees the ranking alone, never the worth (10, 5, -10);
PPO sees the reward model alone.
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
from ...tasks.ice_cream import WORTH
from ..config.objective import KLControlConfig
from ..config.reward_model import RewardModelConfig
from ..config.sft import SFTConfig
from ..config.train import PPOConfig, TrainConfig
from ..model.logprobs import compute_logprobs
from ..model.policy import Policy, load_policy
from ..model.prompts import PromptFormat
from ..model.sequences import Sequences
from ..model.threads import choose_threads
from ..reports import curves
from ..reward_models.data import read_comparisons
from ..reward_models.fit import encode, fit_reward_model
from ..reward_models.model import RewardModel, make_reward_model
from ..runs.setup import train
from ..runs.state import RunResult
from ..sft.fit import encode_demonstrations, fit
from ..storage.atomic import write_folder
from ..storage.interrupts import Interrupts
from .settings import IceCreamConfig, clear_folder

REWARD_MODEL_COPIES = 8  # of the ranking in a step: one prompt is all the data there is


def run_ice_cream(config: IceCreamConfig) -> int:
    """Run the demo; returns the exit code."""
    began = time.perf_counter()
    folder = clear_folder(config.out)
    task = registry.get("ice_cream")
    policy = load_policy("embedded", seed=config.seed)
    threads = choose_threads(policy, config.threads)
    print(
        f"A transformer of {policy.parameters:,} parameters, fresh, on {policy.device} ({threads} thread(s))."
    )
    print('1. SFT: after "I like ice" come cream, hockey and donkey, each a third of the time.')
    settings = SFTConfig.of(seed=config.seed, steps=config.sft_steps)
    problems = task.problems("train")
    data = encode_demonstrations(
        PromptFormat.of(policy.tokenizer), task, problems, config.seed, settings.imitation.max_tokens
    )
    with Interrupts() as stop:
        fit(policy, task, data, settings, stop)
        if stop.requested:
            return 130
    write_folder(folder / "sft", policy.save)
    before = compute_probabilities(policy, problems[0], task)
    print("2. A reward model from one ranking, best first: cream, hockey, donkey.")
    judge = fit_to_ranking(policy, problems[0], config, folder)
    print(
        f"   {describe_rewards(judge, problems[0])} standard deviations; it was told the order, not the "
        "worth."
    )
    results: dict[str, RunResult] = {}
    after: dict[str, dict[str, float]] = {}
    for name, what in (
        ("ppo", "PPO, rewarded by the reward model"),
        ("grpo", "GRPO, rewarded by the worth itself"),
    ):
        print(f"{3 + len(results)}. {what}, {config.steps} steps.")
        start = replace(policy, model=copy.deepcopy(policy.model), source=str(folder / "sft"))
        results[name] = train(make_train_config(config, name, folder), start, say=lambda _line: None)
        if results[name].interrupted:
            return 130
        after[name] = compute_probabilities(start, problems[0], task)
    report(config, folder, before, after, results)
    print(f"\nAll of it took {time.perf_counter() - began:.0f} s. The models and curves: {folder}")
    return 0


def fit_to_ranking(policy: Policy, problem: Problem, config: IceCreamConfig, folder: Path) -> RewardModel:
    """A reward model fitted to the ranking, which is written to comparisons.jsonl first,
    as a person would give it."""
    path = folder / "comparisons.jsonl"
    row = {
        "prompt": problem.text,
        "answers": [f" {answer}" for answer in sorted(WORTH, key=lambda a: -WORTH[a])],
    }
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    fresh = make_reward_model(policy)
    data = encode(fresh, read_comparisons([path]).kept * REWARD_MODEL_COPIES, "", 64)
    settings = RewardModelConfig.of(
        seed=config.seed, steps=config.reward_model_steps, batch_size=REWARD_MODEL_COPIES, warmup_steps=5
    )
    fitted = fit_reward_model(fresh, data, settings)
    write_folder(folder / "reward_model", fitted.save)
    return fitted


def describe_rewards(judge: RewardModel, problem: Problem) -> str:
    """What the reward model gives each answer."""
    values = judge.predict_rewards([judge.encode(problem, f" {answer}") for answer in WORTH])
    return ", ".join(f"{a} {judge.normalise(value):+.2f}" for a, value in zip(WORTH, values, strict=True))


def make_train_config(config: IceCreamConfig, algorithm: str, folder: Path) -> TrainConfig:
    """The run of one algorithm. PPO's group is of one: its critic, not the group,
    says what was to be expected."""
    shared = TrainConfig.of(
        task="ice_cream",
        out=str(folder / algorithm),
        seed=config.seed,
        steps=config.steps,
        max_new_tokens=12,
        learning_rate=3e-4,
        eval_problems=16,
        eval_samples=8,
        eval_every=0,
        save_every=0,
        preflight_problems=0,
        threads=torch.get_num_threads(),
    )
    if algorithm == "grpo":
        return shared.but(prompts_per_step=8, group_size=8)
    ppo = PPOConfig(kl=KLControlConfig(kl_coef=0.05), missing_eos_penalty=1.0)
    judge = (str(folder / "reward_model"),)
    return shared.but(algorithm="ppo", prompts_per_step=64, group_size=1, ppo=ppo, reward_model=judge)


@torch.no_grad()
def compute_probabilities(policy: Policy, problem: Problem, task: Task) -> dict[str, float]:
    """The policy's exact probability of each answer, end token included; no sampling."""
    prompts = PromptFormat.of(policy.tokenizer)
    prompt = prompts.encode(problem, task.instruction)
    completions = [prompts.encode_completion(f" {answer}") for answer in WORTH]
    sequences = Sequences.of([prompt] * len(completions), completions, policy.device)
    policy.model.eval()
    with policy.autocast():
        logprobs_B = compute_logprobs(policy.model, sequences).logprobs_BT.sum(1)
    return dict(zip(WORTH, logprobs_B.exp().tolist(), strict=True))


def report(
    config: IceCreamConfig,
    folder: Path,
    before: dict[str, float],
    after: dict[str, dict[str, float]],
    results: dict[str, RunResult],
) -> None:
    """What happened, for a person; the same numbers go to summary.json."""
    names = {"ppo": "PPO, reward model", "grpo": "GRPO, worth itself"}
    print('\nProbability of each answer after "I like ice" (exact, not sampled)\n')
    print(f"{'':20}{_format_cells(list(WORTH))}")
    print(f"{'after SFT':20}{_format_cells([f'{before[answer]:.3f}' for answer in WORTH])}")
    for name, chances in after.items():
        print(f"{names[name]:20}{_format_cells([f'{chances[answer]:.3f}' for answer in WORTH])}")
    for name, result in results.items():
        shares = [line["pass_rate"] for line in curves.read_metrics(result.folder) if line["kind"] == "step"]
        print()
        print(curves.draw_text_curve(shares, f"{names[name]}: share of cream in the rollouts", low=0.0))
    summary = {"config": asdict(config), "before": before, "after": after}
    (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")


def _format_cells(texts: Sequence[str]) -> str:
    return "".join(f"{text:>10}" for text in texts)
