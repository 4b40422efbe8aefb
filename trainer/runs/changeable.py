"""Which settings a run that has begun may go on with: all but those that its checkpoints or its meaning
hang on.

Imports no torch, so that a wrong setting is answered at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError
from ..config.arguments import negate
from ..config.parse import name_flag
from ..config.reward_model import RewardModelConfig
from ..config.settings import Setting, SettingError, change, list_settings, read_changes
from ..config.sft import SFTConfig
from ..config.shared import RunConfig
from ..config.train import TrainConfig
from ..storage import checkpoint
from ..storage.folders import RunFolder, open_existing
from ..storage.names import CONFIG, CURVES, SUMMARY

Say = Callable[[str], None]

PROBLEMS = "its steps would be drawn from other problems than those before"
WEIGHTS = "its checkpoints hold the weights of another"
PROMPTS = "the model has learned from other prompts"
MEASURE = "its numbers before and after could not be compared"
REWARD = "what was learned so far was paid by another reward"
PLACE = "a run stays in its folder, which may be moved as a whole"

SHARED = {
    "seed": "everything random in its steps hangs on it",
    **dict.fromkeys(("task", "option", "data", "level", "prompt", "choices", "split"), PROBLEMS),
    **dict.fromkeys(("test_share", "bad_rows"), PROBLEMS),
    **dict.fromkeys(("answer", "verify", "solution"), REWARD),
    **dict.fromkeys(
        ("system", "instruction", "prompt_template", "chat_template_kwargs", "trajectories"), PROMPTS
    ),
    "model": WEIGHTS,
    "weights": "its checkpoints hold weights of the other type",
    "moments": "its checkpoints hold moments of the other kind",
    "out": PLACE,
}
TRAIN = {
    **SHARED,
    "arms": "arms begin together",
    "sft_steps": "the warm-up is over",
    "shard": "its checkpoints hold the optimizer in another form",
    "algorithm": "its checkpoints hold the state of another",
    "preset": "it changes many settings at once: change those that you mean",
    **dict.fromkeys(("ppo.critic", "ppo.critic_model", "lora_rank", "lora_alpha", "lora_targets"), WEIGHTS),
    **dict.fromkeys(("reward_model", "reward_model_share", "control", "criterion_weight"), REWARD),
    "allow_weak_sandbox": "programs are run on the terms of its start",
}
SFT = {
    **SHARED,
    **dict.fromkeys(("pairs", "eval_share", "demonstrations", "max_tokens"), PROBLEMS),
    "batch_size": PROBLEMS,
    "eval_problems": MEASURE,
}
REWARD_MODEL = {
    **SHARED,
    **dict.fromkeys(("eval_share", "max_tokens", "batch_size"), PROBLEMS),
    "eval_data": MEASURE,
}


@dataclass(frozen=True)
class Resumable:
    """How a command's run may change. fixed: short names of the settings that can't, each with the reason."""

    name: str
    kind: type[RunConfig]
    fixed: Mapping[str, str]


RESUMABLE = {
    command.name: command
    for command in (
        Resumable("train", TrainConfig, TRAIN),
        Resumable("sft", SFTConfig, SFT),
        Resumable("reward-model", RewardModelConfig, REWARD_MODEL),
    )
}


@dataclass(frozen=True)
class Changed:
    """A run as it was and as it is to go on."""

    folder: RunFolder
    command: Resumable
    before: RunConfig
    config: RunConfig


def find_command(path: Path) -> Resumable:
    """The command that began a run. Raises UserError when `path` is no run that can go on."""
    name = open_existing(path).read_facts()["command"]
    if name not in RESUMABLE:
        raise UserError(f"{path} is a run of `palaestra {name}`, which can't be resumed.")
    return RESUMABLE[name]


def change_run(path: Path, changes: Mapping[str, Any], say: Say) -> Changed:
    """A run with settings of its command changed, each of which is said. Loads nothing.

    Raises UserError when `path` is no run, for a setting that can't change, and for steps that are done.
    """
    command = find_command(path)
    folder = open_existing(path)
    before = folder.read_config(command.kind)
    config = _change_config(path, command, before, changes, say)
    _check_steps(folder, config, changes)
    return Changed(folder, command, before, config)


def _change_config(
    path: Path, command: Resumable, before: RunConfig, changes: Mapping[str, Any], say: Say
) -> RunConfig:
    """The settings with the changes put in, each said. Raises SettingError for one that can't change."""
    config = change(before, read_changes(command.kind, {"stop_after": 0, **changes}, "resume"))
    said = []
    for setting in list_settings(command.kind):
        old, new = setting.value(before), setting.value(config)
        if old == new or setting.name == "stop_after":
            continue
        if setting.name in command.fixed:
            again = ["palaestra", command.name, "--config", str(path / CONFIG), *_write_flags(setting, new)]
            raise SettingError(
                f"{name_flag(setting)} can't change in a run that has begun (it is {old!r}): "
                f"{command.fixed[setting.name]}. A new run with it: {shlex.join(again)} --out ANOTHER_FOLDER"
            )
        said.append(f"Changed: {name_flag(setting)} from {_show(old)} to {_show(new)}.")
    for line in said:
        say(line)
    return config


def _write_flags(setting: Setting, value: Any) -> list[str]:
    """A setting as it stands in a command line; the folder is asked for anyway."""
    if setting.name == "out":
        return []
    if isinstance(value, bool):
        return [name_flag(setting) if value else negate(name_flag(setting))]
    values = value if isinstance(value, tuple) else (value,)
    return [part for item in values for part in (name_flag(setting), str(item))]


def _show(value: Any) -> str:
    return " ".join(value) or "none" if isinstance(value, tuple) else "none" if value == "" else str(value)


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
    last_files = [folder.path / name for name in (SUMMARY, CURVES)]
    if any(path.is_file() and path.stat().st_mtime >= written for path in last_files):
        raise UserError(
            f"{folder.path} has done all of its {done} steps; its model is {folder.model}. Give --steps "
            f"above {done} to go on."
        )


def describe_fixed() -> str:
    """The settings that can't change, by their reasons, for the help."""
    reasons: dict[str, list[str]] = {}
    for command in RESUMABLE.values():
        for setting in list_settings(command.kind):
            if setting.name in command.fixed:
                flags = reasons.setdefault(command.fixed[setting.name], [])
                if name_flag(setting) not in flags:
                    flags.append(name_flag(setting))
    return "\n".join(f"  {' '.join(flags)}: {reason}" for reason, flags in reasons.items())
