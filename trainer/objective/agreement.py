"""Whether the settings of a run agree with its algorithm: what it does not read, and what contradicts it.

Imports no torch, so that a mistake in the settings of a built-in algorithm is answered before that is loaded.
"""

from __future__ import annotations

from collections.abc import Set

from ...tasks.core.errors import UserError
from ..config.objective import AdvantageConfig
from ..config.presets import ObjectiveConfig
from ..config.settings import list_settings
from ..config.train import RolloutConfig, TrainConfig
from . import kl_control
from .checks import check, check_rollouts
from .kinds import find_kind

PPO_READS = frozenset({"ppo"})


def settle_correction(config: TrainConfig) -> TrainConfig:
    """The settings with the correction of the sampler that auto stands for: that of each token, truncated,
    for an engine with arithmetic of its own and where sampling may run ahead, and else none."""
    differs = config.engine.corrects or config.rollouts.staleness
    if config.objective.loss.correction != "auto" or not differs:
        return config
    return config.but(**{"loss.correction": "token_truncate"})


def check_agreement(config: TrainConfig, name: str, compares: bool, reads: Set[str]) -> None:
    """Raise UserError for settings that an algorithm does not read, or that contradict each other.

    name: of the algorithm.  compares: whether it compares the completions of a prompt with each other.
    reads: the groups of settings that it reads and others do not.
    """
    _refuse_unread(config, name, reads)
    objective = config.objective
    if not compares and (flags := list_comparing_flags(objective)):
        raise UserError(
            f"{name} does not compare the completions of a prompt: do without {' and '.join(flags)}, or use "
            "grpo."
        )
    if not compares and objective.loss.kl_coef and objective.loss.kl_in == "tokens":
        raise UserError(
            f"--loss.kl-in tokens would have no effect: {name} does not compare the completions of a prompt. "
            "Use --loss.kl-in reward or loss, or grpo."
        )
    # Without a comparison a group may be of one.
    advantages = objective.advantages if compares else AdvantageConfig(baseline="none")
    try:
        check(objective.loss, advantages, objective.updates, config.rollouts.group_size)
        check_rollouts(objective, config.rollouts)
    except ValueError as failure:
        raise UserError(str(failure)) from failure


def check_ppo(config: TrainConfig, name: str, reads: Set[str] = PPO_READS) -> None:
    """Raise UserError for settings that PPO, or what derives from it, can't take."""
    check_agreement(config, name, False, reads)
    if config.objective.loss.kl_coef:
        raise UserError(
            "PPO takes the KL from the reward of each token: set --ppo.kl.kl-coef, and leave "
            "--loss.kl-coef at 0."
        )
    if not find_kind(config.objective.loss.kind).clips_tokens:
        raise UserError(
            f"PPO clips the ratio of each token; --loss.kind {config.objective.loss.kind} does not. Use "
            "the default, dapo."
        )
    try:
        kl_control.start(config.ppo.kl)
    except ValueError as failure:
        raise UserError(f"--ppo.kl: {failure}") from failure
    if config.ppo.critic_warmup >= config.steps:
        raise UserError(
            f"--ppo.critic-warmup {config.ppo.critic_warmup} leaves no step of {config.steps} for the policy."
        )


def check_truncation(rollouts: RolloutConfig) -> None:
    """Raise UserError where sampling leaves one token to draw from: its log-probability is 0, and so is every
    gradient."""
    for flag, value, off in (
        ("--top-k", rollouts.top_k, "0 or 2 or more"),
        ("--min-p", rollouts.min_p, "less"),
    ):
        if value == 1:
            raise UserError(
                f"{flag} 1 leaves only the most likely token to draw from: all completions of a prompt are "
                f"the same, and nothing can be learned. Give {off}."
            )


def list_comparing_flags(objective: ObjectiveConfig) -> list[str]:
    """The flags by which an objective asks for a comparison within groups, those that were set themselves
    before the preset that brings the others."""
    plain = ObjectiveConfig()
    brought = plain.assign("preset", objective.preset)
    changed = [
        setting
        for setting in list_settings(ObjectiveConfig)
        if setting.path[0] in ("advantages", "resample") and setting.value(objective) != setting.value(plain)
    ]
    own = [setting for setting in changed if setting.value(objective) != setting.value(brought)]
    if changed and not own:
        return [f"--preset {objective.preset}"]
    return [f"--{setting.name.replace('_', '-')}" for setting in own]


def _refuse_unread(config: TrainConfig, name: str, reads: Set[str]) -> None:
    """Raise UserError for a changed setting of another algorithm: it would have no effect."""
    defaults = TrainConfig()
    for setting in list_settings(TrainConfig):
        group = setting.path[0]
        if group in reads or group not in TrainConfig.for_algorithms:
            continue
        value, default = setting.value(config), setting.value(defaults)
        if value != default:
            reader = TrainConfig.for_algorithms[group]
            raise UserError(
                f"--{setting.name.replace('_', '-')} {value} would have no effect: {name} does not read it, "
                f"--algorithm {reader} would. Leave it at {default!r}, or change the algorithm."
            )
