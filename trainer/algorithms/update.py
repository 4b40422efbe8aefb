"""The update that all algorithms share: epochs x minibatches x micro-batches under one denominator.

What is random in it (the order of the minibatches) depends on (seed, step) alone.

Shapes: B rows (completions), T completion tokens, N completion tokens of all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..config.train import TrainConfig
from ..model.dense.packed import can_pack
from ..model.logprobs import compute_logprobs
from ..model.microbatches import choose_microbatch_tokens, run_microbatches
from ..model.optim import update
from ..model.policy import Policy
from ..model.sequences import Sequences, split_into_microbatches
from ..objective.losses import Denominators, combine, count_denominators
from ..objective.shaping import shape_rewards
from ..rollouts.group import Group
from .base import Algorithm, Learner, Part, StepResult
from .batch import Batch


@dataclass(frozen=True)
class OptimizerStep:
    """What one minibatch gave. parts: of its micro-batches, none when no row of it has a gradient.

    policy_norm: of the policy's gradient before clipping, None where the policy did not learn.
    other_norms: of each module trained beside it.  stopped: the update ends here.
    """

    parts: Sequence[Part] = ()
    policy_norm: float | None = None
    other_norms: Mapping[str, float] = field(default_factory=dict)
    stopped: bool = False


def update_policy(
    learner: Learner, groups: Sequence[Group], config: TrainConfig, step: int, learning_rate: float
) -> StepResult:
    """Credit the scored completions and update the weights of the policy and of what the algorithm trains
    beside it."""
    batch = shape_batch(Batch.of(groups, learner.policy.device), config)
    batch = add_reference_logprobs(batch, learner.reference, config)
    batch = learner.algorithm.credit(batch)
    learner.policy.model.train()
    taken: list[OptimizerStep] = []
    for minibatch in draw_minibatches(batch, config, step):
        taken.append(take_optimizer_step(learner, minibatch, config, step, learning_rate))
        if taken[-1].stopped:
            break
    return finish_update(learner.algorithm, batch, taken)


def draw_minibatches(batch: Batch, config: TrainConfig, step: int) -> Iterator[Batch]:
    """The minibatches of every pass over a batch, each pass in an order of its own."""
    for epoch in range(config.objective.updates_per_batch):
        yield from batch.split_minibatches(config.objective.minibatches, (config.seed, step, epoch))


def take_optimizer_step(
    learner: Learner, minibatch: Batch, config: TrainConfig, step: int, learning_rate: float
) -> OptimizerStep:
    """One optimizer step on a minibatch; none when no row has a gradient, or where the algorithm stops."""
    algorithm, max_grad_norm = learner.algorithm, config.optimizer.max_grad_norm
    denominators = count_denominators(minibatch.mask_BT, config.rollouts.max_new_tokens)
    rows_B = algorithm.rows_with_gradient(minibatch)
    if not len(rows_B):
        return OptimizerStep()
    tokens = choose_microbatch_tokens(config.optimizer)
    parts = add_gradient(learner, minibatch.select(rows_B), denominators, tokens, step)
    if algorithm.stops(parts):  # nothing is learned from the minibatch that shows it
        for used in (learner.optimizer, *(trained.optimizer for trained in algorithm.trained)):
            used.zero_grad(set_to_none=True)
        return OptimizerStep(parts, stopped=True)
    other_norms = {
        trained.name: update(trained.module, trained.optimizer, trained.learning_rate, max_grad_norm)
        for trained in algorithm.trained
    }
    policy_norm = None
    if algorithm.trains_policy(step):
        policy_norm = update(learner.policy.model, learner.optimizer, learning_rate, max_grad_norm)
    return OptimizerStep(parts, policy_norm, other_norms)


def finish_update(algorithm: Algorithm, batch: Batch, taken: Sequence[OptimizerStep]) -> StepResult:
    """Let the algorithm end its step, and put together what the update measured."""
    parts = [part for one in taken for part in one.parts]
    stats = [part.stats for part in parts if part.stats is not None]
    norms = [one.policy_norm for one in taken if one.policy_norm is not None]
    other_norms: dict[str, float] = {}  # the last of each
    for one in taken:
        other_norms |= one.other_norms
    # The policy of the first optimizer step is still the sampler's.
    first = next((one.parts for one in taken if one.parts), ())
    difference_N = torch.cat([part.difference_N for part in first]) if first else None
    return StepResult(
        batch=batch,
        stats=combine(stats) if stats else None,
        grad_norms=[*other_norms.values(), *norms],
        updates=len(norms),
        logprob_difference_mean=None if difference_N is None else float(difference_N.mean()),
        logprob_difference_max=None if difference_N is None else float(difference_N.max()),
        extra={
            **{f"{name}_grad_norm": norm for name, norm in other_norms.items()},
            "stopped_early": float(any(one.stopped for one in taken)),
            **algorithm.finish(batch, parts),
        },
    )


def add_gradient(
    learner: Learner, batch: Batch, denominators: Denominators, tokens: int, step: int = 0
) -> list[Part]:
    """Add the gradient of the batch's share of the loss to the parameters,
    in micro-batches of at most `tokens` tokens.

    `denominators` are those of the whole optimizer step, so the sum over any parts of a batch, in any number
    of processes, is the same gradient.
    """

    def add(rows_B: Tensor) -> Part:
        part = learner.algorithm.loss(batch.select(rows_B), denominators, step)
        part.loss.backward()
        return replace(part, loss=part.loss.detach())

    others = [trained.module for trained in learner.algorithm.trained]
    return run_microbatches(learner.policy, batch.sequences, tokens, add, *others)


def shape_batch(batch: Batch, config: TrainConfig) -> Batch:
    """The batch with the length penalty in its rewards and without the tokens of what does not count."""
    shaped = shape_rewards(
        batch.rewards_B,
        batch.abstained_B,
        batch.truncated_B,
        batch.sequences.lengths_B,
        config.objective,
        config.rollouts.max_new_tokens,
    )
    mask_BT = batch.mask_BT & shaped.counts_B[:, None]
    return replace(batch, rewards_B=shaped.rewards_B, mask_BT=mask_BT)


def add_reference_logprobs(batch: Batch, reference: Policy | None, config: TrainConfig) -> Batch:
    """The batch with the log-probabilities of the frozen reference, where there is one."""
    if reference is None:
        return batch
    tokens = choose_microbatch_tokens(config.optimizer)
    ref_BT = compute_reference_logprobs(reference, batch.sequences, config.rollouts.temperature, tokens)
    return replace(batch, ref_logprobs_BT=ref_BT)


@torch.no_grad()
def compute_reference_logprobs(
    reference: Policy, sequences: Sequences, temperature: float, tokens: int
) -> Tensor:
    """logprobs_BT of the completions under the frozen reference,
    in micro-batches of at most `tokens` tokens."""
    width = int(sequences.lengths_B.max())
    logprobs_BT = torch.zeros(len(sequences.ids_BS), width, device=sequences.ids_BS.device)
    with reference.autocast():
        for rows_B in split_into_microbatches(sequences, tokens, can_pack(reference.model)):
            part = compute_logprobs(reference.model, sequences.select(rows_B), temperature).logprobs_BT
            logprobs_BT[rows_B, : part.shape[1]] = part
    return logprobs_BT
