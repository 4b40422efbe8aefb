"""The main job in a few minutes: a model from nothing, SFT on mixed habits,
then GRPO from the verifiable reward.

What reinforcement learning shows here is the discovery of the strategy that pays: the demonstrations mix
worked additions (40 %) with lazy guesses, both habits stay after SFT,
and the reward makes the model think every time.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ...tasks import Problem, Task
from ...tasks.core import registry
from ..config.sft import SFTConfig
from ..config.train import TrainConfig
from ..engines.base import Sampling
from ..model.policy import Policy, load_policy
from ..model.prompts import PromptFormat, decode
from ..model.threads import choose_threads
from ..reports import curves
from ..runs.setup import train
from ..runs.state import Evaluations, RunResult
from ..sft.fit import Demonstration, draw_training_problems, encode_demonstrations, fit
from ..storage.atomic import write_folder
from ..storage.interrupts import Interrupts
from ..terminal import say
from .arms import Arm, keep_results, make_rollouts, measure, read_arm
from .settings import DemoConfig, clear_folder


def run_addition(config: DemoConfig) -> int:
    """Run the demo; returns the exit code."""
    start = time.perf_counter()
    folder = clear_folder(config.out)
    task = registry.get("addition")
    policy = load_policy("embedded", seed=config.seed)
    threads = choose_threads(policy, config.threads)
    print(
        f"A transformer of {policy.parameters:,} parameters, fresh, on {policy.device} ({threads} thread(s))."
    )
    print("1. SFT on 20,000 demonstrations: 40 % work the columns, 60 % are lazy guesses.")
    settings = SFTConfig.of(seed=config.seed, steps=config.sft_steps)
    problems = draw_training_problems(task, settings.imitation.demonstrations, config.seed, None)
    data = encode_demonstrations(
        PromptFormat.of(policy.tokenizer), task, problems, config.seed, settings.imitation.max_tokens
    )
    with Interrupts() as stop:
        warm = fit(policy, task, data, settings, stop)
        if stop.requested:
            write_folder(folder / "sft", policy.save)
            print(f"Stopped during SFT; the model so far is in {folder / 'sft'}.")
            return 130
    write_folder(folder / "sft", policy.save)
    before = replace(policy, model=copy.deepcopy(policy.model))
    print(
        f"2. GRPO, {config.steps} steps, rewarded by the verifier alone: right answer in the right form 1, "
        "else 0."
    )
    result = train(make_train_config(config, folder / "grpo"), policy)
    if result.interrupted:
        return 130
    first, last = result.evaluations[0], result.evaluations[-1]
    rows = [Arm("after SFT", first.greedy, first.sampled, warm.seconds), read_arm("then GRPO", result)]
    if config.controls:
        print("3. The controls: the same start and about the same time, without reinforcement learning.")
        passed = keep_verified(task, problems, data, policy)
        rows.append(run_control("then plain SFT", before, task, data, config, last))
        rows.append(run_control("then SFT on verified", before, task, passed, config, last))
    report(config, task, result, rows)
    print(f"\nAll of it took {time.perf_counter() - start:.0f} s.")
    return 0


def make_train_config(config: DemoConfig, out: Path) -> TrainConfig:
    """GRPO on `addition` as it was tuned for the embedded model."""
    return TrainConfig.of(
        task="addition",
        out=str(out),
        seed=config.seed,
        steps=config.steps,
        max_new_tokens=48,
        learning_rate=5e-4,
        eval_every=50,
        eval_problems=config.eval_problems,
        eval_samples=8,
        save_every=50,
        threads=config.threads,
    )


def keep_verified(
    task: Task, problems: Sequence[Problem], data: Sequence[Demonstration], policy: Policy
) -> list[Demonstration]:
    """The demonstrations that the verifier passes (rejection sampling from the demonstrator)."""
    texts = [decode(policy.tokenizer, d.completion[:-1]) for d in data]
    return [
        d for d, text, problem in zip(data, texts, problems, strict=True) if task.score(text, problem).passed
    ]


def run_control(
    name: str, start: Policy, task: Task, data: Sequence[Demonstration], config: DemoConfig, like: Evaluations
) -> Arm:
    """SFT from the same start, evaluated on the same problems."""
    policy = replace(start, model=copy.deepcopy(start.model))
    settings = SFTConfig.of(seed=config.seed + 1, steps=config.control_steps, learning_rate=1e-3)
    result = fit(policy, task, data, settings)
    rollouts = make_rollouts(policy, task)
    held_out = [group.problem for group in like.greedy.groups]
    sampling = Sampling(max_new_tokens=48)
    arm = measure(name, rollouts, held_out, like.sampled.samples, sampling, result.seconds)
    rollouts.close()
    return arm


def report(config: DemoConfig, task: Task, result: RunResult, rows: Sequence[Arm]) -> None:
    """What happened, for a person; the same numbers go to summary.json."""
    first, last = result.evaluations[0], result.evaluations[-1]
    count = first.greedy.problems
    print(f"\nHeld-out pass@1 on {count} problems, with 95 % intervals\n")
    print(f"{'':22}{'greedy':>22}{'sampled':>22}{'tokens':>9}{'seconds':>9}")
    for row in rows:
        print(
            f"{row.name:22}{row.greedy.pass_at[1]!s:>22}{row.sampled.pass_at[1]!s:>22}"
            f"{row.sampled.tokens:>9.1f}{row.seconds:>9.0f}"
        )
    print(
        f"\npass@8 after SFT was {first.sampled.pass_at[8]}: the right strategy was there, GRPO made it the "
        "habit."
    )
    if len(rows) > 2:
        print(
            "SFT on verified demonstrations finds it too, where a demonstrator shows it; plain SFT keeps "
            "the mixture."
        )
    lines = result.metrics()
    print()
    print(curves.draw_text_curve([line["reward"] for line in lines], "reward over the steps", low=0.0))
    print(curves.draw_text_curve([line["tokens"] for line in lines], "tokens per completion"))
    print("\nThree held-out problems, greedy:")
    for old, new in list(zip(first.greedy.groups, last.greedy.groups, strict=True))[:3]:
        for label, group in (("before", old), ("after", new)):
            mark = "right" if group.scores_G[0].passed else "wrong"
            say(f"  {label:7}{group.problem.text}{group.completions_G[0].text}  ({mark})")
    summary = {"config": asdict(config), **{row.name: row.summarise() for row in rows}}
    model = keep_results(Path(config.out), result, summary)
    print(f"Next: palaestra eval --task {task.name} --model {model} --samples 8 --temperature 1")
