"""A problem with its scored completions: what sampling gives and updates take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ...tasks import Problem
from ...verifiers import Completion, Score, Status
from ..config.presets import ObjectiveConfig
from ..objective.shaping import shape_rewards

UNEXTRACTED = (Status.NO_ANSWER, Status.MALFORMED)


@dataclass(frozen=True)
class Group:
    """One problem with G completions and their scores."""

    problem: Problem
    completions_G: Sequence[Completion]
    scores_G: Sequence[Score]


def is_extracted(score: Score) -> bool:
    """Whether the criterion that decides `passed` found an answer to judge."""
    return score.correctness is not None and score.correctness.status not in UNEXTRACTED


def list_reasons(groups: Sequence[Group]) -> list[str]:
    """Why completions could not be scored, each reason once, in the order of the alphabet."""
    verdicts = (part for group in groups for score in group.scores_G for part in score.parts.values())
    return sorted({part.reason for part in verdicts if part.status is Status.ERROR and part.reason})


def has_signal(group: Group, objective: ObjectiveConfig, max_new_tokens: int) -> bool:
    """Whether comparing the completions of a group can teach anything: their rewards differ,
    as the advantages see them.

    That is in the update's own float32, with the penalty for length, without those that could not be scored,
    and with one at least that counts in the loss.
    """
    completions, scores = group.completions_G, group.scores_G
    abstained_G = torch.tensor([score.abstained for score in scores])
    shaped = shape_rewards(
        torch.tensor([score.reward for score in scores]),
        abstained_G,
        torch.tensor([completion.finish_reason == "length" for completion in completions]),
        torch.tensor([len(completion.ids) for completion in completions]),
        objective,
        max_new_tokens,
    )
    return bool(shaped.counts_B.any()) and len(shaped.rewards_B[~abstained_G].unique()) > 1
