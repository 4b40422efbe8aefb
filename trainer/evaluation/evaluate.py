"""Pass-rates on held-out problems, with the same task, rubric and sampler that training uses."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ...tasks import Problem, Task
from ...tasks.core.mixture import Mixture
from ...verifiers import Completion, Rubric, Score
from ...verifiers.criterion import CLIP
from ..engines.base import Sampling
from ..intervals import Estimate, Interval, list_ks, mean_interval, pass_at_k
from ..reports.progress import make_progress_bar
from ..rollouts.group import Answer, Group
from ..rollouts.rollouts import Ask, Rollouts

Place = tuple[int, int]  # (place of a problem, number of a sample)
Keep = Callable[[Problem, int, Answer], None]  # (problem, number of the sample, what was found)
_NESTED = ("groups", "pass_at", "reward_interval", "learned")


@dataclass(frozen=True)
class Missing:
    """Samples number `first` to `first + samples - 1` of the problem at a place."""

    place: int
    first: int
    samples: int


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
    known: Mapping[Place, Answer] | None = None,
    keep: Keep | None = None,
    seconds: float = 0.0,
    ks: Sequence[int] = (),
) -> Evaluation:
    """Complete every problem `samples` times and count.

    ks: of pass@k; none: 1, 2, 4, ... up to `samples`.
    known: answers that are there already, by (place of the problem, number of the sample); only the others
    are sampled.  keep: called with each new answer as soon as it is scored, so that an interrupted evaluation
    loses nothing.  seconds: that it took before.
    """
    start = time.perf_counter()
    answers = dict(known or {})
    fitting = [place for place, problem in enumerate(problems) if rollouts.fits(problem)]
    share = max(1, rollouts.rows // samples)
    total = len(fitting) * samples
    there = total - sum(missing.samples for missing in list_missing(fitting, samples, answers))
    with make_progress_bar(
        total=total, initial=there, desc="evaluation", unit="completion", disable=not show_progress
    ) as bar:

        def take(place: int, sample: int, answer: Answer) -> None:
            answers[place, sample] = answer
            if keep is not None:
                keep(problems[place], sample, answer)
            bar.update()

        # The same shares whatever is known: a completion then mostly has the same company, and rounding.
        # The next is sampled while the verifiers of the one before are still at work.
        finish = None
        for first in range(0, len(fitting), share):
            missing = list_missing(fitting[first : first + share], samples, answers)
            begun = begin_missing(rollouts, problems, missing, sampling, seed, take)
            if finish is not None:
                finish()
            finish = begun
        if finish is not None:
            finish()
    groups = [_gather(problems[place], [answers[place, n] for n in range(samples)]) for place in fitting]
    spent = seconds + time.perf_counter() - start
    return summarise(groups, samples, len(problems) - len(fitting), rollouts.task.rubric, spent, ks)


def split_by_task(task: Task, problems: Sequence[Problem], result: Evaluation) -> dict[str, Evaluation]:
    """What an evaluation says of each task of a mixture, by its label; {} for a single task.

    problems: all that were asked, those whose prompt did not fit included.
    """
    if not isinstance(task, Mixture):
        return {}
    asked = Counter(task.find_label(problem) for problem in problems)
    groups: dict[str, list[Group]] = {label: [] for label in asked}
    for group in result.groups:
        groups[task.find_label(group.problem)].append(group)
    return {
        label: summarise(
            of_task,
            result.samples,
            asked[label] - len(of_task),
            task.find_member(of_task[0].problem.id).rubric,
            0.0,
            list(result.pass_at),
        )
        for label, of_task in groups.items()
        if of_task
    }


def list_missing(places: Sequence[int], samples: int, answers: Mapping[Place, Answer]) -> list[Missing]:
    """What is still to be sampled, of `samples` completions of each of these problems."""
    missing: list[Missing] = []
    for place in places:
        for sample in range(samples):
            if (place, sample) in answers:
                continue
            last = missing[-1] if missing else None
            if last is not None and (last.place, last.first + last.samples) == (place, sample):
                missing[-1] = replace(last, samples=last.samples + 1)
            else:
                missing.append(Missing(place, sample, 1))
    return missing


def begin_missing(
    rollouts: Rollouts,
    problems: Sequence[Problem],
    missing: Sequence[Missing],
    sampling: Sampling,
    seed: int,
    take: Callable[[int, int, Answer], None],
) -> Callable[[], object]:
    """Sample what is missing; the function that is returned waits for its scores. take: gets (place, sample,
    answer) as soon as an answer is scored."""

    def scored(ask: int, number: int, completion: Completion, score: Score) -> None:
        take(missing[ask].place, missing[ask].first + number, Answer(completion, score))

    if not missing:
        return lambda: None
    asks = [Ask(problems[each.place], each.samples, each.first) for each in missing]
    return rollouts.begin(asks, sampling, ("evaluation", seed), scored)


def _gather(problem: Problem, answers: Sequence[Answer]) -> Group:
    return Group(problem, tuple(a.completion for a in answers), tuple(a.score for a in answers))


def summarise(
    groups: Sequence[Group],
    samples: int,
    too_long: int,
    rubric: Rubric,
    seconds: float,
    ks: Sequence[int] = (),
) -> Evaluation:
    """What `samples` completions of each problem say. too_long: problems whose prompt did not fit.

    ks: of pass@k; none: those of `list_ks`.
    """
    scores = [score for group in groups for score in group.scores_G]
    completions = [completion for group in groups for completion in group.completions_G]
    scored_PG = [[score for score in group.scores_G if not score.abstained] for group in groups]
    correct_P = [sum(score.passed for score in group.scores_G) for group in groups] + [0] * too_long
    samples_P = [len(scored_G) for scored_G in scored_PG] + [samples] * too_long
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
        pass_at={k: pass_at_k(correct_P, samples_P, k) for k in ks or list_ks(samples)}
        if rubric.verifiable
        else {},
        reward=_average(score.reward for score in scores if not score.abstained),
        reward_interval=mean_interval(rewards_PG, least, most),
        learned=learned,
        extracted=_average(score.extracted for score in scores),
        truncated=_average(completion.truncated for completion in completions),
        abstained=_average(score.abstained for score in scores),
        tokens=_average(completion.tokens for completion in completions),
        problems=len(groups) + too_long,
        samples=samples,
        too_long=too_long,
        seconds=seconds,
        groups=groups,
    )


def _average(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0
