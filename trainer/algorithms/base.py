"""What every algorithm gives back of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..objective.losses import LossStats
from .batch import Batch


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
