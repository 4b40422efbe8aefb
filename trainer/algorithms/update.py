"""What the updates of all algorithms share: shaped rewards, the reference's log-probabilities, the gradient by micro-batches.

Shapes: B rows (completions), T completion tokens, N completion tokens of all rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..config.train import TrainConfig
from ..model.dense.packed import packs
from ..model.logprobs import completion_logprobs
from ..model.microbatches import by_microbatch
from ..model.policy import Policy
from ..model.sequences import Sequences, microbatches
from ..objective.losses import Denominators, LossStats, policy_loss
from ..objective.shaping import mask_truncated, soft_overlong_penalty
from .batch import Batch


def shaped(batch: Batch, config: TrainConfig) -> Batch:
    """The batch with the length penalty in its rewards and without the tokens that don't count, where asked for."""
    rewards_B, mask_BT = batch.rewards_B, batch.mask_BT
    if config.overlong_cache:
        rewards_B = rewards_B + soft_overlong_penalty(batch.sequences.lengths_B, config.max_new_tokens, config.overlong_cache)
    if config.mask_truncated:
        mask_BT = mask_truncated(mask_BT, batch.truncated_B).bool()
    return replace(batch, rewards_B=rewards_B, mask_BT=mask_BT)


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
