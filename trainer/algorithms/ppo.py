"""The PPO update: a value model says what was to be expected, GAE credits each token, the clipped surrogate is followed.

After Ouyang et al. 2022 (arXiv:2203.02155, appendix C.4) and "The N implementation details of RLHF with PPO" (Huang et
al. 2024, arXiv:2403.17031). Departures, each a default that a flag can change:
1. the old log-probabilities are those recorded while sampling; the first forward pass of the update checks them;
2. clip range 0.2 below and 0.28 above, token mean over the (mini-)batch, as for GRPO: `--loss.clip-high 0.2` is the usual;
3. the value model is a model of its own that starts from the policy with a head of zeros, not from a reward model;
4. a completion that could not be scored is in no mean, no value target and no gradient.

Shapes: B rows (completions), T completion tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...tasks.core.errors import UserError
from ..config.objective import AdvantageConfig
from ..config.train import TrainConfig
from ..model.logprobs import completion_logprobs
from ..model.microbatches import by_microbatch
from ..model.optim import update
from ..model.policy import Policy
from ..objective import kl_control
from ..objective.gae import gae, whiten
from ..objective.kinds import choose_aggregate, find_kind
from ..objective.kl import kl_per_token, token_rewards
from ..objective.losses import Denominators, LossStats, combine, count_denominators, policy_loss
from ..objective.shaping import missing_eos_penalty
from ..objective.value_loss import ValueStats, explained_variance, value_loss
from ..rollouts.group import Group
from .base import StepResult
from .batch import Batch
from .update import reference_logprobs, shaped
from .value_model import Critic, frozen_values, new_critic


@dataclass
class PPO:
    """What PPO carries from step to step beside the policy: the value model and the coefficient of the KL penalty."""

    critic: Critic
    kl: kl_control.KLControlState

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"critic": self.critic.state(), "kl_coef": self.kl.kl_coef}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.critic.load(state["critic"])
        self.kl = kl_control.KLControlState(state["kl_coef"])


@dataclass(frozen=True)
class Credited:
    """A batch whose tokens have their advantage, with what the value model said and is to learn.

    values_BT: before the update.  returns_BT: targets.  kl_B: k1 of each completion against the reference, in nats.
    """

    batch: Batch
    values_BT: Tensor
    returns_BT: Tensor
    kl_B: Tensor


@dataclass(frozen=True)
class Share:
    """Statistics of one micro-batch. policy: None while only the value model learns.  difference_N: |sampler - update|."""

    policy: LossStats | None
    value: ValueStats
    difference_N: Tensor


def start(policy: Policy, config: TrainConfig) -> PPO:
    """A fresh value model and the first KL coefficient. Raises UserError for settings that make no sense together."""
    check(config)
    return PPO(new_critic(policy, config.ppo), kl_control.start(config.ppo.kl))


def check(config: TrainConfig) -> None:
    """Raise UserError for settings that PPO does not read, or that contradict each other."""
    if config.loss.kl_coef:
        raise UserError("PPO takes the KL from the reward of each token: set --ppo.kl.kl-coef, and leave --loss.kl-coef at 0.")
    if not find_kind(config.loss.kind).clips_tokens:
        raise UserError(f"PPO clips the ratio of each token; --loss.kind {config.loss.kind} does not. Use the default, dapo.")
    if config.advantages != AdvantageConfig():
        raise UserError("PPO's advantages come from its value model: leave --advantages at its defaults, or use GRPO.")
    if config.resample:
        raise UserError("PPO learns from groups whose rewards are all equal too: leave --resample at 0.")
    try:
        kl_control.start(config.ppo.kl)
    except ValueError as failure:
        raise UserError(f"--ppo.kl: {failure}") from failure
    for name, low, high in (("gamma", 0.0, 1.0), ("lam", 0.0, 1.0)):
        if not low <= getattr(config.ppo, name) <= high:
            raise UserError(f"--ppo.{name} {getattr(config.ppo, name)} is not in [{low:g}, {high:g}].")
    if config.ppo.missing_eos_penalty < 0:
        raise UserError("--ppo.missing-eos-penalty is taken from the reward; give 0 or more.")
    if config.ppo.critic_warmup >= config.steps:
        raise UserError(f"--ppo.critic-warmup {config.ppo.critic_warmup} leaves no step of {config.steps} for the policy.")


def formula(config: TrainConfig) -> str:
    """What is optimised, as lines for a person."""
    p, kl, loss = config.ppo, config.ppo.kl, config.loss
    coefficient = f"{kl.kl_coef:g}" + (f", adapted to {kl.target_kl:g} nats" if kl.target_kl else "")
    value = {"clipped": f"max with V within {p.value.clip:g} of the old", "squared": "squared", "huber": "Huber"}[p.value.kind]
    return "\n".join(
        [
            f"reward of token t: [t is last] R - beta (log p - log reference), beta = {coefficient}",
            f"advantage: GAE with gamma = {p.gamma:g}, lambda = {p.lam:g}{', whitened over the batch' if p.whiten else ''}",
            f"policy: -min(r A, clip(r, {1 - loss.clip_low:g}, {1 + loss.clip_high:g}) A), {choose_aggregate(loss)}",
            f"value ({p.critic}): {p.value_coef:g} * (V - return)^2 / 2, return = A before whitening + V_old; {value}",
        ]
    )


def ppo_step(
    policy: Policy,
    reference: Policy | None,
    ppo: PPO,
    optimizer: torch.optim.Optimizer,
    groups: Sequence[Group],
    config: TrainConfig,
    step: int,
    learning_rate: float,
) -> StepResult:
    """Credit the scored completions and update policy and value model; what is random depends on (seed, step) alone."""
    credited = credit(policy, reference, ppo, Batch.of(groups, policy.device), config)
    trains_policy = step >= config.ppo.critic_warmup
    shares: list[Share] = []
    norms: list[float] = []
    critic_norm, first, stopped = 0.0, 0, False
    policy.model.train()
    for epoch in range(config.updates_per_batch):
        for part in minibatches(credited, config.minibatches, (config.seed, step, epoch)):
            new = backward(policy, ppo.critic, part, config, trains_policy)
            shares += new
            first = first or len(new)
            stopped = trains_policy and exceeds(new, config.ppo.kl_stop)
            if stopped:  # nothing is learned from the minibatch that shows it
                optimizer.zero_grad(set_to_none=True)
                ppo.critic.optimizer.zero_grad(set_to_none=True)
                break
            critic = ppo.critic
            critic_norm = update(critic.module, critic.optimizer, critic.learning_rate, config.max_grad_norm)
            if trains_policy:
                norms.append(update(policy.model, optimizer, learning_rate, config.max_grad_norm))
        if stopped:
            break
    metrics = ppo_metrics(credited, shares, config, ppo.kl.kl_coef)
    metrics |= {"critic_grad_norm": critic_norm, "updates": len(norms), "kl_stopped": float(stopped)}
    if reference is not None and len(credited.kl_B):
        ppo.kl = kl_control.step(ppo.kl, float(credited.kl_B.mean()), len(credited.kl_B), config.ppo.kl)
    difference_N = torch.cat([share.difference_N for share in shares[:first]]) if shares else None
    known = [share.policy for share in shares if share.policy is not None]
    return StepResult(
        credited.batch,
        combine(known) if known else None,
        [critic_norm, *norms],
        None if difference_N is None else float(difference_N.mean()),
        None if difference_N is None else float(difference_N.max()),
        metrics,
    )


def credit(policy: Policy, reference: Policy | None, ppo: PPO, batch: Batch, config: TrainConfig) -> Credited:
    """Rewards per token, values, and from them advantages and returns of every token of the completions that were scored.

    The reward of a completion stands at its last token; -coefficient * (log policy - log reference) at every token.
    """
    settings = config.ppo
    batch = shaped(batch, config)
    mask_BT = batch.mask_BT & ~batch.abstained_B[:, None]
    rewards_B = missing_eos_penalty(batch.rewards_B, ~batch.truncated_B, settings.missing_eos_penalty)
    kl_BT = torch.zeros_like(batch.sampled_logprobs_BT)
    if reference is not None:
        ref_BT = reference_logprobs(reference, batch.sequences, config)
        batch = replace(batch, ref_logprobs_BT=ref_BT)
        kl_BT = kl_per_token(batch.sampled_logprobs_BT, ref_BT, "k1")
    rewards_BT = token_rewards(rewards_B, kl_BT, mask_BT, ppo.kl.kl_coef)
    values_BT = frozen_values(policy, ppo.critic, batch.sequences, config.tokens_per_microbatch)
    result = gae(rewards_BT, values_BT, mask_BT, settings.gamma, settings.lam)
    advantages_BT = whiten(result.advantages_BT, mask_BT) if settings.whiten else result.advantages_BT
    kl_B = torch.where(mask_BT, kl_BT, 0.0).sum(1)[~batch.abstained_B]
    return Credited(replace(batch, mask_BT=mask_BT, advantages_BT=advantages_BT), values_BT, result.returns_BT, kl_B)


def minibatches(credited: Credited, count: int, seed: object) -> list[Credited]:
    """`count` parts of nearly equal size, in a seeded order of the rows; those without a scored completion left out."""
    parts = []
    for rows_B in credited.batch.minibatch_rows(count, seed):
        part = select(credited, rows_B)
        if part.batch.mask_BT.any():
            parts.append(part)
    return parts


def select(credited: Credited, rows_B: Tensor) -> Credited:
    """Some of the rows, without the columns that none of them uses."""
    batch = credited.batch.select(rows_B)
    width = batch.mask_BT.shape[1]
    return Credited(batch, credited.values_BT[rows_B, :width], credited.returns_BT[rows_B, :width], credited.kl_B)


def backward(policy: Policy, critic: Critic, part: Credited, config: TrainConfig, trains_policy: bool) -> list[Share]:
    """Back-propagate the loss of a minibatch, a micro-batch at a time under one denominator."""
    denominators = count_denominators(part.batch.mask_BT, config.max_new_tokens)
    rows_B = part.batch.mask_BT.any(1).nonzero()[:, 0]
    scored = select(part, rows_B)
    return by_microbatch(
        policy,
        scored.batch.sequences,
        config.tokens_per_microbatch,
        lambda rows_B: _backward(policy, critic, select(scored, rows_B), denominators, config, trains_policy),
        critic.module,
    )


def _backward(
    policy: Policy, critic: Critic, part: Credited, denominators: Denominators, config: TrainConfig, trains_policy: bool
) -> Share:
    batch = part.batch
    with policy.arithmetic(), torch.set_grad_enabled(trains_policy or critic.shared):
        out = completion_logprobs(
            policy.model, batch.sequences, config.temperature, entropy_gradient=config.loss.entropy_coef != 0,
            value_head=critic.head if critic.shared else None, detach_value=not trains_policy,
        )  # fmt: skip
    if critic.shared:
        assert out.values_BT is not None
        values_BT = out.values_BT
    else:
        with policy.arithmetic():
            values_BT = critic.values(batch.sequences)
    value = value_loss(values_BT, part.values_BT, part.returns_BT, batch.mask_BT, config.ppo.value, denominators)
    loss, stats = config.ppo.value_coef * value.loss, None
    if trains_policy:
        result = policy_loss(
            out.logprobs_BT, batch.sampled_logprobs_BT, batch.advantages_BT, batch.mask_BT, config.loss, denominators,
            ref_logprobs_BT=batch.ref_logprobs_BT, entropy_BT=out.entropy_BT,
        )  # fmt: skip
        loss, stats = loss + result.loss, result.stats
    loss.backward()
    return Share(stats, value.stats, (out.logprobs_BT.detach() - batch.sampled_logprobs_BT).abs()[batch.mask_BT])


def exceeds(shares: Sequence[Share], bound: float) -> bool:
    """Whether the policy is further than `bound` nats per token (k3) from the one that sampled; never for a bound of 0."""
    if bound <= 0:
        return False
    stats = combine([share.policy for share in shares if share.policy is not None])
    return float(stats.approx_kl_sum) > bound * float(stats.tokens)


def ppo_metrics(credited: Credited, shares: Sequence[Share], config: TrainConfig, kl_coef: float) -> dict[str, float | None]:
    """What the value model and the KL penalty did. Values and returns in the unit of the reward, KL in nats.

    explained_variance: of the returns by the values before the update; 1 is perfect, 0 no better than a constant, None
    where all returns are the same.
    """
    mask_BT = credited.batch.mask_BT
    counts = count_denominators(mask_BT, config.max_new_tokens)
    before = value_loss(
        credited.values_BT, credited.values_BT, credited.returns_BT, mask_BT, config.ppo.value, counts
    )  # fmt: skip
    tokens = max(counts.tokens, 1)
    after = combine([share.value for share in shares]) if shares else before.stats
    kl = float(credited.kl_B.mean()) if len(credited.kl_B) else 0.0
    explained = explained_variance(before.stats)
    return {
        "explained_variance": None if math.isnan(explained) else explained,
        "value_loss": float(before.loss),
        "value": float(before.stats.value_sum) / tokens,
        "return": float(before.stats.return_sum) / tokens,
        "value_clip": float(after.clip_sum) / max(float(after.tokens), 1),
        "kl_coef": kl_coef,
        "kl_per_completion": kl,
        "kl_penalty": kl_coef * kl,
    }
