"""A criterion whose judge is a learned reward model. Models live in the trainer;
here is only the place they fill in."""

from __future__ import annotations

from ..criterion import Criterion, Learned, Shape
from ..types import Completion, ProblemLike, Verdict, error


def learned(name: str = "reward_model", weight: float = 1.0, shape: Shape = "logistic") -> Criterion:
    """A criterion that a reward model fills in: `palaestra train --reward-model FOLDER`.

    As the first criterion of a rubric it makes a task that nothing can verify: such a task has no pass-rate.
    Beside a verifiable first criterion it only adds to the reward.
    """
    return Criterion(name, _unfilled, weight, learned=Learned(shape))


def _unfilled(completion: Completion, problem: ProblemLike) -> Verdict:  # noqa: ARG001 - the signature of a check
    return error("No reward model was given for this criterion; give one with --reward-model.")
