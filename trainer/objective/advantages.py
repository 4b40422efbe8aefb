"""Group-relative advantages. Suffixes: P prompts, G completions in a group, K criteria of the rubric, B rows
(completions), T tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ..config.objective import AdvantageConfig


def apply_within(tasks_X: Tensor | None, compute: Callable[..., Tensor], *values: Tensor) -> Tensor:
    """`compute` of the values of each task by themselves, put back in their order; of all at once for None.

    tasks_X: the task of each row, as numbers.  values: tensors whose first dimension is X.
    compute: gives a tensor whose first dimension is X, too.
    """
    if tasks_X is None:
        return compute(*values)
    rows = [(tasks_X == task).nonzero()[:, 0] for task in tasks_X.unique()]
    parts = [compute(*(value[rows_X] for value in values)) for rows_X in rows]
    return torch.cat(parts)[torch.cat(rows).argsort()]


def compute_group_advantages(
    rewards_PG: Tensor, abstained_PG: Tensor, config: AdvantageConfig, rounding: float = 0.0
) -> Tensor:
    """Advantages of completions, in the unit of the reward or, scaled, in standard deviations; shape P x G.

    baseline="mean", scale="group": GRPO (Shao et al. 2024, arXiv:2402.03300, section 4.1.2); scale="none":
    Dr. GRPO (Liu et al. 2025, arXiv:2503.20783); scale="batch": Liu et al. 2025 (arXiv:2508.08221);
    baseline="leave_one_out": RLOO (Ahmadian et al. 2024, arXiv:2402.14740); normalise_batch:
    REINFORCE++ (Hu 2025, arXiv:2501.03262).

    rewards_PG: any unit, float32 or float64. abstained_PG: bool, True where there is no verdict; those
    entries (their reward may be nan) stay out of every mean and standard deviation and get 0. Where the
    baseline or the scale needs others of the group, a group with fewer than 2 scored completions gets 0.
    rounding: up to which rewards of a group are equal, in their unit; for what is no reward as it was given,
    but a difference of such.

    The batch is the tensor: with several processes, gather the rewards of all of them first.
    Raises ValueError for a group of one where a group is needed.
    """
    if rewards_PG.shape != abstained_PG.shape or rewards_PG.dim() != 2:
        raise ValueError(
            f"Rewards {tuple(rewards_PG.shape)} and abstentions {tuple(abstained_PG.shape)} must have one "
            "shape, P x G."
        )
    if config.needs_group and rewards_PG.shape[1] == 1:
        raise ValueError(
            f"A group of one completion has no baseline (baseline={config.baseline!r}, "
            f"scale={config.scale!r}): "
            "its advantage would always be 0. Sample 2 or more completions per prompt, or use "
            "baseline='none'."
        )
    scored_PG = ~abstained_PG.bool()
    if config.needs_group:
        scored_PG = scored_PG & (scored_PG.sum(1, keepdim=True) >= 2)
    # Zeros instead of what the abstained hold: nan * 0 would be nan.
    rewards_PG = torch.where(scored_PG, rewards_PG, 0.0)
    count_P1 = scored_PG.sum(1, keepdim=True).clamp(min=1).to(rewards_PG.dtype)
    advantages_PG = rewards_PG
    if config.baseline != "none":
        advantages_PG = rewards_PG - rewards_PG.sum(1, keepdim=True) / count_P1
        # Equal rewards carry no signal; the rounding of their mean must not become one when the scale divides
        # by it.
        first_P1 = rewards_PG.gather(1, scored_PG.int().argmax(1, keepdim=True))
        equal_PG = torch.isclose(rewards_PG, first_P1, rtol=0.0, atol=rounding)
        equal_P1 = (equal_PG | ~scored_PG).all(1, keepdim=True)
        advantages_PG = torch.where(equal_P1, 0.0, advantages_PG)
    if config.baseline == "leave_one_out":  # r - mean of the others = (r - mean of all) * n / (n - 1)
        advantages_PG = advantages_PG * (count_P1 / (count_P1 - 1).clamp(min=1))
    if config.scale != "none":
        std = _compute_std(rewards_PG, scored_PG, config.ddof, over_batch=config.scale == "batch")
        advantages_PG = _divide(advantages_PG, std + config.epsilon)
    if config.normalise_batch:
        advantages_PG = normalise_over_batch(advantages_PG, scored_PG, config, rounding)
    return torch.where(scored_PG, advantages_PG, 0.0)


def compute_criteria_advantages(
    values_PGK: Tensor, weights_K: Tensor, abstained_PG: Tensor, config: AdvantageConfig
) -> Tensor:
    """Advantages from each criterion's values by themselves, in standard deviations; shape P x G.

    GDPO (Liu et al. 2026, arXiv:2601.05242): the values of a criterion are centred and scaled as those of a
    reward are, the advantages of a completion are the weighted sum, and with normalise_batch that sum is
    centred and scaled over the batch. Where the sum came first, completions with different values and equal
    sums could not be told apart.

    values_PGK: as the rubric gives them; nan where a criterion has no value for a completion, which then
    stays out of that criterion's means. abstained_PG: as for `compute_group_advantages`.
    """
    apart = replace(config, normalise_batch=False)
    advantages_PG = torch.zeros_like(values_PGK[..., 0])
    sizes_PG = torch.zeros_like(advantages_PG)
    for values_PG, weight in zip(values_PGK.unbind(-1), weights_K.tolist(), strict=True):
        missing_PG = abstained_PG | values_PG.isnan()
        term_PG = weight * compute_group_advantages(values_PG, missing_PG, apart)
        advantages_PG, sizes_PG = advantages_PG + term_PG, sizes_PG + term_PG.abs()
    if not config.normalise_batch:
        return advantages_PG
    scored_PG = ~abstained_PG & ((~abstained_PG).sum(1, keepdim=True) >= (2 if config.needs_group else 1))
    # Terms that cancel leave the rounding of their sum, a few units in the last place of each.
    rounding = 4 * values_PGK.shape[-1] * torch.finfo(sizes_PG.dtype).eps * sizes_PG.max()
    return torch.where(scored_PG, normalise_over_batch(advantages_PG, scored_PG, config, rounding), 0.0)


def spread_over_tokens(
    advantages_BT: Tensor, kl_BT: Tensor, mask_BT: Tensor, beta: float, config: AdvantageConfig
) -> Tensor:
    """Advantages of tokens where each is charged for its KL to the reference; shape B x T, 0 where masked.

    REINFORCE++ (Hu et al. 2025, arXiv:2501.03262), equations 8 and 10: A_t = A - beta times the sum of the KL
    of token t and of all that follow it in the completion (no discount); with normalise_batch then less their
    mean and divided by their standard deviation, over all tokens of the batch.

    advantages_BT: of completions (B x 1), or of each token's turn; not normalised over the batch.
    kl_BT: of the policy that sampled, in nats.
    The batch is the tensor: with several processes, gather all of it first.
    """
    keep_BT = mask_BT > 0
    charged_BT = torch.where(keep_BT, beta * kl_BT, 0.0)
    to_come_BT = charged_BT.flip(1).cumsum(1).flip(1)
    advantages_BT = torch.where(keep_BT, advantages_BT - to_come_BT, 0.0)
    if config.normalise_batch:
        advantages_BT = normalise_over_batch(advantages_BT, keep_BT, config)
    return torch.where(keep_BT, advantages_BT, 0.0)


def normalise_over_batch(
    values_XY: Tensor, counted_XY: Tensor, config: AdvantageConfig, rounding: Tensor | float = 0.0
) -> Tensor:
    """Values less the mean of the counted ones, divided by their standard deviation. The batch is the tensor.

    0 where the counted ones are equal, up to `rounding` in their unit: else that of their mean would become a
    signal.
    """
    counted_N = values_XY[counted_XY]
    if not len(counted_N) or counted_N.max() - counted_N.min() <= rounding:
        return torch.zeros_like(values_XY)
    values_XY = torch.where(counted_XY, values_XY, 0.0)
    std = _compute_std(values_XY, counted_XY, config.ddof, over_batch=True)
    mean = values_XY.sum() / counted_XY.sum().clamp(min=1)
    return _divide(values_XY - mean, std + config.epsilon)


def _divide(numerator_PG: Tensor, denominator: Tensor) -> Tensor:
    """0 / 0 is 0: without an epsilon a group of equal rewards has no spread to divide by."""
    return torch.where(numerator_PG == 0, 0.0, numerator_PG / denominator)


def _compute_std(values_PG: Tensor, scored_PG: Tensor, ddof: int, over_batch: bool) -> Tensor:
    """Standard deviation of the scored entries of each row (P x 1) or of the batch (no dimension);
    0 for one entry."""
    axes = (0, 1) if over_batch else 1
    count = scored_PG.sum(axes, keepdim=not over_batch)
    mean = values_PG.sum(axes, keepdim=not over_batch) / count.clamp(min=1)
    squares = torch.where(scored_PG, (values_PG - mean) ** 2, 0.0).sum(axes, keepdim=not over_batch)
    return (squares / (count - ddof).clamp(min=1)).sqrt()
