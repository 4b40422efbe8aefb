"""The PPO update: a critic (value model) sets what to expect, GAE credits tokens, the loss is clipped.

After Ouyang et al. 2022 (arXiv:2203.02155, appendix C.4) and "The N implementation details of RLHF with PPO"
(Huang et al. 2024, arXiv:2403.17031). Departures, each a default that a flag can change:
1. the old log-probabilities are those recorded while sampling; the first forward pass of the
   update checks them;
2. clip range 0.2 below and 0.28 above, token mean over the (mini-)batch, as for GRPO:
   `--loss.clip-high 0.2` is the usual;
3. the critic is a model of its own that starts from the policy with a head of zeros, not
   from a reward model;
4. a completion that could not be scored is in no mean, no value target and no gradient.

Shapes: B rows (completions), T completion tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..config.settings import resolve
from ..config.train import PPOConfig, TrainConfig
from ..model.logprobs import compute_logprobs
from ..model.microbatches import choose_microbatch_tokens
from ..model.policy import Policy
from ..objective import kl_control
from ..objective.agreement import PPO_READS, check_ppo
from ..objective.formula import write_formula
from ..objective.gae import AcrossTurns, gae, whiten
from ..objective.kl import kl_per_token, place_rewards
from ..objective.losses import Denominators, combine, count_denominators
from ..objective.shaping import subtract_missing_eos_penalty
from ..objective.turns import mark_turn_ends, place_turn_rewards
from ..objective.value_loss import ValueStats, compute_explained_variance, compute_value_loss
from .base import Algorithm, HeldModel, Part, Trained, batch_loss, sampler_difference
from .batch import Batch
from .critic import compute_values, count_critic_bytes, estimate_critic_passes, make_critic


class PPO(Algorithm):
    """critic: gives the values.  kl: the coefficient of the KL penalty, which moves from step to step.

    Columns of its batches: `values`, what the critic expected before the update; `returns`,
    what it is to learn.
    """

    reads: ClassVar[frozenset[str]] = PPO_READS

    def __init__(self, policy: Policy, config: TrainConfig) -> None:
        super().__init__(policy, config)
        self.critic = make_critic(policy, config)
        self.kl = kl_control.start(config.ppo.kl)

    @classmethod
    def check(cls, config: TrainConfig) -> None:
        check_ppo(config, cls.__name__, cls.reads)

    @classmethod
    def formula(cls, config: TrainConfig) -> str:
        """What is optimised, as lines for a person."""
        p, kl, loss = config.ppo, config.ppo.kl, config.objective.loss
        coefficient = f"{kl.kl_coef:g}" + (f", adapted to {kl.target_kl:g} nats" if kl.target_kl else "")
        kinds = {
            "clipped": f"max with V within {p.value.clip:g} of the old",
            "squared": "squared",
            "huber": "Huber",
        }
        value = kinds[p.value.kind]
        reward = "[t is last] R"
        if p.turn_rewards:
            reward = "[t ends a turn] what the turn earned + [t is last] the rest of R"
        return "\n".join(
            [
                f"reward of token t: {reward} - beta (log p - log reference), beta = {coefficient}",
                (
                    f"advantage: GAE with gamma = {p.gamma:g}, lambda = {p.lam:g}{_write_turns(p)}"
                    f"{', whitened over the batch' if p.whiten else ''}"
                ),
                # The KL is that of the reward, above.
                *(line for line in write_formula(loss, "A").splitlines()[1:] if not line.startswith("KL")),
                (
                    f"value ({p.critic}): {p.value_coef:g} * (V - return)^2 / 2, return = A before "
                    "whitening + "
                    f"V_old; {value}"
                ),
            ]
        )

    @classmethod
    def needs_reference(cls, config: TrainConfig) -> bool:
        return config.ppo.kl.kl_coef != 0

    @classmethod
    def held_models(cls, policy: Policy, config: TrainConfig) -> Sequence[HeldModel]:
        size = count_critic_bytes(policy, config)
        passes = estimate_critic_passes(policy, config)
        return [
            HeldModel("critic", size.weights, trained=size.trained, passes=passes, positions=size.positions)
        ]

    @property
    def trained(self) -> Sequence[Trained]:
        return [Trained("critic", self.critic.module, self.critic.optimizer, self.critic.learning_rate)]

    def trains_policy(self, step: int) -> bool:
        return step >= self.config.ppo.critic_warmup

    def credit(self, batch: Batch) -> Batch:
        """Rewards per token, values, and from them advantages and returns of every token that counts.

        The reward of a completion stands at its last token, or what its turns earned at theirs; -coefficient
        * (log policy - log reference) at every token.
        """
        settings, mask_BT = self.config.ppo, batch.mask_BT
        rewards_B = subtract_missing_eos_penalty(
            batch.rewards_B, ~batch.truncated_B, settings.missing_eos_penalty
        )
        turns = batch.turns if settings.turn_rewards else None
        rest_B = rewards_B if turns is None else turns.find_rest(rewards_B)
        rewards_BT = place_rewards(rest_B, estimate_kl_to_reference(batch), mask_BT, self.kl.kl_coef)
        if turns is not None:
            rewards_BT = rewards_BT + place_turn_rewards(turns, batch.own_BT).to(rewards_BT.dtype)
        tokens = choose_microbatch_tokens(self.config.optimizer)
        values_BT = compute_values(self.policy, self.critic, batch.sequences, tokens)
        across = None
        if batch.turns is not None:
            across = AcrossTurns(
                mark_turn_ends(batch.own_BT),
                resolve(settings.turn_gamma, settings.gamma),
                resolve(settings.turn_lam, settings.lam),
            )
        result = gae(rewards_BT, values_BT, mask_BT, settings.gamma, settings.lam, across)
        advantages_BT = whiten(result.advantages_BT, mask_BT) if settings.whiten else result.advantages_BT
        columns_BT = {"values": values_BT, "returns": result.returns_BT}
        return replace(batch, advantages_BT=advantages_BT, columns_BT=columns_BT)

    def rows_with_gradient(self, batch: Batch) -> Tensor:
        """All that count: the critic learns from a completion whose advantages are 0, too."""
        return batch.mask_BT.any(1).nonzero()[:, 0]

    def loss(self, batch: Batch, denominators: Denominators, step: int) -> Part:
        """The clipped surrogate and value_coef times the value loss.

        While the policy does not learn, the latter alone.
        """
        critic, policy, settings, learns = self.critic, self.policy, self.config.ppo, self.trains_policy(step)
        temperature, loss_config = self.config.rollouts.temperature, self.loss_settings
        with policy.autocast(), torch.set_grad_enabled(learns or critic.shared):
            out = compute_logprobs(
                policy.model,
                batch.sequences,
                temperature,
                entropy_gradient=loss_config.entropy_coef != 0,
                value_head=critic.head if critic.shared else None,
                detach_value=not learns,
            )
        values_BT = out.values_BT
        if values_BT is None:
            with policy.autocast():
                values_BT = critic.compute_values(batch.sequences)
        before_BT, returns_BT = batch.columns_BT["values"], batch.columns_BT["returns"]
        value = compute_value_loss(
            values_BT, before_BT, returns_BT, batch.mask_BT, settings.value, denominators
        )
        loss, stats = settings.value_coef * value.loss, None
        if learns:
            result = batch_loss(out, batch, loss_config, denominators)
            loss, stats = loss + result.loss, result.stats
        return Part(loss, stats, sampler_difference(out.logprobs_BT, batch), value.stats)

    def stops(self, parts: Sequence[Part]) -> bool:
        """Whether the policy is further than kl_stop nats per token (k3) from the one that sampled.

        Never for 0.
        """
        stats = [part.stats for part in parts if part.stats is not None]
        if self.config.ppo.kl_stop <= 0 or not stats:
            return False
        total = combine(stats)
        return float(total.approx_kl_sum) > self.config.ppo.kl_stop * float(total.tokens)

    def finish(self, batch: Batch, parts: Sequence[Part]) -> Mapping[str, float | None]:
        """Move the KL coefficient; see `measure` for what is returned."""
        kl_B = torch.where(batch.mask_BT, estimate_kl_to_reference(batch), 0.0).sum(1)[~batch.abstained_B]
        kl = float(kl_B.mean()) if len(kl_B) else 0.0
        measured = measure(batch, [part.own for part in parts], self.config)
        measured |= {"kl_coef": self.kl.kl_coef, "kl_per_completion": kl, "kl_penalty": self.kl.kl_coef * kl}
        if batch.ref_logprobs_BT is not None and len(kl_B):
            self.kl = kl_control.step(self.kl, kl, len(kl_B), self.config.ppo.kl)
        return measured

    def state(self) -> dict[str, Any]:
        return {"critic": self.critic.state(), "kl_coef": self.kl.kl_coef}

    def load(self, state: Mapping[str, Any]) -> None:
        self.critic.load(state["critic"])
        self.kl = kl_control.KLControlState(state["kl_coef"])


def _write_turns(ppo: PPOConfig) -> str:
    if (ppo.turn_gamma, ppo.turn_lam) == ("auto", "auto"):
        return ""
    gamma, lam = resolve(ppo.turn_gamma, ppo.gamma), resolve(ppo.turn_lam, ppo.lam)
    return f" (from a turn to the next {gamma:g} and {lam:g})"


def estimate_kl_to_reference(batch: Batch) -> Tensor:
    """kl_BT: k1 of the sampling policy against the reference, in nats; 0 without a reference."""
    if batch.ref_logprobs_BT is None:
        return torch.zeros_like(batch.sampled_logprobs_BT)
    return kl_per_token(batch.sampled_logprobs_BT, batch.ref_logprobs_BT, "k1")


def measure(batch: Batch, stats: Sequence[ValueStats], config: TrainConfig) -> dict[str, float | None]:
    """What the critic did, in the unit of the reward. stats: of its updates.

    explained_variance: of the returns by the values before the update; 1 is perfect, 0 no better than a
        constant, None where all returns are the same.
    """
    counts = count_denominators(batch.mask_BT, config.rollouts.max_new_tokens)
    values_BT, returns_BT = batch.columns_BT["values"], batch.columns_BT["returns"]
    before = compute_value_loss(values_BT, values_BT, returns_BT, batch.mask_BT, config.ppo.value, counts)
    tokens = max(counts.tokens, 1)
    after = combine(stats) if stats else before.stats
    explained = compute_explained_variance(before.stats)
    return {
        "explained_variance": None if math.isnan(explained) else explained,
        "value_loss": float(before.loss),
        "value": float(before.stats.value_sum) / tokens,
        "return": float(before.stats.return_sum) / tokens,
        "value_clip": float(after.clip_sum) / max(float(after.tokens), 1),
    }
