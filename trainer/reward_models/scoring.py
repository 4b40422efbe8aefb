"""Reward models in the place of a task's learned criteria, for training and evaluation alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...tasks import Problem, Task
from ...tasks.core.errors import UserError
from ...verifiers import Completion, Score, learned
from ...verifiers.criterion import CLIP
from .model import Scorer, load_reward_model, scorer

if TYPE_CHECKING:
    pass


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
