"""How good a reward model is, from the rewards it gave.

Suffixes: P prompts, K answers of one prompt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ..intervals import Interval, mean_interval
from ..objective.preference import fit_length_slope, list_pairs, measure_calibration_error


@dataclass(frozen=True)
class PreferenceMetrics:
    """On comparisons that were not trained on; a prompt's pairs are averaged first, then prompts.

    loss: Bradley-Terry, nats.  accuracy: share of pairs in which the better answer has the higher reward (a
        tie counts half); in [0, 1].  margin: mean of reward(better) - reward(worse), in nats.
    calibration: expected calibration error of sigmoid(difference) as the chance of being preferred.
    length_slope: standard deviations of reward per 100 tokens of answer; length_correlation: in [-1, 1]. Both
        within prompts, nan where no length varies.
    longer_preferred: share of the pairs of unlike length in which the data prefer the longer answer; in [0,
        1], nan without any. A model that knows lengths alone reaches max(x, 1 - x).
    """

    prompts: int
    pairs: int
    loss: float
    accuracy: Interval
    margin: float
    calibration: float
    length_slope: float
    length_correlation: float
    longer_preferred: float

    def summarise(self) -> dict[str, Any]:
        """Plain data for JSON; nan becomes None."""
        return {n: None if isinstance(v, float) and math.isnan(v) else v for n, v in asdict(self).items()}

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> PreferenceMetrics:
        """The metrics that `summarise` gave."""
        values: dict[str, Any] = {
            name: math.nan if value is None else value for name, value in summary.items()
        }
        values["accuracy"] = Interval(**values["accuracy"])
        return cls(**values)


def measure_preferences(
    rewards_PK: torch.Tensor, ranks_PK: torch.Tensor, lengths_PK: torch.Tensor, loss: float
) -> PreferenceMetrics:
    """The metrics of raw rewards. ranks_PK: lower is better, -1 where there is no answer. lengths_PK:
    tokens."""
    pairs, present_PK = list_pairs(ranks_PK), ranks_PK >= 0
    rewards_PK = torch.where(present_PK, rewards_PK.double(), 0.0)
    gap_N = rewards_PK[pairs.prompt_N, pairs.better_N] - rewards_PK[pairs.prompt_N, pairs.worse_N]
    right_N = (gap_N > 0).double() + 0.5 * (gap_N == 0).double()
    right_PN: dict[int, list[float]] = {}
    for prompt, right in zip(pairs.prompt_N.tolist(), right_N.tolist(), strict=True):
        right_PN.setdefault(prompt, []).append(right)
    longer_N = lengths_PK[pairs.prompt_N, pairs.better_N] - lengths_PK[pairs.prompt_N, pairs.worse_N]
    unlike = int((longer_N != 0).sum())
    spread = float(rewards_PK[present_PK].std(correction=0)) or 1.0
    slope = fit_length_slope(
        _centre_within_prompts(rewards_PK, present_PK) / spread,
        _centre_within_prompts(lengths_PK.double(), present_PK),
    )
    return PreferenceMetrics(
        prompts=len(right_PN),
        pairs=len(gap_N),
        loss=loss,
        accuracy=mean_interval(list(right_PN.values()), 0.0, 1.0),
        margin=float((pairs.weigh(torch.float64) * gap_N).sum()) / max(1, len(right_PN)),
        calibration=measure_calibration_error(rewards_PK, ranks_PK),
        length_slope=100 * slope.slope,
        length_correlation=slope.correlation,
        longer_preferred=int((longer_N > 0).sum()) / unlike if unlike else math.nan,
    )


def _centre_within_prompts(values_PK: torch.Tensor, present_PK: torch.Tensor) -> torch.Tensor:
    """Deviations from the mean of each prompt's answers, one after the other:
    some prompts ask for longer answers."""
    kept_PK = torch.where(present_PK, values_PK, 0.0)
    mean_P1 = kept_PK.sum(1, keepdim=True) / present_PK.sum(1, keepdim=True).clamp(min=1)
    return (kept_PK - mean_P1)[present_PK]
