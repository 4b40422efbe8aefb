"""Reward models in the place of a task's learned criteria, for training and evaluation alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...tasks import Problem, Task
from ...tasks.core.errors import UserError
from ...verifiers import Completion, Score, learned
from ...verifiers.reward_models import CLIP
from ..evaluation.winrate import WinRate, win_rate
from .model import Scorer, load_reward_model, scorer

if TYPE_CHECKING:
    from ..rollouts.rollouts import Group


@dataclass(frozen=True)
class Judged:
    """A task with what fills in the learned criteria of its rubric (criterion's name -> scorer)."""

    task: Task
    scorers: Mapping[str, Scorer] = field(default_factory=dict)


def judged(task: Task, given: Sequence[str], share: float, device: str = "auto", dtype: str = "auto") -> Judged:
    """Load the reward models in `given` (FOLDER, or name=FOLDER where the rubric has several learned criteria).

    A task without a learned criterion gets one that makes up `share` of its reward. Raises UserError when a learned
    criterion stays without its model, or a model without its criterion.
    """
    if given and not task.rubric.learned:
        if not 0 <= share <= 1:
            raise UserError(f"--reward-model-share {share}: give 0 to 1.")
        task = replace(task, rubric=task.rubric.with_learned(learned(), share))
    names = [criterion.name for criterion in task.rubric.learned]
    sources: dict[str, str] = {}
    for text in given:
        name, equals, source = text.partition("=")
        if not equals:
            if len(names) != 1:
                raise UserError(
                    f"Task {task.name} has the learned criteria {', '.join(names)}: write --reward-model NAME=FOLDER."
                )
            name, source = names[0], text
        if name not in names or name in sources:
            raise UserError(f"--reward-model {text}: task {task.name} has the learned criteria {', '.join(names)}, each once.")
        sources[name] = source
    missing = [name for name in names if name not in sources]
    if missing:
        raise UserError(
            f"The reward of task {task.name} needs a reward model for its criterion {missing[0]!r}: give --reward-model FOLDER "
            "(`palaestra reward-model` makes one from comparisons)."
        )
    scorers = {n: scorer(load_reward_model(s, device, dtype), task.instruction) for n, s in sources.items()}
    return Judged(task, scorers)


def fill(
    task: Task,
    scorers: Mapping[str, Scorer],
    problems_B: Sequence[Problem],
    completions_B: Sequence[Completion],
    scores_B: Sequence[Score],
) -> list[Score]:
    """The scores with the reward models' findings put in.

    A reward that is not finite is the lowest where the model gave other completions of the batch a number: then this
    completion brought it about. Where it gave none, the model is broken, and the scores abstain.
    """
    found = {name: _settled(score(problems_B, completions_B)) for name, score in scorers.items()}
    return [
        task.rubric.fill(score, {name: values[row] for name, values in found.items()}) for row, score in enumerate(scores_B)
    ]


def _settled(rewards_B: Sequence[float]) -> list[float]:
    if not any(map(math.isfinite, rewards_B)):
        return list(rewards_B)
    return [reward if math.isfinite(reward) else -CLIP for reward in rewards_B]


def against(found: Judged, groups: Sequence[Group], baseline: Mapping[str, Sequence[str]]) -> dict[str, WinRate]:
    """Win-rate of the groups' completions against a baseline's texts (problem id -> texts), by each learned reward, or by
    the reward itself where the rubric has no learned criterion. The texts are scored anew, so both sides have one judge.

    Raises UserError when the two share no problem.
    """
    problems = {group.problem.id: group.problem for group in groups}
    rows = [(problems[key], Completion(text)) for key, texts in baseline.items() if key in problems for text in texts]
    if not rows:
        raise UserError("The baseline's completions are of other problems: evaluate both with the same task, split and seed.")
    asked, answers = [problem for problem, _ in rows], [answer for _, answer in rows]
    scores = [found.task.score(answer, problem) for problem, answer in rows]
    if found.scorers:
        scores = fill(found.task, found.scorers, asked, answers, scores)
    theirs = [(problem.id, score) for problem, score in zip(asked, scores, strict=True)]
    ours = [(group.problem.id, score) for group in groups for score in group.scores_G]
    names = [criterion.name for criterion in found.task.rubric.learned] or ["reward"]
    return {name: win_rate(_by_problem(ours, name), _by_problem(theirs, name)) for name in names}


def _by_problem(scores: Sequence[tuple[str, Score]], name: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for key, score in scores:
        values = found.setdefault(key, [])
        if not score.abstained:
            values.append(score.learned.get(name, score.reward))
    return found
