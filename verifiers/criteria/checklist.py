"""A list of small checks: each has its own verdict, weight and pass-rate, and together they pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ..combined import Combined
from ..criterion import Criterion, Reward, run_check
from ..functions import function
from ..types import Completion, ProblemLike, Verdict


def checklist(
    checks: Mapping[str, Criterion | Reward],
    name: str = "checklist",
    weight: float = 1.0,
    *,
    weights: Mapping[str, float] | None = None,
    needed: Collection[str] | None = None,
    gate: bool = False,
) -> tuple[Criterion, ...]:
    """Many small checks for a rubric, by names of your own: functions or criteria.

    The first criterion of what is returned is the list itself, correct where every needed check is: first in
    a rubric, it decides `passed`. It earns nothing itself; what is paid is each check's share.

    weight: of all checks together, in the rubric's unit.  weights: of checks by their names, in any unit, 0
        for one that only measures; 1 where not said.
    needed: names of the checks that must be correct for the list to be; None: all of them.
    gate: all or nothing: unless every needed check is correct the reward is the least that there is.
    A criterion among the checks that is a gate stays one, and has no weight.
    Raises ValueError for a list without checks, names that are none of them, weights below 0 or all 0, and a
    learned criterion.

    >>> import palaestra as pal
    >>> def has_no_exclamation_mark(completion, problem):
    ...     return "!" not in completion.text
    >>> rubric = pal.Rubric(pal.criteria.checklist({
    ...     "names the date": lambda completion, problem: problem.reference in completion.text,
    ...     "under 80 words": pal.criteria.length(79, least=1),
    ...     "no exclamation mark": has_no_exclamation_mark,
    ... }, weights={"names the date": 2}))
    >>> score = rubric.score(pal.Completion("See you on 12 May!"), pal.Problem("Invite Ada.", "12 May"))
    >>> score.reward, score.passed, score.parts["checklist"].reason
    (0.75, False, 'Failed: no exclamation mark.')
    """
    given = dict(weights or {})
    must = tuple(checks if needed is None else needed)
    _check(name, checks, given, must)
    criteria = {key: _name_check(key, check) for key, check in checks.items()}
    shares = {key: 0.0 if each.gate else given.get(key, 1.0) for key, each in criteria.items()}
    total = sum(shares.values())
    if not total:
        raise ValueError(
            f"Every check of {name!r} has weight 0 or is a gate, so that nothing is paid: weigh one."
        )
    shares = {key: weight * share / total for key, share in shares.items()}
    kept = sum(shares[key] for key in must) if gate else 0.0
    parts = tuple(
        replace(each, weight=shares[key], gate=each.gate or (gate and key in must))
        for key, each in criteria.items()
    )
    combined = Combined({key: shares[key] for key in must})

    def check(completion: Completion, problem: ProblemLike) -> Verdict:
        return combined.make_verdict({each.name: run_check(each, completion, problem) for each in parts})

    form = all(each.form for each in parts)
    return (
        Criterion(name, check, kept, several=True, form=form, combined=combined),
        *parts,
    )


def _check(
    name: str,
    checks: Mapping[str, Criterion | Reward],
    weights: Mapping[str, float],
    must: Collection[str],
) -> None:
    if not checks or not must:
        raise ValueError(f"The list {name!r} asks for nothing: give it checks, one of them needed.")
    if name in checks:
        raise ValueError(f"A check has the name of its list, {name!r}: give the list another with `name=`.")
    for what, names in (("weights", weights), ("needed", must)):
        unknown = [each for each in names if each not in checks]
        if unknown:
            raise ValueError(
                f"{what}= of {name!r} names {unknown[0]!r}, which is no check of it: {', '.join(checks)}."
            )
    wrong = [each for each, weight in weights.items() if not 0 <= weight < float("inf")]
    if wrong:
        raise ValueError(f"Check {wrong[0]!r} has weight {weights[wrong[0]]}; give it 0 or more.")


def _name_check(name: str, check: Criterion | Reward) -> Criterion:
    if not isinstance(check, Criterion):
        return function(check, name)
    if check.learned is not None or check.combined is not None:
        raise ValueError(f"Check {name!r} is {check.name}, which judges by others: put it beside the list.")
    return replace(check, name=name)
