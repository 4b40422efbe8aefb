"""Fit a reward model to comparisons by the Bradley-Terry likelihood, and measure it.

Shapes: B answers of a micro-batch, N pairs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from ...tasks import Problem
from ..config.objective import PreferenceConfig
from ..config.reward_model import RewardModelConfig
from ..model.optim import Schedule, adamw, update
from ..model.policy import SMALL
from ..objective.preference import preference_loss
from ..reports.progress import progress
from ..sft.fit import batch_indices
from ..storage.interrupts import Interrupts
from .data import Comparison
from .metrics import PreferenceMetrics, preference_metrics
from .model import RewardModel, Statistics, by_length

STATISTICS_ANSWERS = 4096  # answers whose rewards give the mean and standard deviation


@dataclass(frozen=True)
class Encoded:
    """A comparison as token ids: rows_K is the prompt with each answer.  lengths_K: tokens of the answers.
    ranks_K: 0 for the best."""

    rows_K: Sequence[Sequence[int]]
    lengths_K: Sequence[int]
    ranks_K: Sequence[int]
    margin: float


@dataclass(frozen=True)
class RewardFit:
    """reward_model: with its statistics.  losses: of each step, in nats."""

    reward_model: RewardModel
    losses: Sequence[float]
    seconds: float
    interrupted: bool


def encode(reward_model: RewardModel, comparisons: Sequence[Comparison], instruction: str, max_tokens: int) -> list[Encoded]:
    """The comparisons all of whose answers, with the prompt, have at most `max_tokens` tokens."""
    found = []
    for item in comparisons:
        problem = Problem(prompt=item.prompt)
        prompt = len(reward_model.encode(problem, "", instruction))
        rows = [reward_model.encode(problem, answer, instruction) for answer in item.answers_K]
        if max(map(len, rows)) <= max_tokens:
            found.append(Encoded(rows, [len(row) - prompt for row in rows], item.ranks_K, item.margin))
    return found


def fit_reward_model(
    reward_model: RewardModel,
    data: Sequence[Encoded],
    config: RewardModelConfig,
    stop: Interrupts | None = None,
    after_step: Callable[[int, float], None] | None = None,
) -> RewardFit:
    """Train in place: seeded epochs of prompts, AdamW, the mean over prompts of the mean over their pairs.

    after_step: called with the number of steps done and the loss.
    """
    count = sum(parameter.numel() for parameter in reward_model.model.parameters())
    peak = config.learning_rate or (1e-3 if count < SMALL else 1e-5)
    schedule = Schedule(peak, config.steps, config.warmup_steps, config.schedule, config.final_learning_rate)
    optimizer = adamw(reward_model.model, config.weight_decay, (0.9, 0.98))
    reward_model.model.train()
    losses: list[float] = []
    start = time.perf_counter()
    bar = progress(range(config.steps), desc="reward model", unit="step")
    for step in bar:
        chosen = [data[i] for i in batch_indices(len(data), config.batch_size, step, config.seed)]
        losses.append(_backward(reward_model, chosen, config))
        update(reward_model.model, optimizer, schedule.at(step), config.max_grad_norm)
        if step % 20 == 0 or step + 1 == config.steps:
            bar.set_postfix(loss=f"{sum(losses[-20:]) / len(losses[-20:]):.3f}", refresh=False)
        if after_step is not None:
            after_step(step + 1, losses[-1])
            reward_model.model.train()
        if stop is not None and stop.requested:
            break
    bar.close()
    reward_model.model.eval().requires_grad_(False)
    fitted = replace(reward_model, statistics=statistics(reward_model, data, config.tokens_per_microbatch))
    interrupted = stop is not None and stop.requested is not None
    return RewardFit(fitted, losses, time.perf_counter() - start, interrupted)


def statistics(reward_model: RewardModel, data: Sequence[Encoded], tokens_per_microbatch: int) -> Statistics:
    """Mean and standard deviation of the rewards of the first answers of `data`."""
    rows = [row for item in data for row in item.rows_K][:STATISTICS_ANSWERS]
    rewards = torch.tensor(reward_model.rewards(rows, tokens_per_microbatch), dtype=torch.float64)
    # All answers alike in reward: nothing was learned, and dividing by 0 must not make noise look like a preference.
    return Statistics(float(rewards.mean()), float(rewards.std(correction=0)) or 1.0, len(rows))


def measure(reward_model: RewardModel, data: Sequence[Encoded], config: RewardModelConfig) -> PreferenceMetrics:
    """The metrics on comparisons; leaves the model in evaluation mode."""
    reward_model.model.eval()
    rewards = iter(reward_model.rewards([row for item in data for row in item.rows_K], config.tokens_per_microbatch))
    rewards_PK = padded([[next(rewards) for _ in item.rows_K] for item in data], 0.0)
    ranks_PK, lengths_PK = padded([item.ranks_K for item in data], -1), padded([item.lengths_K for item in data], 0)
    loss = preference_loss(rewards_PK, ranks_PK, PreferenceConfig(), len(data)).loss
    return preference_metrics(rewards_PK, ranks_PK, lengths_PK, float(loss))


def padded(values_PK: Sequence[Sequence[float]], fill: float) -> torch.Tensor:
    """Rows of unlike length as one tensor, filled up on the right."""
    width = max(map(len, values_PK))
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in values_PK])


def _backward(reward_model: RewardModel, chosen: Sequence[Encoded], config: RewardModelConfig) -> float:
    """Back-propagate a step's loss, a micro-batch of whole comparisons at a time; returns the loss."""
    total = 0.0
    longest = [max(map(len, item.rows_K)) * len(item.rows_K) for item in chosen]
    for part in by_length(longest, config.tokens_per_microbatch):
        items = [chosen[index] for index in part]
        rewards_R = reward_model.raw([row for item in items for row in item.rows_K])
        ranks_PK = padded([item.ranks_K for item in items], -1).to(rewards_R.device)
        rewards_PK = torch.zeros(ranks_PK.shape, device=rewards_R.device).masked_scatter(ranks_PK >= 0, rewards_R)
        margins_P = torch.tensor([item.margin for item in items], device=rewards_R.device)
        margins_PKK = margins_P[:, None, None].expand(-1, ranks_PK.shape[1], ranks_PK.shape[1])
        result = preference_loss(rewards_PK, ranks_PK, config.loss, len(chosen), margins_PKK=margins_PKK)
        result.loss.backward()
        total += float(result.loss.detach())
    return total
