"""What an evaluation says beside its headline: criteria, what was read, cut and left unscored, tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...verifiers import Rubric, Score
from ..intervals import Interval, mean_interval
from ..rollouts.group import Group, list_amounts
from .majority import count_votes, majority_at_k


@dataclass(frozen=True)
class Breakdown:
    """Each share and mean with its 95 % interval over problems: the samples of one problem count as one.

    majority: k -> maj@k, the chance that the most frequent of k answers is right; for k above 1, over
    problems with k scored completions or more. Empty where the correctness criterion reads no answers.
    criteria: criterion -> mean of its verdicts' amounts over scored completions.
    extracted, truncated, abstained: shares of completions.  completion_tokens, prompt_tokens: sums; a prompt
    counts once for each of its completions.
    """

    majority: dict[int, Interval]
    criteria: dict[str, Interval]
    extracted: Interval
    truncated: Interval
    abstained: Interval
    completion_tokens: int
    prompt_tokens: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def break_down(groups: Sequence[Group], rubric: Rubric, ks: Sequence[int], too_long: int = 0) -> Breakdown:
    """Of all completions of an evaluation. ks: of maj@k.  too_long: problems whose prompt did not fit, of
    which no answer is right."""
    scored_PG = [[score for score in group.scores_G if not score.abstained] for group in groups]
    criteria = {
        criterion.name: _measure_criterion(scored_PG, criterion.name) for criterion in rubric.criteria
    }
    completions = [completion for group in groups for completion in group.completions_G]
    cut_PG = [[float(c.truncated) for c in group.completions_G] for group in groups]
    return Breakdown(
        {k: majority for k in ks if k > 1 and (majority := _measure_majority(scored_PG, k, too_long))},
        criteria,
        extracted=_share(groups, lambda score: score.extracted),
        truncated=mean_interval(cut_PG, 0.0, 1.0),
        abstained=_share(groups, lambda score: score.abstained),
        completion_tokens=sum(completion.tokens for completion in completions),
        prompt_tokens=sum(completion.prompt_tokens for completion in completions),
    )


def _measure_criterion(scored_PG: Sequence[Sequence[Score]], name: str) -> Interval:
    """Over the problems that it applies to. A number beyond 0 and 1 widens the bounds to what was seen."""
    values_PG = [list_amounts(scored_G, name) for scored_G in scored_PG]
    seen = [0.0, 1.0, *(value for values in values_PG for value in values)]
    return mean_interval(values_PG, min(seen), max(seen))


def _measure_majority(scored_PG: Sequence[Sequence[Score]], k: int, too_long: int) -> Interval | None:
    verdicts_PG = [[v for s in scored_G if (v := s.correctness) is not None] for scored_G in scored_PG]
    if all(verdict.answer is None for verdicts_G in verdicts_PG for verdict in verdicts_G):
        return None
    votes_P = [count_votes([v.correct for v in each], [v.answer for v in each]) for each in verdicts_PG]
    values = [[majority_at_k(votes, k)] if votes.samples >= k else [] for votes in votes_P]
    return mean_interval([*values, *[[0.0]] * too_long], 0.0, 1.0)


def _share(groups: Sequence[Group], holds: Callable[[Score], bool]) -> Interval:
    return mean_interval([[float(holds(score)) for score in group.scores_G] for group in groups], 0.0, 1.0)
