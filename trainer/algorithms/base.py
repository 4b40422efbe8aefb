"""What a run asks of an algorithm, and what an update gives back.

A run calls an algorithm at five places: `check` before anything is loaded; `held_models` for the memory plan;
`formula` and `needs_reference` at the start; in every update `credit` and `observe`, for each minibatch
`rows_with_gradient`, `loss`, `stops` and `trains_policy`, and `finish` (`update.update_policy` has the steps
between them); `state` and `load` at checkpoints.
An algorithm of one's own is a subclass in one file: `--algorithm ./my_algorithm.py`
(examples/own_algorithm.py).

Shapes: B rows (completions), T completion tokens, N completion tokens of all rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..config.objective import AdvantageConfig, LossConfig
from ..config.train import TrainConfig
from ..model.logprobs import TokenLogprobs, compute_logprobs
from ..model.memory import HeldModel
from ..model.policy import Policy
from ..model.sharded import WholeCopy
from ..objective import entropy_control
from ..objective.advantages import (
    apply_within,
    compute_criteria_advantages,
    compute_group_advantages,
    spread_over_tokens,
)
from ..objective.agreement import check_agreement
from ..objective.formula import write_formula
from ..objective.kl import kl_per_token, subtract_kl
from ..objective.losses import Denominators, LossStats, PolicyLoss, compute_policy_loss
from ..objective.turns import compute_turn_advantages, spread_over_turns
from .batch import Batch


@dataclass(frozen=True)
class Part:
    """What one micro-batch adds.

    loss: its share of the loss, with gradient, to be minimised.
    stats: of the policy loss, None where the policy does not learn.
    difference_N: |log-probability of sampler - of update| of its tokens, in nats.
    own: statistics of the algorithm's own, fit for `losses.combine`.

    >>> import palaestra as pal
    >>> import torch
    >>> float(pal.Part(torch.tensor(0.5), stats=None, difference_N=torch.zeros(3)).loss)
    0.5
    """

    loss: Tensor
    stats: LossStats | None
    difference_N: Tensor
    own: Any = None


@dataclass(frozen=True)
class Trained:
    """A module that an algorithm trains beside the policy. learning_rate: constant."""

    name: str
    module: nn.Module
    optimizer: torch.optim.Optimizer
    learning_rate: float


@dataclass(frozen=True)
class StepResult:
    """What an update did.

    grad_norms: before clipping, of each optimizer step, the policy's last.  updates: of the policy.
    logprob_difference_mean, _max: between the sampler and the first forward pass of the update, over
        trained tokens (nats); None when no row had a gradient.
    extra: what else the algorithm measured, for the metrics.
    """

    batch: Batch
    stats: LossStats | None
    grad_norms: Sequence[float]
    updates: int
    logprob_difference_mean: float | None
    logprob_difference_max: float | None
    extra: Mapping[str, float | None] = field(default_factory=dict)


class Algorithm(ABC):
    """How scored completions are credited, and what loss follows.

    `credit` must be written; the rest has defaults. The defaults are those of a policy gradient without
    further models: the loss is that of `--loss.kind`, a reference is held when there is a KL penalty,
    nothing but the policy is trained or kept in a checkpoint.

    >>> from dataclasses import replace
    >>> import palaestra as pal
    >>> class Reinforce(pal.Algorithm):
    ...     def credit(self, batch):
    ...         return replace(batch, advantages_BT=batch.rewards_B[:, None] * batch.mask_BT)
    >>> penalised = pal.TrainConfig.of(**{"loss.kl_coef": 0.1})
    >>> Reinforce.needs_reference(pal.TrainConfig()), Reinforce.needs_reference(penalised)
    (False, True)
    """

    compares_groups: ClassVar[bool] = False
    """Whether completions of a prompt are compared with each other:
    then equal rewards in a group teach nothing."""
    reads: ClassVar[frozenset[str]] = frozenset()
    """The groups of settings in `TrainConfig.for_algorithms` that it reads;
    a changed setting of another one is refused."""

    def __init__(self, policy: Policy, config: TrainConfig) -> None:
        self.policy, self.config = policy, config
        self.entropy = entropy_control.start(config.objective.loss)

    @property
    def loss_settings(self) -> LossConfig:
        """Those of the loss, with the weight of the entropy bonus that is in force in this step."""
        loss = self.config.objective.loss
        return replace(loss, entropy_coef=self.entropy.in_force) if loss.entropy_target else loss

    @classmethod
    def check(cls, config: TrainConfig) -> None:
        """Raise UserError for settings that the algorithm does not read, or that contradict each other.

        What every algorithm needs of them is checked here: call it from an override.
        """
        check_agreement(config, cls.__name__, cls.compares_groups, cls.reads)

    @classmethod
    def formula(cls, config: TrainConfig) -> str:
        """What is optimised, as lines for a person.

        An override says what A is: `write_formula(loss, "A = r - b")`.
        """
        return write_formula(config.objective.loss, f"A = what {cls.__name__}.credit says")

    @classmethod
    def needs_reference(cls, config: TrainConfig) -> bool:
        """Whether a frozen copy of the first policy is kept.

        Its log-probabilities stand in `Batch.ref_logprobs_BT`.
        """
        return config.objective.loss.kl_coef != 0

    @classmethod
    def held_models(cls, policy: Policy, config: TrainConfig) -> Sequence[HeldModel]:
        """The models that the algorithm holds beside the policy; the reference is not among them."""
        return ()

    @property
    def trained(self) -> Sequence[Trained]:
        """The modules that an update trains beside the policy."""
        return ()

    def trains_policy(self, step: int) -> bool:
        """Whether the policy learns in step `step`, counted from 0."""
        return True

    @abstractmethod
    def credit(self, batch: Batch) -> Batch:
        """The batch with `advantages_BT`, and whatever else the loss reads in `columns_BT`.

        Its rewards are shaped and its mask is final: tokens outside of it are neither trained nor counted.
        `take_off_kl` gives the rewards as the settings of the KL penalty want them.
        """

    def take_off_kl(self, batch: Batch) -> Tensor:
        """rewards_B, less the KL penalty of each completion where the settings take it from the reward."""
        loss = self.config.objective.loss
        if not loss.kl_coef or loss.kl_in != "reward":
            return batch.rewards_B
        assert batch.ref_logprobs_BT is not None
        kl_BT = kl_per_token(batch.sampled_logprobs_BT, batch.ref_logprobs_BT, loss.kl_estimator)
        return subtract_kl(batch.rewards_B, kl_BT, batch.own_BT, loss.kl_coef)

    def compute_advantages(self, batch: Batch) -> Tensor:
        """advantages_BT by the settings `--advantages`, for an algorithm that compares the completions of a
        prompt; 0 where masked. A KL penalty comes from the reward where it is asked for there.
        """
        settings, loss = self.config.objective.advantages, self.config.objective.loss
        if not (loss.kl_coef > 0 and loss.kl_in == "tokens"):
            return self._compare(batch, settings) * batch.mask_BT
        # Of tokens, the batch's mean and deviation are those after each was charged for its KL.
        advantages_BT = self._compare(batch, replace(settings, normalise_batch=False))
        assert batch.ref_logprobs_BT is not None
        kl_BT = kl_per_token(batch.sampled_logprobs_BT, batch.ref_logprobs_BT, loss.kl_estimator)
        return apply_within(
            batch.tasks_B if settings.over == "task" else None,
            lambda advantages, kl, mask: spread_over_tokens(advantages, kl, mask, loss.kl_coef, settings),
            advantages_BT,
            kl_BT,
            batch.mask_BT,
        )

    def _compare(self, batch: Batch, settings: AdvantageConfig) -> Tensor:
        """advantages_BT of completions (B x 1), or of each token's turn (B x T)."""
        shape = (-1, batch.group_size)
        abstained_PG = batch.abstained_B.view(shape)
        tasks_B = batch.tasks_B if settings.over == "task" else None
        tasks_P = None if tasks_B is None else tasks_B.view(shape)[:, 0]
        if batch.turns is not None and settings.turns != "whole":
            rewards_B = self.take_off_kl(batch)
            advantages_BK = compute_turn_advantages(
                batch.turns, rewards_B, batch.abstained_B, batch.group_size, settings, tasks_B
            )
            return spread_over_turns(advantages_BK, batch.own_BT)
        if settings.aggregation == "normalise_then_sum":
            assert batch.criteria_BK is not None
            weights_K = batch.weights_K
            assert weights_K is not None
            values_PGK = batch.criteria_BK.view(*shape, batch.criteria_BK.shape[1])
            advantages_PG = apply_within(
                tasks_P,
                lambda values, abstained: compute_criteria_advantages(values, weights_K, abstained, settings),
                values_PGK,
                abstained_PG,
            )
        else:
            rewards_PG = self.take_off_kl(batch).view(shape)
            advantages_PG = apply_within(
                tasks_P,
                lambda rewards, abstained: compute_group_advantages(rewards, abstained, settings),
                rewards_PG,
                abstained_PG,
            )
        return advantages_PG.view(-1, 1)

    def rows_with_gradient(self, batch: Batch) -> Tensor:
        """Numbers of the rows that can contribute to the gradient.

        All that count under a KL or entropy term, else those with an advantage or a marked token; the others
        are left out of the forward pass.
        """
        loss = self.loss_settings
        if (loss.kl_coef and loss.kl_in == "loss") or loss.entropy_coef:
            return batch.mask_BT.any(1).nonzero()[:, 0]
        counts_BT = batch.advantages_BT.ne(0)
        if "marked" in batch.columns_BT:
            counts_BT = counts_BT | batch.columns_BT["marked"]
        return counts_BT.any(-1).nonzero()[:, 0]

    def loss(self, batch: Batch, denominators: Denominators, step: int) -> Part:
        """One micro-batch's share of the loss.

        denominators: of the whole optimizer step, so that shares add up.
        """
        temperature, loss = self.config.rollouts.temperature, self.loss_settings
        with self.policy.autocast():
            out = compute_logprobs(
                self.policy.model, batch.sequences, temperature, entropy_gradient=loss.entropy_coef != 0
            )
        result = batch_loss(out, batch, loss, denominators)
        return Part(result.loss, result.stats, sampler_difference(out.logprobs_BT, batch))

    def observe(self, batch: Batch) -> Mapping[str, float | None]:
        """The beginning of an update: the entropy of the policy before it moves the weight of its bonus.

        Returns what was measured, for the metrics; nothing where that weight is fixed.
        """
        loss = self.config.objective.loss
        if not loss.entropy_target or batch.entropy_BT is None:
            return {}
        tokens = int(batch.mask_BT.sum())
        entropy = float(batch.entropy_BT[batch.mask_BT].sum()) / tokens if tokens else float("nan")
        self.entropy = entropy_control.step(self.entropy, entropy, loss)
        return {"entropy_before": entropy if tokens else None, "entropy_coef": self.entropy.in_force}

    def stops(self, parts: Sequence[Part]) -> bool:
        """Whether the update ends here, with nothing learned from the minibatch whose `parts` these are."""
        return False

    def finish(self, batch: Batch, parts: Sequence[Part]) -> Mapping[str, float | None]:
        """The end of a step: what moves from step to step moves on.

        Returns what else was measured, for the metrics.
        """
        return {}

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: tensors and plain data."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""


