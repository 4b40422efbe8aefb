"""What is optimised, as plain settings: the advantage and the policy loss. Imports no torch,
so that `--help` is quick.

The functions that these settings steer are `advantages.compute_group_advantages` and
`losses.compute_policy_loss`; objective/checks.py says which make sense together.
The docstring under a field is its command-line help.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from .settings import Amount, Count, Name, Positive, Range, Settings, Share


@dataclass(frozen=True)
class KLControlConfig(Settings):
    """How the coefficient of the KL penalty in the reward moves."""

    prefixed: ClassVar[bool] = True

    kl_coef: Amount = 0.05
    """The coefficient at the start, in reward per nat; 0 switches the penalty off."""
    target_kl: Amount = 0.0
    """KL of a completion to the reference that the coefficient is steered to, in nats; 0: it is fixed."""
    horizon: Count = 10_000
    """Completions after which a lasting error of 20 % has moved the coefficient by about 20 %."""


Aggregate = Literal["sequence_mean", "token_mean", "constant", "sequence_sum"]


@dataclass(frozen=True)
class AdvantageConfig(Settings):
    """How rewards become advantages."""

    prefixed: ClassVar[bool] = True

    baseline: Literal["mean", "leave_one_out", "none"] = "mean"
    """What is subtracted from a reward: the mean of its group, the mean of the others in its group,
    or nothing."""
    scale: Literal["group", "batch", "none"] = "none"
    """What the difference is divided by: the standard deviation of the group's rewards, of the batch's,
    or nothing."""
    aggregation: Literal["sum_then_normalise", "normalise_then_sum"] = "sum_then_normalise"
    """Baseline and scale are of the rubric's reward, or of each criterion's value by itself, whose weighted
    sum is the advantage (GDPO)."""
    normalise_batch: bool = False
    """At the end subtract the batch's mean advantage and divide by its standard deviation (REINFORCE++);
    with kl_in tokens over tokens, else over completions."""
    over: Literal["batch", "task"] = "batch"
    """What scale=batch and normalise_batch go over: the whole batch, or in a mixture each task's completions
    by themselves."""
    ddof: Literal[0, 1] = 1
    """Standard deviations divide by n - ddof: 0 for that of the sample itself,
    1 for the unbiased variance."""
    epsilon: Amount = 1e-4
    """Added to a standard deviation before dividing by it; in the unit of the reward."""
    turns: Literal["whole", "returns", "mt_grpo", "gigpo"] = "whole"
    """Credit in episodes. whole: each turn has the advantage of the whole. returns: each turn has that of its
    reward to come among the group's turns of its number. mt_grpo: those of the turn rewards to come and of
    the rest (Zeng et al. 2025). gigpo: that of the whole, and of its reward to come among the group's turns
    that answer the same words of the world (Feng et al. 2025)."""
    turn_gamma: Share = 1.0
    """returns, mt_grpo and gigpo: discount per turn of what is still to come, 0 to 1; 0.95 in GiGPO's
    paper."""
    turn_weight: Amount = 1.0
    """gigpo: weight of a turn's own advantage beside that of the whole, 0 or more."""

    @property
    def needs_group(self) -> bool:
        """True where a completion is compared with others of the same prompt."""
        return self.baseline != "none" or self.scale == "group"


