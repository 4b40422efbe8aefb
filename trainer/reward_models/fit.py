"""Fit a reward model to comparisons by the Bradley-Terry likelihood, and measure it.

Shapes: B answers of a micro-batch, N pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ...tasks import Problem
from ..config.objective import PreferenceConfig
from ..config.reward_model import RewardModelConfig
from ..config.settings import resolve
from ..model.optim import Rates
from ..objective.preference import compute_preference_loss
from ..storage.interrupts import Interrupts
from ..supervised.loop import FIT_TOKENS, Fit, Pace, run_fit
from .data import Comparison
from .metrics import PreferenceMetrics, measure_preferences
from .model import RewardModel, Statistics, group_by_length

RATES = Rates(small=1e-3, large=1e-5)
STATISTICS_ANSWERS = 4096  # answers whose rewards give the mean and standard deviation


@dataclass(frozen=True)
class Encoded:
    """A comparison as token ids: rows_K is the prompt with each answer.  lengths_K: tokens of the answers.
    ranks_K: 0 for the best."""

    rows_K: Sequence[Sequence[int]]
    lengths_K: Sequence[int]
    ranks_K: Sequence[int]
    margin: float


def encode(
    reward_model: RewardModel, comparisons: Sequence[Comparison], instruction: str, max_tokens: int
) -> list[Encoded]:
    """The comparisons all of whose answers, with the prompt, have at most `max_tokens` tokens."""
    encoded = []
    for item in comparisons:
        problem = Problem(prompt=item.prompt)
        prompt = len(reward_model.encode(problem, "", instruction))
        rows = [reward_model.encode(problem, answer, instruction) for answer in item.answers_K]
        if max(map(len, rows)) <= max_tokens:
            encoded.append(Encoded(rows, [len(row) - prompt for row in rows], item.ranks_K, item.margin))
    return encoded


def prefer(
    reward_model: RewardModel, data: Sequence[Encoded], loss: PreferenceConfig, tokens_per_microbatch: int
) -> Fit:
    """The fit of a reward model to comparisons: the mean over prompts of the mean over their pairs."""

    def add_gradient(chosen: Sequence[int]) -> float:
        return _backpropagate(reward_model, [data[index] for index in chosen], loss, tokens_per_microbatch)

    return Fit("reward model", reward_model.model, len(data), add_gradient, RATES)


def fit_reward_model(
    reward_model: RewardModel,
    data: Sequence[Encoded],
    config: RewardModelConfig,
    stop: Interrupts | None = None,
) -> RewardModel:
    """Train in place on `data`, without a folder or a checkpoint; returns it frozen, with its statistics."""
    tokens = resolve(config.optimizer.tokens_per_microbatch, FIT_TOKENS)
    run_fit(prefer(reward_model, data, config.loss, tokens), make_pace(config), config.optimizer, stop)
    return freeze(reward_model, data, tokens)


def make_pace(config: RewardModelConfig) -> Pace:
    return Pace(config.steps, config.comparisons.batch_size, config.seed)


def freeze(reward_model: RewardModel, data: Sequence[Encoded], tokens_per_microbatch: int) -> RewardModel:
    """The model as it is used: without gradient, with the statistics of the answers that it was fitted on."""
    reward_model.model.eval().requires_grad_(False)
    return replace(reward_model, statistics=measure_statistics(reward_model, data, tokens_per_microbatch))


def measure_statistics(
    reward_model: RewardModel, data: Sequence[Encoded], tokens_per_microbatch: int
) -> Statistics:
    """Mean and standard deviation of the rewards of the first answers of `data`."""
    rows = [row for item in data for row in item.rows_K][:STATISTICS_ANSWERS]
    rewards = torch.tensor(reward_model.predict_rewards(rows, tokens_per_microbatch), dtype=torch.float64)
    # All answers alike in reward: nothing was learned, and dividing by 0 must not make noise look like a
    # preference.
    return Statistics(float(rewards.mean()), float(rewards.std(correction=0)) or 1.0, len(rows))


def measure(
    reward_model: RewardModel, data: Sequence[Encoded], tokens_per_microbatch: int
) -> PreferenceMetrics:
    """The metrics on comparisons; leaves the model in evaluation mode."""
    reward_model.model.eval()
    rewards = iter(
        reward_model.predict_rewards([row for item in data for row in item.rows_K], tokens_per_microbatch)
    )
    rewards_PK = pad_rows([[next(rewards) for _ in item.rows_K] for item in data], 0.0)
    ranks_PK, lengths_PK = (
        pad_rows([item.ranks_K for item in data], -1),
        pad_rows([item.lengths_K for item in data], 0),
    )
    loss = compute_preference_loss(rewards_PK, ranks_PK, PreferenceConfig(), len(data)).loss
    return measure_preferences(rewards_PK, ranks_PK, lengths_PK, float(loss))


def pad_rows(values_PK: Sequence[Sequence[float]], fill: float) -> torch.Tensor:
    """Rows of unlike length as one tensor, filled up on the right."""
    width = max(map(len, values_PK))
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in values_PK])


def _backpropagate(
    reward_model: RewardModel, chosen: Sequence[Encoded], config: PreferenceConfig, tokens_per_microbatch: int
) -> float:
    """Back-propagate a step's loss, a micro-batch of whole comparisons at a time; returns the loss."""
    total = 0.0
    longest = [max(map(len, item.rows_K)) * len(item.rows_K) for item in chosen]
    for part in group_by_length(longest, tokens_per_microbatch):
        items = [chosen[index] for index in part]
        rewards_R = reward_model.forward([row for item in items for row in item.rows_K])
        ranks_PK = pad_rows([item.ranks_K for item in items], -1).to(rewards_R.device)
        rewards_PK = torch.zeros(ranks_PK.shape, device=rewards_R.device).masked_scatter(
            ranks_PK >= 0, rewards_R
        )
        margins_P = torch.tensor([item.margin for item in items], device=rewards_R.device)
        margins_PKK = margins_P[:, None, None].expand(-1, ranks_PK.shape[1], ranks_PK.shape[1])
        result = compute_preference_loss(rewards_PK, ranks_PK, config, len(chosen), margins_PKK=margins_PKK)
        result.loss.backward()
        total += float(result.loss.detach())
    return total
