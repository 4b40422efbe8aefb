"""Settings of the loss and the advantages that make no sense together are refused. Imports no torch."""

from __future__ import annotations

from dataclasses import fields

from ..config.objective import AdvantageConfig, LossConfig
from ..config.presets import ObjectiveConfig, find_preset
from ..config.train import RolloutConfig
from .kinds import KINDS, LossKind, choose_aggregate, find_kind

_DEFAULTS = {field.name: field.default for field in fields(LossConfig)}


def check(
    loss: LossConfig,
    advantages: AdvantageConfig,
    updates_per_batch: int = 1,
    group_size: int = 2,
) -> None:
    """Raise ValueError, with a sentence that names the fix, where the settings make no sense together.

    updates_per_batch: optimizer steps on one batch of rollouts. group_size: completions per prompt. Raises
    UserError for a kind that does not exist.
    """
    _check_advantages(advantages, group_size)
    kind = find_kind(loss.kind)
    _check_loss(loss, kind)
    _check_kl(loss, advantages)
    _check_correction(loss)
    _check_entropy(loss)
    if not kind.off_policy and updates_per_batch > 1:
        raise ValueError(
            f"kind={loss.kind!r} has no ratio to correct for the {updates_per_batch} updates of a batch: "
            "from the second on its gradient is that of another policy. Use updates_per_batch=1, or a kind "
            "with a ratio (dapo, cispo)."
        )
    if kind.per_sequence and advantages.turns != "whole":
        raise ValueError(
            f"turns={advantages.turns!r} gives each turn an advantage of its own, and {kind.name} is one "
            "number per sequence. Use another kind, such as dapo, or turns='whole'."
        )
    kind.check(loss, advantages)


def check_rollouts(objective: ObjectiveConfig, rollouts: RolloutConfig) -> None:
    """Raise ValueError where the objective asks for more than a step's rollouts have."""
    rows = rollouts.prompts_per_step * rollouts.group_size
    if objective.minibatches > rows:
        raise ValueError(
            f"--minibatches {objective.minibatches} is more than a step's {rows} completions "
            f"(--prompts-per-step {rollouts.prompts_per_step} x --group-size {rollouts.group_size}): give at "
            "most that many, or sample more."
        )
    if objective.overlong_cache > rollouts.max_new_tokens:
        raise ValueError(
            f"--overlong-cache {objective.overlong_cache} is more than --max-new-tokens "
            f"{rollouts.max_new_tokens}, over the last of which its penalty grows: give at most that many "
            "(DAPO takes a fifth), or raise the limit."
        )


def warn_of_idle_ratio(objective: ObjectiveConfig) -> str:
    """A sentence where the clip, cap or gate of a preset can't act, since one step on a batch knows no other
    ratio than 1; "" where it can, or without a preset."""
    if not objective.preset or objective.updates > 1 or not find_kind(objective.loss.kind).off_policy:
        return ""
    preset = find_preset(objective.preset)
    paper = "as its paper does" if preset.updates == 1 else f"its paper {preset.updates}"
    return (
        f"Warning: preset {preset.name} takes one optimizer step on a batch here, {paper}. So every ratio is "
        "1 but for rounding, and what bounds the ratio (clip, cap or gate) can't act: "
        f"--minibatches {preset.updates if preset.updates > 1 else 'N'} takes more."
    )


def _check_advantages(advantages: AdvantageConfig, group_size: int) -> None:
    if group_size == 1 and advantages.needs_group:
        raise ValueError(
            f"A group of one completion has nothing to be compared with (baseline={advantages.baseline!r}, "
            f"scale={advantages.scale!r}). Sample 2 or more per prompt, or use baseline='none' without "
            "scale='group'."
        )
    if advantages.baseline == "none" and advantages.scale != "none":
        raise ValueError(
            f"scale={advantages.scale!r} without a baseline divides rewards that are not centred: equal "
            "rewards would get huge advantages. Use baseline='mean' or 'leave_one_out', or normalise_batch "
            "with scale='none'."
        )
    apart = advantages.aggregation == "normalise_then_sum"
    if apart and advantages.scale == "none":
        raise ValueError(
            "aggregation='normalise_then_sum' normalises each criterion, which scale='none' leaves out: the "
            "sum would be that of the rewards. Use scale='group' (GDPO) or 'batch'."
        )
    if advantages.over == "task" and advantages.scale != "batch" and not advantages.normalise_batch:
        raise ValueError(
            "over='task' would have no effect: only scale='batch' and normalise_batch go over several groups."
        )
    if advantages.normalise_batch and advantages.scale != "none" and not apart:
        raise ValueError(
            f"normalise_batch divides a second time after scale={advantages.scale!r}; use scale='none'."
        )
    _check_turns(advantages)


