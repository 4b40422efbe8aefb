"""Reward models in the place of a task's learned criteria, for training and evaluation alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...tasks import Problem, Task
from ...tasks.core.errors import UserError
from ...verifiers import Completion, Score, learned
from ...verifiers.criterion import CLIP
from ..model.prompts import PromptFormat
from ..model.source import check_reward_model_source
from .model import RewardModel, Scorer, load_reward_model, make_scorer


@dataclass(frozen=True)
class Judged:
    """A task with the reward models that fill in the learned criteria of its rubric,
    by the criteria's names."""

    task: Task
    models: Mapping[str, RewardModel] = field(default_factory=dict)

    def make_scorers(self, prompts: PromptFormat) -> dict[str, Scorer]:
        """What fills in each criterion.

        prompts: how the policy reads a problem; a reward model reads the same, by its own template.
        """
        return {
            name: make_scorer(model.read_as(prompts), self.task.instruction)
            for name, model in self.models.items()
        }


@dataclass(frozen=True)
class Assignment:
    """The task as it will be scored, and the source of the reward model of each learned criterion."""

    task: Task
    sources: Mapping[str, str]


def judge(
    task: Task,
    names_and_folders: Sequence[str],
    share: float,
    device: str = "auto",
    dtype: str = "auto",
    *,
    trust_remote_code: bool = False,
) -> Judged:
    """Load the reward models that `assign_models` finds."""
    chosen = assign_models(task, names_and_folders, share)
    models = {
        name: load_reward_model(source, device, dtype, trust_remote_code=trust_remote_code)
        for name, source in chosen.sources.items()
    }
    return Judged(chosen.task, models)


def assign_models(task: Task, names_and_folders: Sequence[str], share: float) -> Assignment:
    """Which reward model fills in which criterion (FOLDER, or name=FOLDER where the rubric has several
    learned criteria). Loads nothing.

    A task without a learned criterion gets one that makes up `share` of its reward. Raises UserError when a
    learned criterion stays without its model, a model without its criterion, or a folder holds no model.
    """
    if names_and_folders and not task.rubric.learned:
        task = replace(task, rubric=task.rubric.with_learned(learned(), share))
    names = [criterion.name for criterion in task.rubric.learned]
    sources: dict[str, str] = {}
    for text in names_and_folders:
        name, equals, source = text.partition("=")
        if not equals:
            if len(names) != 1:
                raise UserError(
                    f"Task {task.name} has the learned criteria {', '.join(names)}: write --reward-model "
                    "NAME=FOLDER."
                )
            name, source = names[0], text
        if name not in names or name in sources:
            raise UserError(
                f"--reward-model {text}: task {task.name} has the learned criteria {', '.join(names)}, each "
                "once."
            )
        check_reward_model_source(source)
        sources[name] = source
    missing = [name for name in names if name not in sources]
    if missing:
        raise UserError(
            f"The reward of task {task.name} needs a reward model for its criterion {missing[0]!r}: give "
            "--reward-model FOLDER "
            "(`palaestra reward-model` makes one from comparisons)."
        )
    return Assignment(task, sources)


def fill(
    task: Task,
    scorers: Mapping[str, Scorer],
    problems_B: Sequence[Problem],
    completions_B: Sequence[Completion],
    scores_B: Sequence[Score],
) -> list[Score]:
    """The scores with the reward models' findings put in.

    A reward that is not finite is the lowest where the model gave other completions of the batch a number:
    then this completion brought it about. Where it gave none, the model is broken, and the scores abstain.
    """
    rewards = {name: _replace_infinite(score(problems_B, completions_B)) for name, score in scorers.items()}
    return [
        task.rubric.fill(score, {name: values[row] for name, values in rewards.items()})
        for row, score in enumerate(scores_B)
    ]


def _replace_infinite(rewards_B: Sequence[float]) -> list[float]:
    if not any(map(math.isfinite, rewards_B)):
        return list(rewards_B)
    return [reward if math.isfinite(reward) else -CLIP for reward in rewards_B]
