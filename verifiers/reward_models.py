"""A criterion whose judge is a learned reward model. Models live in the trainer; here is only the place they fill in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .rubric import Criterion
from .types import Completion, ProblemLike, Verdict, error, partial

CLIP = 10.0  # standard deviations: a learned reward beyond them says that the model is far from what it was trained on

Shape = Literal["logistic", "linear"]


@dataclass(frozen=True)
class Learned:
    """How a normalised reward z (in standard deviations of the answers the reward model was fitted on) enters a score.

    logistic: 1 / (1 + e^-z), in (0, 1) like every other criterion.  linear: z itself, clipped to +-CLIP.
    """

    shape: Shape = "logistic"

    @property
    def least(self) -> float:
        """The lowest value it can contribute to a reward."""
        return 0.0 if self.shape == "logistic" else -CLIP

    @property
    def most(self) -> float:
        """The highest value it can contribute to a reward."""
        return 1.0 if self.shape == "logistic" else CLIP

    def value(self, z: float) -> float:
        """What it contributes to the reward, before its weight."""
        z = max(-CLIP, min(CLIP, z))
        return 1 / (1 + math.exp(-z)) if self.shape == "logistic" else z

    def verdict(self, z: float) -> Verdict:
        """The finding of a reward model as a verdict: never `correct`, for nothing was verified."""
        if not math.isfinite(z):
            return error(f"The reward model gave {z}, which is no number to learn from.")
        return partial(Learned().value(z), reason=f"Learned reward {z:+.4g} standard deviations.")


def learned(name: str = "reward_model", weight: float = 1.0, shape: Shape = "logistic") -> Criterion:
    """A criterion that a reward model fills in: `palaestra train --reward-model FOLDER`.

    As the first criterion of a rubric it makes a task that nothing can verify: such a task has no pass-rate. Beside a
    verifiable first criterion it only adds to the reward.
    """
    return Criterion(name, _unfilled, weight, learned=Learned(shape))


def _unfilled(completion: Completion, problem: ProblemLike) -> Verdict:  # noqa: ARG001 - the signature of a check
    return error("No reward model was given for this criterion; give one with --reward-model.")
