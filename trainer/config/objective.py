"""What is optimised, as plain settings: the advantage and the policy loss. Imports no torch, so that `--help` is quick.

The functions that these settings steer are `advantages.group_advantages` and `losses.policy_loss`. The docstring under
a field is its command-line help.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal


@dataclass(frozen=True)
class KLControlConfig:
    """How the coefficient of the KL penalty in the reward moves."""

    kl_coef: float = 0.05
    """The coefficient at the start, in reward per nat; 0 switches the penalty off."""
    target_kl: float | None = None
    """KL of a whole completion to the reference that the coefficient is steered to, in nats; none: it stays fixed."""
    horizon: int = 10_000
    """Completions after which a lasting error of 20 % has moved the coefficient by about 20 %."""


Kind = Literal["grpo", "dapo", "dr_grpo", "bnpo", "gspo", "cispo", "sapo", "gmpo", "reinforce"]
Aggregate = Literal["sequence_mean", "token_mean", "constant", "sequence_sum"]

AGGREGATES: dict[Kind, Aggregate] = {
    "grpo": "sequence_mean",
    "dapo": "token_mean",
    "dr_grpo": "constant",
    "bnpo": "token_mean",
    "gspo": "sequence_mean",
    "cispo": "token_mean",
    "sapo": "sequence_mean",
    "gmpo": "sequence_mean",
    "reinforce": "sequence_sum",
}
"""How the losses of tokens become one number where the settings do not say."""

CLIPPED = frozenset({"grpo", "dapo", "dr_grpo", "bnpo", "gspo"})
"""The kinds with PPO's clipped ratio."""

READ_BY: dict[str, frozenset[str]] = {
    "clip_low": CLIPPED,
    "clip_high": CLIPPED,
    "dual_clip": CLIPPED,
    "delta": CLIPPED,
    "ratio_cap": frozenset({"cispo"}),
    "log_clip": frozenset({"gmpo"}),
    "tau_positive": frozenset({"sapo"}),
    "tau_negative": frozenset({"sapo"}),
}
"""The settings that only some kinds read; a changed setting that the kind does not read is an error."""


@dataclass(frozen=True)
class AdvantageConfig:
    """How rewards become advantages."""

    baseline: Literal["mean", "leave_one_out", "none"] = "mean"
    """What is subtracted from a reward: the mean of its group, the mean of the others in its group, or nothing."""
    scale: Literal["group", "batch", "none"] = "none"
    """What the difference is divided by: the standard deviation of the group's rewards, of the batch's, or nothing."""
    normalise_batch: bool = False
    """At the end subtract the batch's mean advantage and divide by its standard deviation (REINFORCE++)."""
    ddof: Literal[0, 1] = 1
    """Standard deviations divide by n - ddof: 0 for that of the sample itself, 1 for the unbiased variance."""
    epsilon: float = 1e-4
    """Added to a standard deviation before dividing by it; in the unit of the reward."""

    @property
    def needs_group(self) -> bool:
        """True where a completion is compared with others of the same prompt."""
        return self.baseline != "none" or self.scale == "group"


@dataclass(frozen=True)
class LossConfig:
    """The policy loss. The ratio r is the probability of a token now over that at the time of sampling."""

    kind: Kind = "dapo"
    """The form of the loss; docs/losses.md has the formula of each."""
    clip_low: float = 0.2
    """The ratio is clipped below at 1 - clip_low; no unit, in (0, 1)."""
    clip_high: float = 0.28
    """The ratio is clipped above at 1 + clip_high; no unit, above 0."""
    dual_clip: float | None = None
    """For negative advantages the loss is at most dual_clip * |A|; a ratio, above 1 + clip_high; none: unbounded."""
    delta: float | None = None
    """Bound of the ratio in the unclipped term (two-sided clipping); a ratio, above 1 + clip_high; none: unbounded."""
    ratio_cap: float = 5.0
    """cispo: the importance weight is min(r, ratio_cap), an absolute ratio."""
    log_clip: float = 0.4
    """gmpo: each token's log-ratio is clipped to +-log_clip, in nats."""
    tau_positive: float = 1.0
    """sapo: temperature of the gate where the advantage is positive; no unit, above 0."""
    tau_negative: float = 1.05
    """sapo: temperature of the gate where the advantage is negative; no unit, above 0."""
    aggregate: Literal["default", "sequence_mean", "token_mean", "constant", "sequence_sum"] = "default"
    """How tokens are averaged: per sequence then over sequences, over all tokens of the batch, over sequences times the
    token budget, or summed per sequence then averaged; default: the one that the kind is defined with."""
    kl_coef: float = 0.0
    """Weight of the KL penalty to the reference model, in reward per nat; 0 switches it off."""
    kl_estimator: Literal["k1", "k2", "k3"] = "k3"
    """Estimator of the KL per token: k1 = log p - log q, k2 = k1^2 / 2, k3 = q/p - 1 + k1 (p the policy, q the
    reference)."""
    kl_in: Literal["loss", "reward"] = "loss"
    """Where the KL penalty stands: added to the loss, or taken from the reward before the advantage."""
    entropy_coef: float = 0.0
    """Weight of the entropy bonus, in reward per nat; 0 switches it off."""

    @property
    def aggregation(self) -> Aggregate:
        return AGGREGATES[self.kind] if self.aggregate == "default" else self.aggregate