def _check_turns(advantages: AdvantageConfig) -> None:
    turns = advantages.turns
    if turns == "whole" and advantages.turn_gamma != 1:
        raise ValueError(
            f"turn_gamma={advantages.turn_gamma:g} would have no effect: turns='whole' gives each turn the "
            "advantage of the whole. Use turns='returns', 'mt_grpo' or 'gigpo', or leave it at 1."
        )
    if turns != "gigpo" and advantages.turn_weight != 1:
        raise ValueError(
            f"turn_weight={advantages.turn_weight:g} would have no effect: turns='gigpo' alone reads it. "
            "Leave it at 1."
        )
    if turns in ("mt_grpo", "gigpo") and advantages.baseline == "none":
        raise ValueError(
            f"turns={turns!r} compares turns with each other, and baseline='none' compares nothing. Use "
            "turns='returns', or baseline='mean' or 'leave_one_out'."
        )
    if turns != "whole" and advantages.aggregation == "normalise_then_sum":
        raise ValueError(
            f"aggregation='normalise_then_sum' compares each criterion of whole completions by itself, and "
            f"turns={turns!r} compares turns. Use sum_then_normalise."
        )


def _check_loss(loss: LossConfig, kind: LossKind) -> None:
    _check_reads(loss, kind)
    for name in ("dual_clip", "delta"):
        bound = getattr(loss, name)
        if bound != 0 and not bound > 1 + loss.clip_high:
            raise ValueError(
                f"{name}={bound} is a ratio, not an offset, and must lie above 1 + clip_high = "
                f"{1 + loss.clip_high:g}."
            )
    if not loss.cov_low < loss.cov_high:
        raise ValueError(f"cov_low={loss.cov_low:g} must lie below cov_high={loss.cov_high:g}.")
    if loss.dual_clip and loss.delta:
        raise ValueError("dual_clip and delta both bound the ratio at negative advantages; set only one.")
    if kind.per_sequence and choose_aggregate(loss) != "sequence_mean":
        raise ValueError(
            f"{kind.name} is one number per sequence; aggregate={loss.aggregate!r} must be 'sequence_mean'."
        )


def _check_reads(loss: LossConfig, kind: LossKind) -> None:
    """A changed setting that the kind does not read would have no effect."""
    for name in dict.fromkeys(name for entry in KINDS.values() for name in entry.reads):
        if name not in kind.reads and getattr(loss, name) != _DEFAULTS[name]:
            readers = sorted(entry.name for entry in KINDS.values() if name in entry.reads)
            raise ValueError(
                f"{name}={getattr(loss, name)} would have no effect: kind={loss.kind!r} does not read it "
                f"({', '.join(readers)} would). Leave it at {_DEFAULTS[name]}."
            )


def _check_kl(loss: LossConfig, advantages: AdvantageConfig) -> None:
    in_loss = loss.kl_coef > 0 and loss.kl_in == "loss"
    if in_loss and loss.kl_estimator == "k1" and not loss.kl_correction:
        raise ValueError(
            "k1 in the loss does nothing: its gradient has expectation zero under the policy. "
            "Use kl_estimator='k2' or 'k3', kl_correction, or kl_in='reward'."
        )
    if loss.kl_correction and not in_loss:
        raise ValueError(
            "kl_correction would have no effect: it multiplies the KL in the loss, and there is none. "
            "Set kl_coef and kl_in='loss', or leave it out."
        )
    if loss.kl_correction and loss.kl_estimator == "k2":
        raise ValueError(
            "kl_correction makes an unbiased estimate of the KL one off-policy too, and k2 is none. "
            "Use kl_estimator='k3'."
        )
    if loss.kl_coef > 0 and loss.kl_in == "tokens" and advantages.scale != "none":
        raise ValueError(
            f"scale={advantages.scale!r} divides the reward alone, not the KL that kl_in='tokens' takes from "
            "the tokens afterwards. Use scale='none', with normalise_batch to divide both."
        )
    if loss.kl_coef > 0 and loss.kl_in != "loss" and advantages.aggregation == "normalise_then_sum":
        raise ValueError(
            f"aggregation='normalise_then_sum' compares each criterion by itself, and the KL that "
            f"kl_in={loss.kl_in!r} takes off is of none. Use kl_in='loss'."
        )


def _check_correction(loss: LossConfig) -> None:
    for name in ("correction_cap", "correction_floor"):
        if not loss.corrects and getattr(loss, name) != _DEFAULTS[name]:
            raise ValueError(
                f"{name}={getattr(loss, name)} would have no effect: correction is 'none'. Choose one, such "
                "as token_truncate, or leave it out."
            )


def _check_entropy(loss: LossConfig) -> None:
    if not loss.entropy_target and loss.entropy_step != _DEFAULTS["entropy_step"]:
        raise ValueError(
            f"entropy_step={loss.entropy_step:g} would have no effect: without entropy_target the weight of "
            "the bonus is fixed. Set one, in nats per token."
        )
    if loss.entropy_target and loss.entropy_coef < 0:
        raise ValueError(
            f"entropy_coef={loss.entropy_coef:g} is the weight that an adaptive bonus starts from; it is "
            "never negative. Give 0 or more, or leave out entropy_target."
        )
