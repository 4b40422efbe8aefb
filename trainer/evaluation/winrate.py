"""How often a model's completions beat a baseline's, with an interval.

Suffixes: P problems, G completions of one problem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...tasks import Task
from ...tasks.core.errors import UserError
from ...verifiers import Completion, Score
from ..intervals import Interval, mean_interval
from ..reward_models.model import Scorer
from ..reward_models.scoring import fill
from ..rollouts.group import Group


@dataclass(frozen=True)
class WinRate:
    """Chance that a completion has a higher reward than the baseline's for the same problem,
    a tie counting half.

    wins, ties, losses: shares of all pairs of completions.  unmatched: problems that only one side has.
    """

    rate: Interval
    wins: float
    ties: float
    losses: float
    unmatched: int

    def __str__(self) -> str:
        return f"{100 * self.rate.value:.1f} % [{100 * self.rate.low:.1f}, {100 * self.rate.high:.1f}]"


def compute_win_rate(ours: Mapping[str, Sequence[float]], baseline: Mapping[str, Sequence[float]]) -> WinRate:
    """Every completion against every completion of the baseline, problem by problem (id -> rewards).

    The interval is over problems, which are independent; pairs of one problem are not.
    """
    shared = [key for key in ours if ours[key] and baseline.get(key)]
    unmatched = len({key for key in ours if ours[key]} ^ {key for key in baseline if baseline[key]})
    pairs_P = [[(a, b) for a in ours[key] for b in baseline[key]] for key in shared]
    rates = [[0.5 if a == b else float(a > b) for a, b in pairs] for pairs in pairs_P]
    flat = [pair for pairs in pairs_P for pair in pairs]
    count = max(1, len(flat))
    return WinRate(
        mean_interval(rates, 0.0, 1.0),
        sum(a > b for a, b in flat) / count,
        sum(a == b for a, b in flat) / count,
        sum(a < b for a, b in flat) / count,
        unmatched,
    )


def compare_with_baseline(
    task: Task, scorers: Mapping[str, Scorer], groups: Sequence[Group], baseline: Mapping[str, Sequence[str]]
) -> dict[str, WinRate]:
    """Win-rate of the groups' completions against a baseline's texts (problem id -> texts), by each learned
    reward, or by the reward itself where the rubric has no learned criterion. The texts are scored anew,
    so both sides have one judge.

    Raises UserError when the two share no problem.
    """
    problems = {group.problem.id: group.problem for group in groups}
    rows = [
        (problems[key], Completion(text))
        for key, texts in baseline.items()
        if key in problems
        for text in texts
    ]
    if not rows:
        raise UserError(
            "The baseline's completions are of other problems: evaluate both with the same task, split and "
            "seed."
        )
    asked, answers = [problem for problem, _ in rows], [answer for _, answer in rows]
    scores = [task.score(answer, problem) for problem, answer in rows]
    if scorers:
        scores = fill(task, scorers, asked, answers, scores)
    theirs = [(problem.id, score) for problem, score in zip(asked, scores, strict=True)]
    ours = [(group.problem.id, score) for group in groups for score in group.scores_G]
    names = [criterion.name for criterion in task.rubric.learned] or ["reward"]
    return {
        name: compute_win_rate(_group_by_problem(ours, name), _group_by_problem(theirs, name))
        for name in names
    }


def _group_by_problem(scores: Sequence[tuple[str, Score]], name: str) -> dict[str, list[float]]:
    rewards: dict[str, list[float]] = {}
    for key, score in scores:
        values = rewards.setdefault(key, [])
        if not score.abstained:
            values.append(score.learned.get(name, score.reward))
    return rewards
