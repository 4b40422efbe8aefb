"""A problem with its scored completions: what sampling gives and updates take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ...tasks import Problem
from ...verifiers import Completion, Score, Status
from ..config.presets import ObjectiveConfig
from ..objective.shaping import compute_overlong_penalty

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

    That is with the penalty for length, without those that could not be scored, and with one at least that
    counts in the loss.
    """
    scored = [(c, s) for c, s in zip(group.completions_G, group.scores_G, strict=True) if not s.abstained]
    rewards = [score.reward for _, score in scored]
    if objective.overlong_cache:
        lengths_B = torch.tensor([len(completion.ids) for completion, _ in scored])
        penalties = compute_overlong_penalty(lengths_B, max_new_tokens, objective.overlong_cache).tolist()
        rewards = [reward + penalty for reward, penalty in zip(rewards, penalties, strict=True)]
    counts = any(not objective.mask_truncated or c.finish_reason != "length" for c, _ in scored)
    return counts and len(set(rewards)) > 1
