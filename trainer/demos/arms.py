"""What the demos show at their end: one line for each model, measured on the same held-out problems, and a
folder with the model, its curves and the numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...tasks import Problem, Task
from ..engines.base import Sampling
from ..engines.local import LocalEngine
from ..evaluation.evaluate import Evaluation, evaluate
from ..model.policy import Policy
from ..model.prompts import PromptFormat
from ..rollouts.rollouts import Rollouts
from ..runs.state import RunResult


@dataclass(frozen=True)
class Arm:
    """One line of the table at the end. seconds: of training."""

    name: str
    greedy: Evaluation
    sampled: Evaluation
    seconds: float

    def summarise(self) -> dict[str, Any]:
        """For summary.json."""
        return {
            "greedy": self.greedy.summarise(),
            "sampled": self.sampled.summarise(),
            "seconds": self.seconds,
        }


def make_rollouts(policy: Policy, task: Task) -> Rollouts:
    return Rollouts(LocalEngine(policy), PromptFormat.of(policy.tokenizer), task, max_prompt_tokens=1024)


def measure(
    name: str,
    rollouts: Rollouts,
    problems: Sequence[Problem],
    samples: int,
    sampling: Sampling,
    seconds: float,
) -> Arm:
    """Greedy and sampled pass-rates of a model that no run has measured."""
    greedy = evaluate(rollouts, problems, 1, replace(sampling, temperature=0.0))
    return Arm(name, greedy, evaluate(rollouts, problems, samples, sampling), seconds)


def read_arm(name: str, result: RunResult) -> Arm:
    """A run's last measurement."""
    last = result.evaluations[-1]
    return Arm(name, last.greedy, last.sampled, sum_seconds(result))


def sum_seconds(result: RunResult) -> float:
    """Of all steps, measurements aside."""
    return sum(sum(line["seconds"].values()) for line in result.metrics())


def compute_rates(evaluation: Evaluation) -> list[float]:
    """Pass-rate of each problem."""
    return [
        sum(score.passed for score in group.scores_G) / len(group.scores_G) for group in evaluation.groups
    ]


def say_evaluations(line: str) -> None:
    """Of what a run says, what a newcomer wants to know."""
    if line.startswith("step "):
        print(f"   {line}")


def keep_results(folder: Path, result: RunResult, summary: Mapping[str, Any]) -> Path:
    """Put the run's model, its curves and summary.json into the demo's folder, and say where they are; the
    model's."""
    model = folder / "model"
    shutil.rmtree(model, ignore_errors=True)
    shutil.copytree(result.model, model)
    shutil.copyfile(result.folder / "curves.png", folder / "curves.png")
    (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    print(
        f"\nThe model: {model}    curves: {folder / 'curves.png'}    completions: "
        f"{result.folder}/rollouts.jsonl"
    )
    return model
