"""A problem with its scored completions: what sampling gives and updates take.

Shapes: B completions, K criteria of the rubric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...tasks import Problem
from ...verifiers import Completion, Score, Status
from ...verifiers.display import quote, write_html_table
from ..config.presets import ObjectiveConfig
from ..objective.shaping import Shaped, shape_rewards
from ..objective.turns import Turns, compute_turn_advantages


@dataclass(frozen=True)
class Answer:
    """A completion and its score."""

    completion: Completion
    score: Score


@dataclass(frozen=True)
class Group:
    """One problem with G completions and their scores."""

    problem: Problem
    completions_G: Sequence[Completion]
    scores_G: Sequence[Score]

    def __repr__(self) -> str:
        return f"Group({quote(self.problem.id or self.problem.text)}, {self._count()})"

    def _count(self) -> str:
        rewards = [score.reward for score in self.scores_G if not score.abstained]
        passed = sum(score.passed for score in self.scores_G)
        mean = f", mean reward {sum(rewards) / len(rewards):.3g}" if rewards else ""
        return f"{len(self.scores_G)} completions, {passed} passed{mean}"

    def _repr_html_(self) -> str:
        rows = [
            (f"{score.reward:.3g}", score.outcome, completion.tokens, completion.text)
            for completion, score in zip(self.completions_G, self.scores_G, strict=True)
        ]
        table = write_html_table(self._count(), ("reward", "", "tokens", "completion"), rows)
        return self.problem._repr_html_() + table


@dataclass(frozen=True)
class Criteria:
    """What rewards are made of. values_BK: of each criterion, nan where it has none for a completion.
    weights_K: their shares of the reward."""

    values_BK: Tensor
    weights_K: Tensor

    @classmethod
    def of(cls, scores: Sequence[Score]) -> Criteria:
        """Of the scores of one rubric; the reward itself is the only criterion where no rubric scored."""
        weights = {name: weight for score in scores for name, weight in score.weights.items() if weight}
        if not weights:
            return cls(torch.tensor([[score.reward] for score in scores]), torch.ones(1))
        values = [[score.values.get(name, float("nan")) for name in weights] for score in scores]
        return cls(torch.tensor(values), torch.tensor(list(weights.values())))

    def add_penalty(self, shaped: Shaped) -> Criteria:
        """With the penalty for length, where there is one, as a criterion of weight 1."""
        if shaped.penalty_B is None:
            return self
        values_BK = torch.cat([self.values_BK, shaped.penalty_B.to(self.values_BK)[:, None]], 1)
        return Criteria(values_BK, torch.cat([self.weights_K, self.weights_K.new_ones(1)]))


def count_turns(completion: Completion) -> int:
    """Stretches of tokens that the policy drew; 1 for a single turn."""
    if not len(completion.sampled):
        return 1
    drawn = np.asarray(completion.sampled, dtype=bool)
    return max(1, int(drawn[0]) + int(np.count_nonzero(drawn[1:] & ~drawn[:-1])))


def gather_turns(groups: Sequence[Group], device: torch.device | str = "cpu") -> Turns | None:
    """The turns of the completions of groups of one size, row p * G + g; None where each is a single one."""
    completions = [completion for group in groups for completion in group.completions_G]
    counts = [count_turns(completion) for completion in completions]
    most = max(counts)
    if most == 1:
        return None
    earned = np.zeros((len(counts), most))
    heard = -1 - np.arange(earned.size).reshape(earned.shape)  # nothing known: like no other
    numbers: dict[tuple[int, str | None], int] = {}
    scores = [score for group in groups for score in group.scores_G]
    for row, (completion, score, count) in enumerate(zip(completions, scores, counts, strict=True)):
        rewards = score.by_turn[: count - 1]
        earned[row, : len(rewards)] = rewards
        words = [None, *(turn.text for turn in completion.turns if turn.role == "world")][:count]
        group = row // len(groups[0].completions_G)
        heard[row, : len(words)] = [numbers.setdefault((group, said), len(numbers)) for said in words]
    return Turns(
        torch.tensor(counts, device=device),
        torch.tensor(earned, device=device),
        torch.tensor(heard, device=device),
    )


def list_amounts(scores: Sequence[Score], name: str) -> list[float]:
    """What a criterion brings into the rewards of these completions: nothing where the completion was not
    scored, or the criterion does not apply to its problem."""
    verdicts = (score.parts[name] for score in scores if name in score.parts and not score.abstained)
    return [verdict.amount for verdict in verdicts if verdict.status is not Status.NOT_APPLICABLE]


def list_reasons(groups: Sequence[Group]) -> list[str]:
    """Why completions could not be scored, each reason once, in the order of the alphabet."""
    verdicts = (part for group in groups for score in group.scores_G for part in score.parts.values())
    return sorted({part.reason for part in verdicts if part.status is Status.ERROR and part.reason})


def has_signal(group: Group, objective: ObjectiveConfig, max_new_tokens: int) -> bool:
    """Whether comparing the completions of a group can teach anything: their rewards differ,
    as the advantages see them.

    That is in the update's own float32, with the penalty for length, without those that could not be scored,
    and with one at least that counts in the loss. Where turns have advantages of their own, one of them is
    not 0.
    """
    completions, scores = group.completions_G, group.scores_G
    abstained_G = torch.tensor([score.abstained for score in scores])
    shaped = shape_rewards(
        torch.tensor([score.reward for score in scores]),
        abstained_G,
        torch.tensor([completion.truncated for completion in completions]),
        torch.tensor([completion.tokens for completion in completions]),
        objective,
        max_new_tokens,
    )
    turns = gather_turns([group]) if objective.advantages.turns != "whole" else None
    if turns is not None:
        settings = replace(objective.advantages, normalise_batch=False)
        advantages_BK = compute_turn_advantages(turns, shaped.rewards_B, abstained_G, len(scores), settings)
        return bool(shaped.counts_B.any() and advantages_BK.any())
    compared_BK = shaped.rewards_B[:, None]
    if objective.advantages.aggregation == "normalise_then_sum":
        compared_BK = Criteria.of(scores).add_penalty(shaped).values_BK
    scored_BK = compared_BK[~abstained_G]
    return bool(shaped.counts_B.any()) and any(
        len(values_B[~values_B.isnan()].unique()) > 1 for values_B in scored_BK.unbind(1)
    )
