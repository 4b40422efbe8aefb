"""The GRPO update: credit each completion of a group against the others, then follow the clipped policy gradient.

Departures from the textbook (Shao et al. 2024, arXiv:2402.03300), each a default that a flag can change:
1. token mean over the whole batch instead of a mean of sequence means (DAPO, arXiv:2503.14476, eq. 8);
2. advantages are centred but not divided by the group's standard deviation (Dr. GRPO, arXiv:2503.20783);
3. clip range 0.2 below and 0.28 above (DAPO, eq. 10);
4. no KL to a reference, hence no reference model;
5. the old log-probabilities are those recorded while sampling: no forward pass recomputes them, the update checks them;
6. rows whose advantage is 0 are left out of the forward and backward pass when nothing else needs them.

Shapes: B rows (completions), G completions in a group, P prompts, T completion tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ...tasks.core.sources import digest
from ..config.train import TrainConfig
from ..engines.local import Sampling
from ..model.dense.packed import packs
from ..model.logprobs import completion_logprobs
from ..model.memory import by_microbatch
from ..model.optim import update
from ..model.policy import Policy
from ..model.sequences import Sequences, microbatches
from ..objective.advantages import group_advantages
from ..objective.kl import kl_per_token, rewards_with_kl
from ..objective.losses import Denominators, LossStats, combine, count_denominators, policy_loss
from ..objective.shaping import mask_truncated, soft_overlong_penalty
from ..rollouts.rollouts import Group


@dataclass(frozen=True)
class Batch:
    """A step's completions as tensors; row p * G + g is completion g of problem p.

    sampled_logprobs_BT: as recorded while sampling.  rewards_B, abstained_B: of the rubric.
    truncated_B: cut at the length limit.  mask_BT: True on completion tokens that count in the loss.
    advantages_BT: credit of each token, 0 until `credit` has set it.  ref_logprobs_BT: of the frozen reference, if any.
    """

    sequences: Sequences
    group_size: int
    sampled_logprobs_BT: Tensor
    rewards_B: Tensor
    abstained_B: Tensor
    truncated_B: Tensor
    mask_BT: Tensor
    advantages_BT: Tensor
    ref_logprobs_BT: Tensor | None = None

    @classmethod
    def of(cls, groups: Sequence[Group], device: torch.device) -> Batch:
        completions = [completion for group in groups for completion in group.completions_G]
        scores = [score for group in groups for score in group.scores_G]
        sequences = Sequences.of([c.prompt_ids for c in completions], [c.ids for c in completions], device)
        width = int(sequences.lengths_B.max())
        sampled = [[*c.logprobs, *[0.0] * (width - len(c.logprobs))] for c in completions]
        return cls(
            sequences,
            len(groups[0].completions_G),
            torch.tensor(sampled, device=device),
            torch.tensor([score.reward for score in scores], device=device),
            torch.tensor([score.abstained for score in scores], device=device),
            torch.tensor([completion.finish_reason == "length" for completion in completions], device=device),
            sequences.mask_BT,
            torch.zeros(len(completions), width, device=device),
        )

    def select(self, rows_B: Tensor) -> Batch:
        """Some of the rows, without the columns that none of them uses."""
        sequences = self.sequences.select(rows_B)
        width = int(sequences.lengths_B.max()) if len(sequences.lengths_B) else 0
        ref_BT = self.ref_logprobs_BT
        return Batch(
            sequences,
            self.group_size,
            self.sampled_logprobs_BT[rows_B, :width],
            self.rewards_B[rows_B],
            self.abstained_B[rows_B],
            self.truncated_B[rows_B],
            self.mask_BT[rows_B, :width],
            self.advantages_BT[rows_B, :width],
            None if ref_BT is None else ref_BT[rows_B, :width],
        )

    def minibatches(self, count: int, seed: object) -> Iterator[Batch]:
        """`count` parts of nearly equal size, in a seeded order of the rows; the batch itself for one part."""
        if count == 1:
            yield self
            return
        for rows_B in self.minibatch_rows(count, seed):
            yield self.select(rows_B)

    def minibatch_rows(self, count: int, seed: object) -> list[Tensor]:
        """Numbers of the rows of `count` parts of nearly equal size, in a seeded order; in their own order for one part."""
        order = torch.arange(len(self.rewards_B))
        if count > 1:
            order = order[torch.randperm(len(order), generator=torch.Generator().manual_seed(digest("minibatch", seed) >> 1))]
        return [rows_B for rows_B in order.to(self.rewards_B.device).tensor_split(count) if len(rows_B)]


@dataclass(frozen=True)
class StepResult:
    """What an update did. grad_norms: before clipping, of each optimizer step.

    logprob_difference_mean, _max: between the sampler and the first forward pass of the update, over trained tokens (nats);
    None when no row had a gradient.  extra: what else the algorithm measured, for the metrics.
    """

    batch: Batch
    stats: LossStats | None
    grad_norms: Sequence[float]
    logprob_difference_mean: float | None
    logprob_difference_max: float | None
    extra: Mapping[str, float | None] = field(default_factory=dict)


def grpo_step(
    policy: Policy,
    reference: Policy | None,
    optimizer: torch.optim.Optimizer,
    groups: Sequence[Group],
    config: TrainConfig,
    step: int,
    learning_rate: float,
) -> StepResult:
    """Credit the scored completions and update the policy's weights; what is random depends on (seed, step) alone."""
    batch = Batch.of(groups, policy.device)
    if reference is not None:
        batch = replace(batch, ref_logprobs_BT=reference_logprobs(reference, batch.sequences, config))
    batch = credit(batch, config)
    stats: list[LossStats] = []
    norms: list[float] = []
    differences: list[Tensor] = []
    policy.model.train()
    for epoch in range(config.updates_per_batch):
        for minibatch in batch.minibatches(config.minibatches, (config.seed, step, epoch)):
            denominators = count_denominators(minibatch.mask_BT, config.max_new_tokens)
            rows_B = rows_with_gradient(minibatch, config)
            if not len(rows_B):
                continue  # every group is dead: nothing to learn from, nothing to do
            parts = gradient(policy, minibatch.select(rows_B), denominators, config)
            if not norms:
                differences += [part.difference_N for part in parts]
            stats += [part.stats for part in parts]
            norms.append(update(policy.model, optimizer, learning_rate, config.max_grad_norm))
    difference_N = torch.cat(differences) if differences else None
    return StepResult(
        batch,
        combine(stats) if stats else None,
        norms,
        None if difference_N is None else float(difference_N.mean()),
        None if difference_N is None else float(difference_N.max()),
    )