@dataclass(frozen=True)
class Learner:
    """What an update changes, and what it is measured against.

    That is the policy as it was at the start, where one is needed. whole: beside a policy in shards.
    """

    policy: Policy
    optimizer: torch.optim.Optimizer
    algorithm: Algorithm
    reference: Policy | None = None
    whole: WholeCopy | None = None

    def take_whole(self) -> Policy:
        """The policy with whole weights, for the sampler and for checkpoints: itself, where it is not in
        shards. Called by all processes together."""
        return self.policy if self.whole is None else self.whole.refresh()


def batch_loss(
    out: TokenLogprobs, batch: Batch, config: LossConfig, denominators: Denominators
) -> PolicyLoss:
    """The policy loss of a batch whose tokens have the log-probabilities and entropies `out` now."""
    return compute_policy_loss(
        out.logprobs_BT,
        batch.sampled_logprobs_BT,
        batch.advantages_BT,
        batch.mask_BT,
        config,
        denominators,
        ref_logprobs_BT=batch.ref_logprobs_BT,
        entropy_BT=out.entropy_BT,
        before_logprobs_BT=batch.before_logprobs_BT,
        marked_BT=batch.columns_BT.get("marked"),
    )


def sampler_difference(logprobs_BT: Tensor, batch: Batch) -> Tensor:
    """difference_N: |log-probability now - at sampling| of tokens that count, in nats, without gradient."""
    return (logprobs_BT.detach() - batch.sampled_logprobs_BT).abs()[batch.mask_BT]
