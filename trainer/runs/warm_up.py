"""The SFT of a fresh model before its reinforcement learning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...tasks import Task
from ..config.paths import list_code, list_data
from ..config.sft import SFTConfig
from ..config.train import TrainConfig
from ..distributed.world import find_world
from ..model.policy import Policy
from ..model.prompts import PromptFormat
from ..sft.fit import draw_training_problems, encode_demonstrations, fit
from ..storage.atomic import write_folder
from ..storage.folders import WARM_UP, gather_facts, open_new
from ..storage.interrupts import Interrupts
from .state import RunResult


def warm_up(policy: Policy, prompts: PromptFormat, task: Task, config: TrainConfig, stop: Interrupts) -> None:
    """SFT of a fresh model on the task's demonstrations: reinforcement needs a pass-rate that is not zero."""
    if not config.sft_steps:
        return
    longest = config.rollouts.max_prompt_tokens + config.rollouts.max_new_tokens
    settings = SFTConfig.of(seed=config.seed, steps=config.sft_steps, max_tokens=longest)
    problems = draw_training_problems(
        task, settings.imitation.demonstrations, config.seed, config.task.single_level
    )
    demonstrations = encode_demonstrations(prompts, task, problems, config.seed, longest)
    fit(policy, task, demonstrations, settings, stop)


def save_warm_up(
    policy: Policy, config: TrainConfig, path: Path, stopped: str, command: str, say: Callable[[str], None]
) -> RunResult:
    """Keep the model of a warm-up that was stopped, and what it was made by. Of several processes, which have
    the same model, one writes."""
    if find_world().writes:
        open_new(path, config, gather_facts(command, path, list_code(config), list_data(config)), ())
        write_folder(path / WARM_UP, policy.save)
    say(
        f"Stopped by {stopped} during the SFT warm-up; the model so far is in {path / WARM_UP}. The same "
        "command starts the run again, and puts that model aside."
    )
    return RunResult(path, path / WARM_UP, interrupted=True)
