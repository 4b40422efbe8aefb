"""The update that all algorithms share: epochs x minibatches x micro-batches under one denominator.

What is random in it (the order of the minibatches) depends on (seed, step) alone.

Shapes: B rows (completions), T completion tokens, N completion tokens of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..config.presets import ObjectiveConfig
from ..config.settings import resolve
from ..config.train import TrainConfig
from ..model.dense.packed import can_pack
from ..model.logprobs import compute_logprobs
from ..model.microbatches import run_microbatches
from ..model.optim import update
from ..model.policy import Policy
from ..model.sequences import TOKENS, Sequences, split_into_microbatches
from ..objective.losses import Denominators, combine, count_denominators
from ..objective.shaping import compute_overlong_penalty, mask_truncated
from ..rollouts.group import Group
from .base import Learner, Part, StepResult
from .batch import Batch


@dataclass
class Passes:
    """What the passes over a batch leave behind. first: parts of the first optimizer step,
    whose policy is the sampler's.

    norms: of the policy's gradient.  other_norms: the last of each module trained beside it.
    """

    parts: list[Part] = field(default_factory=list)
    first: int = 0
    norms: list[float] = field(default_factory=list)
    other_norms: dict[str, float] = field(default_factory=dict)
    stopped: bool = False


def update_policy(
    learner: Learner, groups: Sequence[Group], config: TrainConfig, step: int, learning_rate: float
) -> StepResult:
    """Credit the scored completions and update the weights of the policy and of what the algorithm trains
    beside it."""
    policy, algorithm = learner.policy, learner.algorithm
    batch = shape_rewards(Batch.of(groups, policy.device), config.objective, config.rollouts.max_new_tokens)
    if learner.reference is not None:
        tokens = resolve(config.optimizer.tokens_per_microbatch, TOKENS)
        reference_BT = compute_reference_logprobs(
            learner.reference, batch.sequences, config.rollouts.temperature, tokens
        )
        batch = replace(batch, ref_logprobs_BT=reference_BT)
    batch = algorithm.credit(batch)
    policy.model.train()
    passes = Passes()
    for epoch in range(config.objective.updates_per_batch):
        for minibatch in batch.split_minibatches(config.objective.minibatches, (config.seed, step, epoch)):
            if not passes.stopped:
                take_step(learner, minibatch, config, step, learning_rate, passes)
    norms = {f"{name}_grad_norm": norm for name, norm in passes.other_norms.items()}
    measured = {**norms, "stopped_early": float(passes.stopped), **algorithm.finish(batch, passes.parts)}
    stats = [part.stats for part in passes.parts if part.stats is not None]
    difference_N = (
        torch.cat([part.difference_N for part in passes.parts[: passes.first]]) if passes.first else None
    )
    return StepResult(
        batch,
        combine(stats) if stats else None,
        [*passes.other_norms.values(), *passes.norms],
        len(passes.norms),
        None if difference_N is None else float(difference_N.mean()),
        None if difference_N is None else float(difference_N.max()),
        measured,
    )


def take_step(
    learner: Learner, minibatch: Batch, config: TrainConfig, step: int, learning_rate: float, passes: Passes
) -> None:
    """One optimizer step on a minibatch, entered into `passes`; none when no row of it has a gradient."""
    algorithm = learner.algorithm
    max_grad_norm = config.optimizer.max_grad_norm
    denominators = count_denominators(minibatch.mask_BT, config.rollouts.max_new_tokens)
    rows_B = algorithm.rows_with_gradient(minibatch)
    if not len(rows_B):
        return
    tokens = resolve(config.optimizer.tokens_per_microbatch, TOKENS)
    parts = add_gradient(learner, minibatch.select(rows_B), denominators, tokens, step)
    passes.parts += parts
    passes.first = passes.first or len(parts)
    passes.stopped = algorithm.stops(parts)
    if passes.stopped:  # nothing is learned from the minibatch that shows it
        for used in (learner.optimizer, *(trained.optimizer for trained in algorithm.trained)):
            used.zero_grad(set_to_none=True)
        return
    for trained in algorithm.trained:
        norm = update(trained.module, trained.optimizer, trained.learning_rate, max_grad_norm)
        passes.other_norms[trained.name] = norm
    if algorithm.trains_policy(step):
        passes.norms.append(update(learner.policy.model, learner.optimizer, learning_rate, max_grad_norm))


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


def shape_rewards(batch: Batch, config: ObjectiveConfig, max_new_tokens: int) -> Batch:
    """The batch with the length penalty in its rewards and without the tokens that don't count.

    Those of completions that could not be scored never do; those of truncated ones don't where that was asked
    for.
    """
    rewards_B, mask_BT = batch.rewards_B, batch.mask_BT & ~batch.abstained_B[:, None]
    if config.overlong_cache:
        lengths_B = batch.sequences.lengths_B
        rewards_B = rewards_B + compute_overlong_penalty(lengths_B, max_new_tokens, config.overlong_cache)
    if config.mask_truncated:
        mask_BT = mask_truncated(mask_BT, batch.truncated_B).bool()
    return replace(batch, rewards_B=rewards_B, mask_BT=mask_BT)


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
