"""Go on with a run of any command that trains, from its newest checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError
from ..config.parse import name_flag
from ..config.reward_model import RewardModelConfig
from ..config.settings import SettingError, change, list_settings, read_changes
from ..config.sft import SFTConfig
from ..config.shared import RunConfig
from ..config.train import TrainConfig
from ..reward_models import run as reward_models
from ..sft import run as sft
from ..storage import checkpoint
from ..storage.folders import RunFolder, open_existing
from ..supervised.run import FitOutcome
from . import setup
from .state import RunResult

Outcome = RunResult | FitOutcome
Say = Callable[[str], None]
SHARED = {
    "seed",
    "task",
    "option",
    "data",
    "prompt",
    "answer",
    "verify",
    "choices",
    "solution",
    "split",
    "test_share",
    "bad_rows",
    "level",
    "model",
    "system",
    "instruction",
    "prompt_template",
    "chat_template_kwargs",
    "dtype",
    "threads",
    "beta2",
    "weight_decay",
    "out",
}


@dataclass(frozen=True)
class Resumable:
    """How a command goes on. fixed: short names of the settings that its checkpoints depend on."""

    kind: type[RunConfig]
    go_on: Callable[..., Outcome]
    fixed: frozenset[str]


COMMANDS = {
    setup.COMMAND: Resumable(
        TrainConfig,
        setup.resume_training,
        frozenset(
            SHARED
            | {"sft_steps", "algorithm", "preset", "ppo.critic", "ppo.critic_model"}
            | {"lora_rank", "lora_alpha", "lora_targets"}
            | {"reward_model", "reward_model_share", "control", "allow_weak_sandbox"}
        ),
    ),
    sft.COMMAND: Resumable(
        SFTConfig,
        sft.resume_sft,
        frozenset(SHARED | {"pairs", "eval_share", "demonstrations", "max_tokens", "eval_problems"}),
    ),
    reward_models.COMMAND: Resumable(
        RewardModelConfig,
        reward_models.resume_reward_model,
        frozenset(SHARED | {"eval_data", "eval_share", "max_tokens"}),
    ),
}


def resume(path: Path, changes: Mapping[str, Any], say: Say = print) -> Outcome:
    """As if the run had never stopped, but for what is changed. changes: settings of the run's command by
    their short or full names, such as `steps` in all, `stop_after`, `learning_rate`.

    Raises UserError when `path` is no run, for a setting that can't change in a run that has begun, and for
    steps that are done already.
    """
    command = find_command(path)
    folder = open_existing(path)
    before = folder.read_config(command.kind)
    config = change_config(path, command, before, changes, say)
    _check_steps(folder, config, changes)
    if isinstance(config, TrainConfig) and isinstance(before, TrainConfig):
        setup.check_reference(before, config)
    return command.go_on(path, config, say)


def find_command(path: Path) -> Resumable:
    """The command that began a run. Raises UserError when `path` is no run that can go on."""
    command = open_existing(path).read_facts()["command"]
    if command not in COMMANDS:
        raise UserError(f"{path} is a run of `palaestra {command}`, which can't be resumed.")
    return COMMANDS[command]


def change_config(
    path: Path, command: Resumable, before: RunConfig, changes: Mapping[str, Any], say: Say
) -> RunConfig:
    """The settings with the changes put in, each said. Raises SettingError for one that can't change."""
    config = change(before, read_changes(command.kind, {"stop_after": 0, **changes}, "resume"))
    for setting in list_settings(command.kind):
        old, new = setting.value(before), setting.value(config)
        if old == new or setting.name == "stop_after":
            continue
        if setting.name in command.fixed:
            raise SettingError(
                f"{name_flag(setting)} can't change in a run that has begun (it is {old!r}). Start a new run "
                f"with it: --config {path / 'config.json'} and another --out."
            )
        say(f"Changed: {name_flag(setting)} from {old} to {new}.")
    return config


def _check_steps(folder: RunFolder, config: RunConfig, changes: Mapping[str, Any]) -> None:
    """Refuse to go on to steps that are done: the model would be written anew from another schedule."""
    newest = folder.find_newest_checkpoint()
    done = checkpoint.parse_step(newest)
    if config.steps > done:
        return
    if "steps" in changes:
        raise UserError(
            f"{folder.path} has done {done} steps. --steps counts all of them: give more than {done}."
        )
    written = newest.stat().st_mtime
    last_files = [folder.path / name for name in ("summary.json", "curves.png")]
    if any(path.is_file() and path.stat().st_mtime >= written for path in last_files):
        raise UserError(
            f"{folder.path} has done all of its {done} steps; its model is {folder.model}. Give --steps "
            f"above {done} to go on."
        )
