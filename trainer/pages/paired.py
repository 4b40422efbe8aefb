"""Held-out evaluations of runs set against each other problem by problem, for the questions of a page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...tasks.core.errors import UserError
from ..evaluation.compare import compare_two
from ..evaluation.comparison import show_p
from ..evaluation.measured import Measured, list_steps, locate_held_out, read_folder
from ..intervals import Interval
from ..storage.names import COMPLETIONS

KEPT = 32  # evaluations whose rows are held, for a page that is served


@dataclass(frozen=True)
class Written:
    """A file, and when it was written, in nanoseconds: one that is written anew is read anew."""

    path: Path
    time: int


@dataclass(frozen=True)
class Paired:
    """What pairing found. difference: of pass@1, None where it can't be told.  reward: of mean rewards.

    said: the sentence about it; where there is no difference, why not, "" where nothing was there to pair.
    unlike: whether the two were measured otherwise, so that no difference of theirs means anything.
    """

    difference: Interval | None = None
    reward: Interval | None = None
    said: str = ""
    unlike: bool = False


def pair_steps(run: Path, first: int, last: int) -> Paired:
    """The evaluation of a run at its step `last` minus that at `first`."""
    return _pair(run, first, run, last)


def pair_runs(first: Path, second: Path) -> Paired:
    """The last held-out evaluation of the second run minus that of the first."""
    steps = [list_steps(run) for run in (first, second)]
    return _pair(first, steps[0][-1], second, steps[1][-1]) if all(steps) else Paired()


def _pair(first: Path, first_step: int, second: Path, second_step: int) -> Paired:
    places = [
        locate_held_out(first, first_step) / COMPLETIONS,
        locate_held_out(second, second_step) / COMPLETIONS,
    ]
    if not all(path.is_file() for path in places):
        return Paired()
    return _set_against(*(Written(path, path.stat().st_mtime_ns) for path in places))


@lru_cache(KEPT)  # a live page asks again for the same two
def _set_against(first: Written, second: Written) -> Paired:
    try:
        was, now = _read(first), _read(second)
    except UserError as failure:
        return Paired(said=f"The held-out completions could not be paired: {failure}")
    try:
        pair = compare_two(was, now, ks=(1,))
    except UserError as failure:
        return Paired(said=str(failure), unlike=True)
    found = pair.at(1)
    difference, reward = (
        Interval(each.value, each.low, each.high, each.problems) for each in (pair.difference, pair.reward)
    )
    wins, losses = pair.difference.wins, pair.difference.losses
    said = (
        f"Paired on {difference.problems} problems: {wins} with a higher rate, {losses} with a lower one "
        f"(exact p {show_p(found.p_value)})."
    )
    return Paired(difference if difference.problems else None, reward if reward.problems else None, said)


@lru_cache(KEPT)
def _read(rows: Written) -> Measured:
    return read_folder(rows.path.parent, f"{rows.path.parents[2].name}, {rows.path.parent.name}")