def sampling_of(config: TrainConfig) -> Sampling:
    """Rollouts are drawn from the whole distribution (no top-k, no top-p): it is the one that the update differentiates."""
    return Sampling(temperature=config.temperature, max_new_tokens=config.max_new_tokens)


def shaped(batch: Batch, config: TrainConfig) -> Batch:
    """The batch with the length penalty in its rewards and without the tokens that don't count, where asked for."""
    rewards_B, mask_BT = batch.rewards_B, batch.mask_BT
    if config.overlong_cache:
        rewards_B = rewards_B + soft_overlong_penalty(batch.sequences.lengths_B, config.max_new_tokens, config.overlong_cache)
    if config.mask_truncated:
        mask_BT = mask_truncated(mask_BT, batch.truncated_B).bool()
    return replace(batch, rewards_B=rewards_B, mask_BT=mask_BT)


def credit(batch: Batch, config: TrainConfig) -> Batch:
    """Group-relative advantages, the same for every token of a completion; length and KL penalties where asked for."""
    batch = shaped(batch, config)
    rewards_B = batch.rewards_B
    if config.loss.kl_coef and config.loss.kl_in == "reward":
        assert batch.ref_logprobs_BT is not None
        kl_BT = kl_per_token(batch.sampled_logprobs_BT, batch.ref_logprobs_BT, config.loss.kl_estimator)
        rewards_B = rewards_with_kl(rewards_B, kl_BT, batch.sequences.mask_BT, config.loss.kl_coef)
    shape = (-1, batch.group_size)
    advantages_PG = group_advantages(rewards_B.view(shape), batch.abstained_B.view(shape), config.advantages)
    return replace(batch, advantages_BT=advantages_PG.view(-1, 1) * batch.mask_BT)


def rows_with_gradient(batch: Batch, config: TrainConfig) -> Tensor:
    """Numbers of the rows that can contribute: all of them under a KL or entropy term, else those with an advantage."""
    if (config.loss.kl_coef and config.loss.kl_in == "loss") or config.loss.entropy_coef:
        return torch.arange(len(batch.rewards_B), device=batch.rewards_B.device)
    return batch.advantages_BT.ne(0).any(-1).nonzero()[:, 0]


@torch.no_grad()
def reference_logprobs(reference: Policy, sequences: Sequences, config: TrainConfig) -> Tensor:
    """logprobs_BT of the completions under the frozen reference."""
    width = int(sequences.lengths_B.max())
    logprobs_BT = torch.zeros(len(sequences.ids_BS), width, device=sequences.ids_BS.device)
    with reference.arithmetic():
        for rows_B in microbatches(sequences, config.tokens_per_microbatch, packs(reference.model)):
            part = completion_logprobs(reference.model, sequences.select(rows_B), config.temperature).logprobs_BT
            logprobs_BT[rows_B, : part.shape[1]] = part
    return logprobs_BT


@dataclass(frozen=True)
class Part:
    """What one micro-batch adds. difference_N: |log-probability of sampler - of update| of its tokens, in nats."""

    stats: LossStats
    difference_N: Tensor


def gradient(policy: Policy, batch: Batch, denominators: Denominators, config: TrainConfig) -> list[Part]:
    """Add the gradient of the batch's share of the loss to the parameters, one micro-batch after the other.

    `denominators` are those of the whole optimizer step, so the sum over any parts of a batch, in any number of processes,
    is the same gradient.
    """
    return by_microbatch(
        policy,
        batch.sequences,
        config.tokens_per_microbatch,
        lambda rows_B: _backward(policy, batch.select(rows_B), denominators, config),
    )


def _backward(policy: Policy, batch: Batch, denominators: Denominators, config: TrainConfig) -> Part:
    """Back-propagate one micro-batch's share of the loss."""
    with policy.arithmetic():
        out = completion_logprobs(
            policy.model, batch.sequences, config.temperature, entropy_gradient=config.loss.entropy_coef != 0
        )
    result = policy_loss(
        out.logprobs_BT, batch.sampled_logprobs_BT, batch.advantages_BT, batch.mask_BT, config.loss, denominators,
        ref_logprobs_BT=batch.ref_logprobs_BT, entropy_BT=out.entropy_BT,
    )  # fmt: skip
    result.loss.backward()
    return Part(result.stats, (out.logprobs_BT.detach() - batch.sampled_logprobs_BT).abs()[batch.mask_BT])
