"""Control arms: the same run with a reward that carries no signal,
so that a gain can be told from an artefact.

Pass-rates stay those of the true reference; only what training sees is changed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ...tasks import Task
from ...tasks.core.errors import UserError
from ...tasks.core.seeds import digest
from ...verifiers import Score
from .group import Group

Control = Literal["none", "random", "format", "shuffled"]


def apply_control(groups: Sequence[Group], task: Task, control: Control, seed: int, step: int) -> list[Group]:
    """The groups with the rewards of a control arm.

    random: 0 or 1 by a fair coin for each completion.  format: the criteria on form alone, without the
    correctness criterion.
    shuffled: each completion is scored against the reference of another problem of the step.
    """
    if control == "none":
        return list(groups)
    if control == "format":
        return [
            _rescore(group, [_compute_format_reward(member, score) for score in group.scores_G])
            for group in groups
            for member in [task.find_member(group.problem.id)]
        ]
    rng = random.Random(digest("control", control, seed, step))
    if control == "random":
        return [_rescore(group, [float(rng.random() < 0.5) for _ in group.scores_G]) for group in groups]
    if len(groups) < 2:
        raise UserError(
            "--control shuffled gives each problem another one's reference: it needs 2 or more "
            "--prompts-per-step."
        )
    shift = rng.randrange(1, len(groups))
    shuffled = []
    for index, group in enumerate(groups):
        donor = groups[(index + shift) % len(groups)].problem
        problem = replace(
            group.problem, reference=donor.reference, metadata={**group.problem.metadata, **donor.metadata}
        )
        rewards = [task.score(completion, problem).reward for completion in group.completions_G]
        shuffled.append(_rescore(group, rewards))
    return shuffled


def _rescore(group: Group, rewards: Sequence[float]) -> Group:
    scores = [
        replace(score, reward=reward, values={"control": reward}, weights={"control": 1.0}, by_turn=())
        for score, reward in zip(group.scores_G, rewards, strict=True)
    ]
    return replace(group, scores_G=tuple(scores))


def _compute_format_reward(task: Task, score: Score) -> float:
    others = task.rubric.others
    if not others:
        raise UserError(f"--control format: the rubric of task {task.name} has no criterion on form.")
    return sum(score.parts[criterion.name].value for criterion in others) / len(others)
