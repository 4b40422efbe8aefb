"""Evaluations of the same problems side by side: differences paired by problem, and the problems that
flipped.

Imports no torch. Suffix: P problems.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from ...tasks.core.errors import UserError
from ..intervals import Difference, bootstrap, list_ks, paired_difference, pass_at_k_of_problem
from .comparison import Comparison, Flip, KEstimate, Pair, Rate, Side
from .likeness import KINDS, check_alike
from .measured import FIRST, LAST, Measured, Row, list_steps, rate_problem, read_measured
from .paired import correct_by_holm, find_reach, flip_signs


def read_all(sources: Sequence[str]) -> list[Measured]:
    """The evaluations that these places stand for; a run alone for its first and its last one."""
    measured = [each for source in sources for each in read_measured(source)]
    if len(measured) == 1 and "@" not in sources[0]:
        source = sources[0]
        steps = list_steps(Path(source))
        if len(steps) > 1:
            return [*read_measured(f"{source}@{FIRST}"), *read_measured(f"{source}@{LAST}")]
    return measured


def compare_measured(
    measured: Sequence[Measured], across: Collection[str] = (), *, every: bool = False, ks: Sequence[int] = ()
) -> Comparison:
    """Each evaluation against the first one, or with `every` each against each.

    across: what they may differ in, of tasks, prompts, verifiers.  ks: of pass@k; none: 1, 2, 4, ... up to
    the samples that all have.
    Raises UserError for fewer than two, for evaluations that are not of one kind, and for k without as many
    samples.
    """
    if unknown := sorted({*across} - {*KINDS}):
        raise UserError(f"--across {unknown[0]}: give {', '.join(KINDS)}, or several of them with commas.")
    if len(measured) < 2:
        raise UserError("A comparison needs two evaluations or more.")
    measured = name_apart(measured)
    for each in measured:
        if not each.verifiable:
            raise UserError(
                f"Nothing verifies the completions of {each.name}: there are no pass-rates to compare."
            )
    asked = list(combinations(measured, 2)) if every else [(measured[0], other) for other in measured[1:]]
    pairs = [compare_two(first, second, across, ks) for first, second in asked]
    return Comparison([summarise(each) for each in measured], correct_pairs(pairs))


def name_apart(measured: Sequence[Measured]) -> list[Measured]:
    """With names that differ: the folder above, or else a number, tells those apart that share one."""
    names = [each.name for each in measured]
    if len({*names}) < len(names):
        names = [
            f"{each.folder.resolve().parent.name}/{each.name}" if each.folder is not None else each.name
            for each in measured
        ]
    if len({*names}) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, 1)]
    return [replace(each, name=name) for each, name in zip(measured, names, strict=True)]


def summarise(measured: Measured) -> Side:
    settings = measured.identity.get("settings", {})
    return Side(
        measured.name,
        str(measured.folder) if measured.folder is not None else "",
        str(measured.identity.get("facts", {}).get("task", "")),
        len(measured.rows_P),
        measured.samples,
        measured.too_long,
        settings.get("temperature"),
    )


def compare_two(
    first: Measured, second: Measured, across: Collection[str] = (), ks: Sequence[int] = ()
) -> Pair:
    """The second evaluation minus the first."""
    notes = check_alike(first, second, across)
    ids = list(dict.fromkeys([*first.rows_P, *second.rows_P]))
    most = min(first.samples, second.samples)
    if ks and max(ks) > most:
        raise UserError(
            f"--k {max(ks)}: {first.name} and {second.name} have {most} sample(s) of a problem in common. "
            f"Give "
            f"k from 1 to {most}."
        )
    chosen = sorted({1, *ks}) if ks else list_ks(most)
    if (
        first.folder is not None
        and second.folder is not None
        and first.folder.resolve() == second.folder.resolve()
    ):
        notes.append("both are the same evaluation, so nothing can differ")
    notes += [
        f"{each.too_long} prompt(s) of {each.name} did not fit: they have no completion, and are not compared"
        for each in (first, second)
        if each.too_long
    ]
    return Pair(
        first.name,
        second.name,
        [estimate_k(first, second, ids, k) for k in chosen],
        _compare_rewards(first, second, ids),
        list(_find_flips(first, second, ids)),
        notes,
    )


def estimate_k(first: Measured, second: Measured, ids: Sequence[str], k: int) -> KEstimate:
    """pass@k of both, on the problems that both have k scored completions of."""
    sides_P = [[_pass_at_k(each.rows_P.get(key, ()), k) for key in ids] for each in (first, second)]
    difference = paired_difference(sides_P[0], sides_P[1])
    both = [pair for pair in zip(*sides_P, strict=True) if not any(map(math.isnan, pair))]
    differences_P = [now - was for was, now in both]
    reach = find_reach(differences_P)
    count = max(1, len(both))
    return KEstimate(
        k,
        Rate(math.fsum(was for was, _ in both) / count, math.fsum(now for _, now in both) / count),
        difference,
        flip_signs(differences_P),
        set(differences_P) <= {-1.0, 0.0, 1.0},
        reach,
    )


def _pass_at_k(rows: Sequence[Row], k: int) -> float:
    scored = [row.passed for row in rows if not row.abstained]
    return pass_at_k_of_problem(sum(scored), len(scored), k) if len(scored) >= k else math.nan


def _compare_rewards(first: Measured, second: Measured, ids: Sequence[str]) -> Difference:
    """Of mean rewards, in the reward's unit. The bounds of its interval are those of the rewards that were
    seen, 0 and 1 at least."""
    pairs = [
        (sum(was) / len(was), sum(now) / len(now))
        for key in ids
        if (was := _list_rewards(first.rows_P.get(key, ())))
        and (now := _list_rewards(second.rows_P.get(key, ())))
    ]
    if not pairs:
        return Difference(math.nan, -1.0, 1.0, 0, 0, 0, len(ids))
    rewards = [reward for pair in pairs for reward in pair]
    width = max(1.0, *rewards) - min(0.0, *rewards)
    differences_P = [now - was for was, now in pairs]
    low, high = bootstrap(differences_P, -width, width)
    wins, losses = sum(d > 0 for d in differences_P), sum(d < 0 for d in differences_P)
    mean = math.fsum(differences_P) / len(pairs)
    return Difference(mean, low, high, len(pairs), wins, losses, len(ids) - len(pairs))


def _list_rewards(rows: Sequence[Row]) -> list[float]:
    return [row.reward for row in rows if not row.abstained]


def _find_flips(first: Measured, second: Measured, ids: Sequence[str]) -> Iterator[Flip]:
    """Problems of which more than half of the completions pass in one evaluation, and half or fewer in the
    other."""
    for key in ids:
        was, now = (rate_problem(each.rows_P.get(key, ())) for each in (first, second))
        if was is None or now is None or (was > 0.5) == (now > 0.5):
            continue
        gained = now > 0.5
        question = first.questions.get(key) or second.questions[key]
        yield Flip(
            key, gained, was, now, question.prompt, question.reference,
            _find_row(first.rows_P[key], passed=not gained), _find_row(second.rows_P[key], passed=gained),
        )  # fmt: skip


def _find_row(rows: Sequence[Row], *, passed: bool) -> Row:
    """The first scored completion that passed, or did not."""
    return next(row for row in rows if not row.abstained and row.passed == passed)


def correct_pairs(pairs: Sequence[Pair]) -> list[Pair]:
    """With p-values that hold for all pairs together, by Holm, for each k by itself."""
    corrected: dict[tuple[int, int], float] = {}
    for k in {estimate.k for pair in pairs for estimate in pair.estimates}:
        places = [n for n, pair in enumerate(pairs) if any(each.k == k for each in pair.estimates)]
        p_values = [pairs[n].at(k).p_value for n in places]
        corrected |= {(n, k): p for n, p in zip(places, correct_by_holm(p_values), strict=True)}
    return [
        replace(pair, estimates=[replace(each, corrected=corrected[n, each.k]) for each in pair.estimates])
        for n, pair in enumerate(pairs)
    ]