@dataclass(frozen=True)
class LossConfig(Settings):
    """The policy loss. The ratio r is the probability of a token now over that at the time of sampling.

    >>> import palaestra as pal
    >>> pal.TrainConfig.of(loss=pal.LossConfig("gspo", clip_low=3e-4, clip_high=4e-4)).objective.loss.kind
    'gspo'
    """

    prefixed: ClassVar[bool] = True

    kind: Name = "dapo"
    """The form of the loss: grpo, dapo, dr_grpo, bnpo, gspo, cispo, sapo, gmpo, clip_cov, kl_cov, reinforce
    (docs/losses.md has the formula of each), or your own as FILE.py, FILE.py:name or package.module:name (see
    examples/own_loss.py)."""
    clip_low: Annotated[float, Range(0, 1, open_low=True, open_high=True)] = 0.2
    """The ratio is clipped below at 1 - clip_low; no unit, in (0, 1)."""
    clip_high: Positive = 0.28
    """The ratio is clipped above at 1 + clip_high; no unit, above 0."""
    dual_clip: Amount = 0.0
    """For negative advantages the loss is at most dual_clip * |A|; above 1 + clip_high; 0: no bound."""
    delta: Amount = 0.0
    """Bound of the ratio in the unclipped term (two-sided clipping), above 1 + clip_high; 0: no bound."""
    ratio_cap: Annotated[float, Range(1)] = 5.0
    """cispo: the importance weight is min(r, ratio_cap), an absolute ratio."""
    log_clip: Positive = 0.4
    """gmpo: each token's log-ratio is clipped to +-log_clip, in nats."""
    tau_positive: Positive = 1.0
    """sapo: temperature of the gate where the advantage is positive; no unit, above 0."""
    tau_negative: Positive = 1.05
    """sapo: temperature of the gate where the advantage is negative; no unit, above 0."""
    clip_cov_share: Share = 2e-4
    """clip_cov: share of an optimizer step's tokens that is left out, one at least, drawn from those whose
    covariance of log-probability and advantage lies between cov_low and cov_high."""
    cov_low: float = 1.0
    """clip_cov: covariance above which a token may be left out; in nats times the unit of the advantage."""
    cov_high: float = 5.0
    """clip_cov: covariance below which a token may be left out; above cov_low."""
    kl_cov_share: Share = 2e-3
    """kl_cov: share of an optimizer step's tokens, those with the largest covariance and one at least, that
    is held back by a penalty."""
    kl_cov_coef: Amount = 1.0
    """kl_cov: weight of the penalty, the absolute log-ratio of the token, in reward per nat."""
    aggregate: Literal["auto", Aggregate] = "auto"
    """How tokens are averaged: per sequence then over sequences, over all tokens of the batch, over sequences
    times the token budget, or summed per sequence then averaged; auto: as the kind is defined."""
    kl_coef: Amount = 0.0
    """Weight of the KL penalty to the reference model, in reward per nat; 0 switches it off."""
    kl_estimator: Literal["k1", "k2", "k3"] = "k3"
    """Estimator of the KL per token: k1 = log p - log q, k2 = k1^2 / 2, k3 = q/p - 1 + k1 (p the policy, q
    the reference)."""
    kl_in: Literal["loss", "reward", "tokens"] = "loss"
    """Where the KL penalty stands: added to the loss; taken from the completion's reward before the
    advantage; or taken from the reward of each token, whose advantage is what is still to come."""
    kl_correction: bool = False
    """Multiply the KL in the loss by the ratio of the token to the sampler, gradient included: then its
    gradient is that of KL(policy, reference), off-policy too (DeepSeek-V3.2; TRL's
    use_bias_correction_kl)."""
    entropy_coef: float = 0.0
    """Weight of the entropy bonus, in reward per nat; 0 switches it off."""
    entropy_target: Amount = 0.0
    """Entropy below which there is a bonus, in nats per token, measured before each step's update; its weight
    starts at entropy_coef and moves by entropy_step (Skywork-OR1); 0: the weight is fixed."""
    entropy_step: Positive = 0.005
    """How far a step moves the weight of the bonus, in reward per nat: up while the entropy is below its
    target, else down."""
    correction: Literal[
        "auto",
        "none",
        "token_truncate",
        "token_mask",
        "sequence_truncate",
        "sequence_mask",
        "geometric_truncate",
        "geometric_mask",
    ] = "auto"
    """Importance weights against a sampler whose probabilities are not the trainer's: of each token, or the
    product or geometric mean over its completion; truncated at the bounds (TIS) or 0 beyond them (MIS). auto:
    none for the local engine, token_truncate for others (--engine)."""
    correction_cap: Annotated[float, Range(1)] = 3.0
    """Largest importance weight of the correction, as a ratio; TRL takes 3, verl 2."""
    correction_floor: Share = 0.0
    """Smallest importance weight of the correction, as a ratio; 0: none."""

    @property
    def corrects(self) -> bool:
        """Whether there is a correction; what auto stands for is chosen before a run begins."""
        return self.correction not in ("auto", "none")


@dataclass(frozen=True)
class ValueConfig(Settings):
    """The loss of PPO's critic."""

    prefixed: ClassVar[bool] = True

    kind: Literal["clipped", "squared", "huber"] = "clipped"
    """clipped: the value may move only clip away from that of the rollout; squared; huber:
    linear for large errors."""
    clip: Positive = 0.2
    """clipped: how far a value may move from that of the rollout, in the unit of the reward."""
    huber_delta: Positive = 1.0
    """huber: the error from which the loss is linear, in the unit of the reward."""


@dataclass(frozen=True)
class PreferenceConfig(Settings):
    """The loss of a reward model."""

    prefixed: ClassVar[bool] = True

    margin: Amount = 0.0
    """By how much the better answer's reward must exceed the other's before the pair counts as learned;
    reward."""
    centre_coef: Amount = 0.0
    """Weight of (sum of a pair's rewards)^2, which keeps rewards around 0; 0.01 is usual;
    0 switches it off."""