@dataclass(frozen=True)
class ValueConfig:
    """The loss of PPO's value model."""

    kind: Literal["clipped", "squared", "huber"] = "clipped"
    """clipped: the value may move only clip away from that of the rollout; squared; huber: linear for large errors."""
    clip: float = 0.2
    """clipped: how far a value may move from that of the rollout, in the unit of the reward."""
    huber_delta: float = 1.0
    """huber: the error from which the loss is linear, in the unit of the reward."""

    def __post_init__(self) -> None:
        for name in ("clip", "huber_delta"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} of the value loss must be above 0.")


@dataclass(frozen=True)
class PreferenceConfig:
    """The loss of a reward model."""

    margin: float = 0.0
    """By how much the better answer's reward must exceed the other's before the pair counts as learned; reward."""
    centre_coef: float = 0.0
    """Weight of (sum of a pair's rewards)^2, which keeps rewards around 0; 0.01 is usual; 0 switches it off."""

    def __post_init__(self) -> None:
        if not (self.margin >= 0 and self.centre_coef >= 0):
            raise ValueError(f"margin={self.margin} and centre_coef={self.centre_coef} must be 0 or more.")


def check(loss: LossConfig, advantages: AdvantageConfig, updates_per_batch: int = 1, group_size: int = 2) -> None:
    """Raise ValueError, with a sentence that names the mend, where the settings make no sense together.

    updates_per_batch: optimizer steps on one batch of rollouts. group_size: completions per prompt.
    """
    if updates_per_batch < 1 or group_size < 1:
        raise ValueError(f"updates_per_batch={updates_per_batch} and group_size={group_size} must both be 1 or more.")
    _check_advantages(advantages, group_size)
    _check_loss(loss)
    _check_kl(loss)
    if loss.kind == "reinforce" and updates_per_batch > 1:
        raise ValueError(
            f"kind='reinforce' has no ratio to correct for the {updates_per_batch} updates of a batch: from the second "
            "on its gradient is that of another policy. Use updates_per_batch=1, or a kind with a ratio (dapo, cispo)."
        )
    if loss.kind == "dr_grpo" and advantages.scale != "none":
        raise ValueError(
            f"kind='dr_grpo' is defined without a standard deviation, but scale={advantages.scale!r}. "
            "Use scale='none', or kind='dapo' with aggregate='constant' to study the difference."
        )


def _check_advantages(advantages: AdvantageConfig, group_size: int) -> None:
    if group_size == 1 and advantages.needs_group:
        raise ValueError(
            f"A group of one completion has nothing to be compared with (baseline={advantages.baseline!r}, "
            f"scale={advantages.scale!r}). Sample 2 or more per prompt, or use baseline='none' without scale='group'."
        )
    if advantages.baseline == "none" and advantages.scale != "none":
        raise ValueError(
            f"scale={advantages.scale!r} without a baseline divides rewards that are not centred: equal rewards would "
            "get huge advantages. Use baseline='mean' or 'leave_one_out', or normalise_batch with scale='none'."
        )
    if advantages.normalise_batch and advantages.scale != "none":
        raise ValueError(f"normalise_batch divides a second time after scale={advantages.scale!r}; use scale='none'.")
    if not advantages.epsilon >= 0:
        raise ValueError(f"epsilon={advantages.epsilon} must be 0 or more; 1e-4 is usual.")


def _check_loss(loss: LossConfig) -> None:
    defaults = {field.name: field.default for field in fields(LossConfig)}
    for name, kinds in READ_BY.items():
        if loss.kind not in kinds and getattr(loss, name) != defaults[name]:
            raise ValueError(
                f"{name}={getattr(loss, name)} would have no effect: kind={loss.kind!r} does not read it "
                f"({', '.join(sorted(kinds))} would). Leave it at {defaults[name]}."
            )
    if loss.kind in CLIPPED and not (0 < loss.clip_low < 1 and loss.clip_high > 0):
        raise ValueError(
            f"clip_low={loss.clip_low}, clip_high={loss.clip_high}: the ratio is clipped to 1 - clip_low .. 1 + "
            "clip_high, so clip_low must lie in (0, 1) and clip_high above 0."
        )
    for name in ("dual_clip", "delta"):
        bound = getattr(loss, name)
        if bound is not None and not bound > 1 + loss.clip_high:
            raise ValueError(
                f"{name}={bound} is a ratio, not an offset, and must lie above 1 + clip_high = {1 + loss.clip_high:g}."
            )
    if loss.dual_clip is not None and loss.delta is not None:
        raise ValueError("dual_clip and delta bound the same thing, the ratio at negative advantages; set only one.")
    for name in ("ratio_cap", "log_clip", "tau_positive", "tau_negative"):
        if not getattr(loss, name) > 0:
            raise ValueError(f"{name}={getattr(loss, name)} must be above 0.")
    if loss.kind == "cispo" and loss.ratio_cap < 1:
        raise ValueError(f"ratio_cap={loss.ratio_cap} is a ratio, not an offset; below 1 it would damp every token.")
    if loss.kind == "gmpo" and loss.aggregation != "sequence_mean":
        raise ValueError(f"gmpo is one number per sequence; aggregate={loss.aggregate!r} must be 'sequence_mean'.")


def _check_kl(loss: LossConfig) -> None:
    if not loss.kl_coef >= 0:
        raise ValueError(f"kl_coef={loss.kl_coef} would reward leaving the reference model; give 0 or more.")
    if loss.kl_coef > 0 and loss.kl_in == "loss" and loss.kl_estimator == "k1":
        raise ValueError(
            "k1 in the loss does nothing: its gradient has expectation zero under the policy. "
            "Use kl_estimator='k2' or 'k3', or kl_in='reward'."
        )
