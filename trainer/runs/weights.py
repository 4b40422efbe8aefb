"""A curriculum over the weights of a rubric: what is learned early (the form of an answer, say) is paid less
once it is learned. Imports no torch.

Only what training sees changes: `passed`, pass-rates and evaluations are of the rubric as it stands. Rewards
are the weighted mean of the verdicts by the weights of the step, so that what one criterion loses the others
gain, and advantages, those of each criterion by itself too, see the weights of their step.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...tasks import Task
from ...tasks.core.errors import UserError
from ...verifiers import Status

if TYPE_CHECKING:  # it imports torch
    from ..rollouts.group import Group

MEMORY = 10  # steps over which a criterion's pass-rate is averaged
FORM = (
    "Write NAME=FROM:TO:STEPS (answer_tag=1:0.1:200), which multiplies the criterion's weight by FROM at the "
    "first step, by TO after so many, and in between by what lies on the line; or NAME=FROM:TO:RATE% "
    "(answer_tag=1:0.1:95%), by TO once its own pass-rate is that high."
)


@dataclass(frozen=True)
class Ramp:
    """How the weight of a criterion changes. first, last: what it is multiplied by, each 0 or more.
    steps: after which it is `last`, 0 where its pass-rate says.  rate: at which it is `last`, in (0, 1]."""

    name: str
    first: float
    last: float
    steps: int = 0
    rate: float = 0.0

    def at(self, step: int, rate: float) -> float:
        """The factor of a step, counted from 0. rate: the criterion's own pass-rate so far, in [0, 1]."""
        done = min(1.0, step / self.steps if self.steps else rate / self.rate)
        return self.first + (self.last - self.first) * done


@dataclass
class Rates:
    """The pass-rate of each criterion that a schedule follows, over the last steps: plain data, for a
    checkpoint.

    passed: criterion -> mean share of its completions that were correct, over MEMORY steps, the older ones
    less.  steps: how many of them were seen.
    """

    passed: dict[str, float] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)

    def add(self, groups: Sequence[Group], ramps: Sequence[Ramp]) -> None:
        """Enter a step's groups."""
        for ramp in ramps:
            verdicts = [
                score.parts[ramp.name]
                for group in groups
                for score in group.scores_G
                if ramp.name in score.parts and not score.abstained
            ]
            counted = [verdict for verdict in verdicts if verdict.status is not Status.NOT_APPLICABLE]
            if not counted:
                continue
            rate = sum(verdict.correct for verdict in counted) / len(counted)
            seen = self.steps[ramp.name] = self.steps.get(ramp.name, 0) + 1
            before = self.passed.get(ramp.name, 0.0)
            self.passed[ramp.name] = before + (rate - before) / min(seen, MEMORY)


def read_ramps(texts: Sequence[str]) -> tuple[Ramp, ...]:
    """The schedule that settings ask for. Raises UserError for what can't be read, or names one twice."""
    ramps = tuple(map(_read_ramp, texts))
    names = [ramp.name for ramp in ramps]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"--criterion-weight names {twice[0]!r} twice: give it one schedule.")
    return ramps


def _read_ramp(text: str) -> Ramp:
    name, _, schedule = text.rpartition("=")
    try:
        first, last, until = (part.strip() for part in schedule.split(":"))
        factors = float(first), float(last)
        rate = float(until[:-1]) / 100 if until.endswith("%") else 0.0
        steps = 0 if rate else int(until)
    except ValueError:
        raise UserError(f"--criterion-weight {text} can't be read. {FORM}") from None
    sound = all(math.isfinite(factor) and factor >= 0 for factor in factors)
    if not name or not sound or not (steps >= 1 or 0 < rate <= 1):
        raise UserError(
            f"--criterion-weight {text}: the factors are 0 or more, the steps 1 or more, a rate above 0 % "
            f"and at most 100 %. {FORM}"
        )
    return Ramp(name.strip(), *factors, steps, rate)


def check_ramps(ramps: Sequence[Ramp], task: Task) -> None:
    """Raise UserError for a schedule that no rubric of the task can follow."""
    rubrics = [member.rubric for member in task.members]
    names = {c.name: c for rubric in rubrics for c in rubric.criteria}
    for ramp in ramps:
        found = names.get(ramp.name)
        if found is None:
            near = difflib.get_close_matches(ramp.name, names, 1)
            raise UserError(
                f"--criterion-weight names {ramp.name!r}, which is no criterion of {task.name}"
                f"{f' (did you mean {near[0]!r}?)' if near else ''}: {', '.join(names)}."
            )
        if found.learned is not None and ramp.rate:
            raise UserError(
                f"--criterion-weight {ramp.name} goes by its pass-rate, and a reward model passes nothing: "
                "give it steps (1:0.1:200)."
            )
        if found.gate or not found.weight:
            why = "a gate" if found.gate else "of weight 0"
            raise UserError(f"--criterion-weight {ramp.name}: it is {why}, so that no factor changes it.")
    fading = {ramp.name for ramp in ramps if not ramp.first or not ramp.last}
    for rubric in rubrics:
        if all(c.gate or not c.weight or c.name in fading for c in rubric.criteria):
            raise UserError(
                "--criterion-weight takes every criterion's weight to 0, so that nothing would be paid: let "
                "one of them keep a part (1:0.1:200)."
            )


def find_factors(ramps: Sequence[Ramp], step: int, rates: Rates) -> dict[str, float]:
    """What the weights of a step are multiplied by. step: from 0."""
    return {ramp.name: ramp.at(step, rates.passed.get(ramp.name, 0.0)) for ramp in ramps}


def weigh_task(task: Task, factors: Mapping[str, float]) -> Task:
    """The task with other weights in its rubric, or in those of a mixture's tasks."""
    return replace(task, rubric=task.rubric.weigh(factors)) if factors else task


def weigh_groups(groups: Sequence[Group], task: Task, factors: Mapping[str, float]) -> list[Group]:
    """The groups with their rewards by other weights. Nothing is verified again."""
    rubric = weigh_task(task, factors).rubric
    if rubric is task.rubric:
        return list(groups)
    return [
        replace(
            group,
            scores_G=tuple(rubric.of(group.problem.id).judge(s.parts, s.learned) for s in group.scores_G),
        )
        for group in groups
    ]
