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

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..config.train import TrainConfig
from ..model.optim import update
from ..model.policy import Policy
from ..objective.advantages import group_advantages
from ..objective.kl import kl_per_token, rewards_with_kl
from ..objective.losses import LossStats, combine, count_denominators
from ..rollouts.group import Group
from .base import StepResult
from .batch import Batch
from .update import gradient, reference_logprobs, shaped


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
