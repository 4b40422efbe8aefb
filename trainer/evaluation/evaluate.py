"""Pass-rates on held-out problems, with the same task, rubric and sampler that training uses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ...tasks import Problem
from ...verifiers import Rubric
from ...verifiers.criterion import CLIP
from ..engines.base import Sampling
from ..intervals import Estimate, Interval, mean_interval, pass_at_k
from ..reports.progress import make_progress_bar
from ..rollouts.group import Group
from ..rollouts.rollouts import Rollouts

_NESTED = ("groups", "pass_at", "reward_interval", "learned")


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    pass_at: k -> estimate of pass@k with its 95 % interval; empty for a task that nothing can verify.
    reward: mean over scored completions.
    reward_interval: the same with each problem weighing alike, and its interval.
    learned: criterion -> mean of a reward model's normalised rewards (standard deviations), over problems.
    extracted, truncated, abstained: shares of all completions.  tokens: mean length of a completion.
    too_long: problems whose prompt is over the budget; they count as not passed.
    """

    pass_at: dict[int, Estimate]
    reward: float
    reward_interval: Interval
    learned: dict[str, Interval]
    extracted: float
    truncated: float
    abstained: float
    tokens: float
    problems: int
    samples: int
    too_long: int
    seconds: float
    groups: Sequence[Group] = field(repr=False)

    @property
    def headline(self) -> Estimate | Interval:
        """What the evaluation is about: pass@1, or the mean reward where nothing can be verified."""
        return self.pass_at[1] if self.pass_at else self.reward_interval

    def summarise(self) -> dict[str, Any]:
        """Everything but the completions, as plain data."""
        plain = {name: value for name, value in vars(self).items() if name not in _NESTED}
        return {
            **plain,
            "reward_interval": asdict(self.reward_interval),
            "learned": {name: asdict(interval) for name, interval in self.learned.items()},
            "pass_at": {str(k): asdict(estimate) for k, estimate in self.pass_at.items()},
        }


def evaluate(
    rollouts: Rollouts,
    problems: Sequence[Problem],
    samples: int,
    sampling: Sampling,
    seed: int = 0,
    *,
    show_progress: bool = False,
    keep: Callable[[Group], None] | None = None,
) -> Evaluation:
    """Complete every problem `samples` times and count. pass@k is given for k = 1, 2, 4, ... up to `samples`.

    keep: called with each group as soon as it is scored, so that an interrupted evaluation loses nothing.
    """
    start = time.perf_counter()
    fitting = [problem for problem in problems if rollouts.fits(problem)]
    too_long = len(problems) - len(fitting)
    groups: list[Group] = []
    share = max(1, rollouts.engine.rows // samples)
    with make_progress_bar(
        total=len(fitting), desc="evaluation", unit="problem", disable=not show_progress
    ) as bar:
        for first in range(0, len(fitting), share):
            shared = fitting[first : first + share]
            part = rollouts.sample_groups(shared, samples, sampling, ("evaluation", seed))
            if keep is not None:
                for group in part:
                    keep(group)
            groups += part
            bar.update(len(part))
    return summarise(groups, samples, too_long, rollouts.task.rubric, time.perf_counter() - start)


def summarise(
    groups: Sequence[Group], samples: int, too_long: int, rubric: Rubric, seconds: float
) -> Evaluation:
    """What `samples` completions of each problem say. too_long: problems whose prompt did not fit."""
    scores = [score for group in groups for score in group.scores_G]
    completions = [completion for group in groups for completion in group.completions_G]
    scored_PG = [[score for score in group.scores_G if not score.abstained] for group in groups]
    correct_P = [sum(score.passed for score in group.scores_G) for group in groups] + [0] * too_long
    samples_P = [len(scored_G) for scored_G in scored_PG] + [samples] * too_long
    ks = [k for k in (1, 2, 4, 8, 16, 32, 64, 128) if k <= samples]
    rewards_PG = [[score.reward for score in scored_G] for scored_G in scored_PG]
    # a function of another library may give what lies beyond the rubric's own bounds
    observed = [reward for rewards in rewards_PG for reward in rewards]
    least, most = min([rubric.least, *observed]), max([rubric.most, *observed])
    learned = {
        criterion.name: mean_interval(
            [[score.learned[criterion.name] for score in scored_G] for scored_G in scored_PG], -CLIP, CLIP
        )
        for criterion in rubric.learned
    }
    return Evaluation(
        pass_at={k: pass_at_k(correct_P, samples_P, k) for k in ks} if rubric.verifiable else {},
        reward=_average(score.reward for score in scores if not score.abstained),
        reward_interval=mean_interval(rewards_PG, least, most),
        learned=learned,
        extracted=_average(score.extracted for score in scores),
        truncated=_average(completion.finish_reason == "length" for completion in completions),
        abstained=_average(score.abstained for score in scores),
        tokens=_average(len(completion.ids) for completion in completions),
        problems=len(groups) + too_long,
        samples=samples,
        too_long=too_long,
        seconds=seconds,
        groups=groups,
    )


def _average(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0
