"""The update that all algorithms share: epochs x minibatches x micro-batches under one denominator.

What is random in it (the order of the minibatches, what a loss kind draws) depends on (seed, step) and on
the place in the batch alone.

Shapes: B rows (completions), T completion tokens, N completion tokens of all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ...tasks.core.seeds import digest
from ..config.train import TrainConfig
from ..distributed.world import find_world
from ..model.casts import hold_casts
from ..model.dense.packed import can_pack
from ..model.logprobs import TokenLogprobs, compute_logprobs
from ..model.microbatches import choose_microbatch_tokens, run_microbatches
from ..model.optim import update
from ..model.policy import Policy
from ..model.sequences import Sequences, split_into_microbatches
from ..model.sharded import count_missing, reshard, take_first
from ..model.shares import gather_tensors, sum_gradients, take_rows
from ..model.update_probe import check_update
from ..objective.covariance import draw_by_position
from ..objective.kinds import find_kind
from ..objective.losses import Denominators, combine, count_denominators, mark_tokens
from ..objective.shaping import shape_rewards
from ..rollouts.group import Criteria, Group
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
    if learner.whole is None:  # in shards it was tried before
        check_update(learner.policy)
    batch = shape_batch(Batch.of(groups, learner.policy.device), config)
    batch = add_reference_logprobs(batch, learner.reference, config)
    batch = learner.algorithm.credit(batch)
    learner.policy.model.train()
    batch = add_first_pass(batch, learner.policy, config)
    observed = learner.algorithm.observe(batch)
    taken: list[OptimizerStep] = []
    for minibatch in draw_minibatches(batch, config, step):
        minibatch = mark_minibatch(learner.policy, minibatch, config, moved=bool(taken))
        taken.append(take_optimizer_step(learner, minibatch, config, step, learning_rate))
        if taken[-1].stopped:
            break
    return finish_update(learner.algorithm, batch, taken, observed)


def draw_minibatches(batch: Batch, config: TrainConfig, step: int) -> Iterator[Batch]:
    """The minibatches of every pass over a batch, each pass in an order and with draws of its own."""
    for epoch in range(config.objective.updates_per_batch):
        seed, drawn = (config.seed, step, epoch), batch
        if find_kind(config.objective.loss.kind).mark is not None:
            device = batch.mask_BT.device
            rows_B, columns_T = (torch.arange(size, device=device) for size in batch.mask_BT.shape)
            draws_BT = draw_by_position(digest("mark", seed), rows_B, columns_T)
            drawn = replace(batch, columns_BT={**batch.columns_BT, "draws": draws_BT})
        yield from drawn.split_minibatches(config.objective.minibatches, seed)


def mark_minibatch(policy: Policy, minibatch: Batch, config: TrainConfig, moved: bool) -> Batch:
    """The minibatch with the tokens that the loss kind marks, by all of it and the policy of now.

    moved: whether the policy has been updated on this batch already; if not, its log-probabilities are known.
    """
    if "draws" not in minibatch.columns_BT:
        return minibatch
    loss, before_BT = config.objective.loss, minibatch.sampled_logprobs_BT
    if loss.corrects and minibatch.before_logprobs_BT is not None:
        before_BT = minibatch.before_logprobs_BT
    now_BT = before_BT
    if moved:
        tokens = choose_microbatch_tokens(config.optimizer)
        now_BT = run_pass(policy, minibatch.sequences, config.rollouts.temperature, tokens).logprobs_BT
    advantages_BT, draws_BT = minibatch.advantages_BT, minibatch.columns_BT["draws"]
    marked_BT = mark_tokens(now_BT, before_BT, advantages_BT, minibatch.mask_BT, loss, draws_BT)
    assert marked_BT is not None
    return replace(minibatch, columns_BT={**minibatch.columns_BT, "marked": marked_BT})


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
    parts = add_shared_gradient(learner, minibatch.select(rows_B), denominators, tokens, step)
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


def finish_update(
    algorithm: Algorithm, batch: Batch, taken: Sequence[OptimizerStep], observed: Mapping[str, float | None]
) -> StepResult:
    """Let the algorithm end its step, and put together what the update measured, at its beginning too."""
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
            **observed,
            **algorithm.finish(batch, parts),
        },
    )


def add_shared_gradient(
    learner: Learner, batch: Batch, denominators: Denominators, tokens: int, step: int
) -> list[Part]:
    """`add_gradient` of a batch whose rows are divided over the processes of the run: each has the gradient
    of all of them, and the parts of all."""
    rows_B = take_rows(batch.sequences)
    parts = add_gradient(learner, batch.select(rows_B), denominators, tokens, step) if len(rows_B) else []
    for _ in range(count_missing(learner.policy, batch.sequences, tokens)):
        nothing = batch.select(rows_B.new_zeros(1))
        nothing = replace(nothing, mask_BT=torch.zeros_like(nothing.mask_BT))
        add_gradient(learner, nothing, denominators, tokens, step)
    sum_gradients([learner.policy.model, *(trained.module for trained in learner.algorithm.trained)])
    return gather_tensors(parts)


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
        batch.own_BT.sum(1),
        config.objective,
        config.rollouts.max_new_tokens,
    )
    mask_BT = batch.mask_BT & shaped.counts_B[:, None]
    batch = replace(batch, rewards_B=shaped.rewards_B, mask_BT=mask_BT)
    if batch.criteria_BK is None or batch.weights_K is None:
        return batch
    criteria = Criteria(batch.criteria_BK, batch.weights_K).add_penalty(shaped)
    return replace(batch, criteria_BK=criteria.values_BK, weights_K=criteria.weights_K)


def add_reference_logprobs(batch: Batch, reference: Policy | None, config: TrainConfig) -> Batch:
    """The batch with the log-probabilities of the frozen reference, where there is one."""
    if reference is None:
        return batch
    tokens = choose_microbatch_tokens(config.optimizer)
    ref_BT = run_pass(reference, batch.sequences, config.rollouts.temperature, tokens).logprobs_BT
    return replace(batch, ref_logprobs_BT=ref_BT)


def add_first_pass(batch: Batch, policy: Policy, config: TrainConfig) -> Batch:
    """The batch with log-probabilities and entropies of the policy before its first update, where they are
    needed: for a correction of the sampler with several updates, or a bonus that follows the entropy.

    A single update is that pass itself.
    """
    loss = config.objective.loss
    corrects = loss.corrects and config.objective.updates > 1
    if not corrects and not loss.entropy_target:
        return batch
    tokens = choose_microbatch_tokens(config.optimizer)
    out = run_pass(policy, batch.sequences, config.rollouts.temperature, tokens)
    return replace(batch, before_logprobs_BT=out.logprobs_BT, entropy_BT=out.entropy_BT)


@torch.no_grad()
def run_pass(policy: Policy, sequences: Sequences, temperature: float, tokens: int) -> TokenLogprobs:
    """Log-probabilities and entropies of the completions under a policy, without gradient, in micro-batches
    of at most `tokens` tokens. Each process of the run takes its share of the rows."""
    width = int(sequences.lengths_B.max())
    logprobs_BT = torch.zeros(len(sequences.ids_BS), width, device=sequences.ids_BS.device)
    entropy_BT = torch.zeros_like(logprobs_BT)
    mine_B = take_rows(sequences)
    mine = sequences.select(mine_B)
    with hold_casts(policy.device), policy.autocast():
        for places_B in split_into_microbatches(mine, tokens, can_pack(policy.model)):
            part = compute_logprobs(policy.model, mine.select(places_B), temperature)
            rows_B = mine_B[places_B]
            logprobs_BT[rows_B, : part.logprobs_BT.shape[1]] = part.logprobs_BT
            entropy_BT[rows_B, : part.entropy_BT.shape[1]] = part.entropy_BT
        for _ in range(count_missing(policy, sequences, tokens)):
            compute_logprobs(policy.model, take_first(sequences), temperature)
        reshard(policy.model)
    for found_BT in (logprobs_BT, entropy_BT):
        find_world().sum(found_BT, "update")  # 0 but in one process
    return TokenLogprobs(logprobs_BT, entropy_BT)
