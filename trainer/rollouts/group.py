"""A problem with its scored completions: what sampling gives and updates take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...tasks import Problem
from ...verifiers import Completion, Score, Status


@dataclass(frozen=True)
class Group:
    """One problem with G completions and their scores."""

    problem: Problem
    completions_G: Sequence[Completion]
    scores_G: Sequence[Score]


UNEXTRACTED = (Status.NO_ANSWER, Status.MALFORMED)
