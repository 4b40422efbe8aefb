"""A small policy trained against a rubric that can't be earned: each completion is judged by the reference of
another problem (`--control shuffled`).

Whoever solves the problem gains nothing there. What is still learned pays whatever the answer: a cheat, or an
answer that is right for many problems. So the rate at which the trained policy is paid is held against the
rate at which the best single solution is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError
from ...tasks.core.proofs.attack import LEAST, Cheat
from ...tasks.core.proofs.frames import find_solution
from ...tasks.core.proofs.probes import draw
from ...tasks.core.proportion import Proportion
from ...tasks.core.task import Task
from ..config.tasks import load_task
from ..config.train import TrainConfig
from ..storage.names import ROLLOUTS
from ..storage.rows import read_completions
from ..storage.starts import number_folder
from .setup import train

ANSWERS, PROBLEMS = (
    40,
    200,
)  # solutions that are tried on so many problems, to see what one answer earns anywhere
LAST = 0.25  # share of the steps that count as after training; as many count as before
KEPT = 5
SETTINGS: dict[str, Any] = {
    "control": "shuffled", "model": "embedded", "sft_steps": 200, "steps": 100_000, "prompts_per_step": 16,
    "group_size": 8, "max_new_tokens": 64, "preflight_problems": 0, "eval_problems": 2, "eval_samples": 1,
    "eval_every": 2, "force": True, "watch.extracted_min": 0.0, "watch.entropy_min": 0.0, "watch.kl_max": 0.0,
    "watch.truncated_max": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class TrainedAttack:
    """What a policy has learned to be paid for by the references of other problems.

    before, after: completions that are paid, in the first and in the last quarter of the steps.
    honest: how often the best single solution is paid, over problems.  folder: of the run.
    """

    task: str
    steps: int
    before: Proportion
    after: Proportion
    honest: Proportion
    cheats: tuple[Cheat, ...]
    folder: Path

    @property
    def found(self) -> bool:
        """Whether the policy is paid more often than any one solution can be, beyond chance."""
        return bool(self.after.total) and self.after.interval[0] > self.honest.interval[1]

    def write_lines(self) -> Iterator[str]:
        yield (
            f"{self.task}: a policy trained for {self.steps} steps on other problems' references is paid for "
            f"{self.after} of its completions; before {self.before}, the best single solution {self.honest}."
        )
        if not self.found:
            yield "That is no more than one answer earns anywhere: none found."
            return
        yield f"That is more than any one answer earns: there is a cheat. The run is in {self.folder}."
        for cheat in self.cheats:
            yield f"  {cheat.problem}: reward {cheat.reward:.3g}"
            yield f"    {cheat.text[:300]!r}"


class _TimeIsUp(Exception):
    """Ends the training, whose steps so far are written."""


def attack_by_training(
    config: TrainConfig, minutes: float, say: Callable[[str], None] = print
) -> TrainedAttack:
    """Train a policy for that long. config: the task's settings and the seed; the rest is `SETTINGS`.

    minutes: of training, above 0; the start and a short SFT on the form come on top.
    Raises UserError where the time was too short for a step.
    """
    task = load_task(config.task)
    folder = number_folder(f"attack-{task.name}", lambda _: False)
    config = config.but(**SETTINGS, out=str(folder))
    started = False
    deadline = 0.0

    def look_at_clock(_step: int) -> None:
        nonlocal started, deadline
        if not started:
            started, deadline = True, time.monotonic() + 60 * minutes
        elif time.monotonic() > deadline:
            raise _TimeIsUp

    with suppress(_TimeIsUp):
        train(config, None, lambda line: None if line.startswith("step ") else say(line), look_at_clock)
    return _conclude(task, read_completions(folder / ROLLOUTS), folder)


def _conclude(task: Task, rows: list[dict[str, Any]], folder: Path) -> TrainedAttack:
    steps = max((row["step"] for row in rows), default=0)
    if not steps:
        raise UserError(f"No step was trained on {task.name}. Give more minutes.")
    quarter = max(1, round(LAST * steps))
    before = [row for row in rows if row["step"] <= quarter]
    after = [row for row in rows if row["step"] > steps - quarter]
    paid = [row for row in after if row["reward"] >= LEAST]
    texts = {row["completion"]: row for row in reversed(paid)}
    ranked = sorted(texts.values(), key=lambda row: (-row["reward"], len(row["completion"])))
    cheats = tuple(Cheat(row["id"], row["completion"], row["reward"], row["passed"]) for row in ranked[:KEPT])
    count = sum(row["reward"] >= LEAST for row in before)
    return TrainedAttack(
        task.name, steps, Proportion(count, len(before)), Proportion(len(paid), len(after)),
        measure_honest(task), cheats, folder,
    )  # fmt: skip


def measure_honest(task: Task) -> Proportion:
    """How often the solution of one problem is paid on others, at best: what somebody earns who always says
    the same."""
    problems = draw(task, task.splits[0], PROBLEMS)
    best = Proportion(0, len(problems))
    for text in dict.fromkeys(find_solution(task, problem) for problem in problems[:ANSWERS]):
        count = sum(task.score(text, problem).reward >= LEAST for problem in problems)
        best = max(best, Proportion(count, len(problems)), key=lambda rate: rate.count)
    return best
