"""What a comparison of evaluations found, as plain data for its record and as a table for a person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...tasks.core.conversation import write_conversation
from ...tasks.core.errors import UserError
from ..intervals import Difference
from ..storage.records import drop_nan, read_json_if_there, write_json, write_lines
from ..storage.rows import write_episode
from ..storage.starts import number_folder
from .measured import Row
from .paired import LEVEL, POWER, Reach

SHOWN_FLIPS = 3  # of each direction, in the lines for a person
RECORD, FLIPS = "comparison.json", "flips.jsonl"
SHOWN_TEXT = 300  # characters
SHOWN_LINES, SHOWN_TURNS = 4, 8  # of an episode


Decision = Literal["better", "worse", "not shown"]


@dataclass(frozen=True)
class Side:
    """One of the evaluations. folder: "" for one in memory.  too_long: problems whose prompt did not fit."""

    name: str
    folder: str
    task: str
    problems: int
    samples: int
    too_long: int
    temperature: float | None


@dataclass(frozen=True)
class Rate:
    """Of the first and of the second evaluation, in [0, 1], on the problems that both could score."""

    first: float
    second: float


@dataclass(frozen=True)
class KEstimate:
    """pass@k of two evaluations.

    difference: second minus first, with its 95 % interval over problems.  p_value: two-sided, of the exact
    test; `mcnemar` says whether it is McNemar's (one yes or no for each problem), else signs of the problems'
    differences are flipped.  corrected: as it counts beside the other pairs (Holm).
    reach: what so many problems could have shown.
    """

    k: int
    rates: Rate
    difference: Difference
    p_value: float
    mcnemar: bool
    reach: Reach
    corrected: float = 1.0


@dataclass(frozen=True)
class Flip:
    """A problem that one evaluation solves, in more than half of its completions, and the other does not.

    gained: the second one solves it.  before, after: shares that passed.  first, second: a completion of each
    that shows it.
    """

    problem: str
    gained: bool
    before: float
    after: float
    prompt: str = field(repr=False)
    reference: Any = field(repr=False)
    first: Row = field(repr=False)
    second: Row = field(repr=False)


@dataclass(frozen=True)
class Pair:
    """Two of the evaluations: the second against the first. notes: what they differ in beside the model."""

    first: str
    second: str
    estimates: Sequence[KEstimate]
    reward: Difference
    flips: Sequence[Flip] = field(repr=False)
    notes: Sequence[str] = ()

    def at(self, k: int) -> KEstimate:
        """What was found of pass@k. Raises KeyError where that was not looked at."""
        for estimate in self.estimates:
            if estimate.k == k:
                return estimate
        raise KeyError(k)

    @property
    def difference(self) -> Difference:
        """Of pass@1, with its 95 % interval."""
        return self.at(1).difference


@dataclass(frozen=True)
class Comparison:
    """Evaluations of the same problems side by side. pairs: each against the first, or each against each.

    `str` gives the table that `palaestra compare` shows.
    """

    sides: Sequence[Side]
    pairs: Sequence[Pair]

    @property
    def difference(self) -> Difference:
        """Of pass@1 of the second evaluation minus the first, with its 95 % interval."""
        return self.pairs[0].difference

    def to_dict(self) -> dict[str, Any]:
        """Plain data: everything but the flipped problems' texts."""
        pairs = []
        for pair in self.pairs:
            plain = {**vars(pair), "estimates": [asdict(each) for each in pair.estimates],
                     "reward": asdict(pair.reward), "notes": list(pair.notes)}  # fmt: skip
            plain["flips"] = [
                {"problem": f.problem, "gained": f.gained, "before": f.before, "after": f.after}
                for f in pair.flips
            ]
            pairs.append(plain)
        record = {
            "command": "compare",
            "level": LEVEL,
            "power": POWER,
            "sides": [asdict(side) for side in self.sides],
            "pairs": pairs,
        }
        return drop_nan(record)

    def list_flips(self) -> list[dict[str, Any]]:
        """The flipped problems with both completions, as plain data."""
        return [
            {
                "first_name": pair.first,
                "second_name": pair.second,
                **asdict(flip),
                "first": _write_row(flip.first),
                "second": _write_row(flip.second),
            }
            for pair in self.pairs
            for flip in pair.flips
        ]

    def __str__(self) -> str:
        return "\n".join([*_draw_table(self.pairs), *_explain(self), *_write_pairs(self.pairs)])


def _write_row(row: Row) -> dict[str, Any]:
    """A completion, its episode as rows of runs have it."""
    return {**asdict(row), **write_episode(row.said)}


def write_comparison(found: Comparison, out: str = "auto") -> Path:
    """Write comparison.json and flips.jsonl; returns their folder.

    out: the folder, where an earlier comparison is replaced; auto takes one in runs/, which is replaced where
    it is of the same evaluations. Raises UserError for a folder that holds something else.
    """
    names = "-".join(side.name for side in found.sides)

    def is_of_same(folder: Path) -> bool:
        record = read_json_if_there(folder / RECORD)
        listed = [(side["name"], side["folder"]) for side in record.get("sides", [])]
        return listed == [(side.name, side.folder) for side in found.sides]

    folder = number_folder(f"compare-{names}", is_of_same) if out == "auto" else Path(out)
    if folder.is_file():
        raise UserError(f"{folder} is a file, not a folder. Give another --out.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RECORD).is_file():
        raise UserError(f"{folder} is not empty, and holds no comparison. Give another --out.")
    folder.mkdir(parents=True, exist_ok=True)
    write_lines(folder / FLIPS, (json.dumps(flip, default=str) for flip in found.list_flips()))
    write_json(folder / RECORD, found.to_dict())
    return folder


def _draw_table(pairs: Sequence[Pair]) -> list[str]:
    several = len(pairs) > 1
    rows = [("first", "second", "", "first", "second", "difference [95 % interval]", "p",
             *(("p (Holm)",) if several else ()), "problems", "won", "lost", "could show")]  # fmt: skip
    for pair in pairs:
        for each in pair.estimates:
            found, name = each.difference, each.k == 1
            rows.append((
                pair.first if name else "", pair.second if name else "", f"pass@{each.k}",
                f"{each.rates.first:.1%}", f"{each.rates.second:.1%}", str(found), show_p(each.p_value),
                *((show_p(each.corrected),) if several else ()), str(found.problems), str(found.wins),
                str(found.losses), _show_reach(each.reach),
            ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def show_p(p_value: float) -> str:
    return f"{p_value:.3f}" if p_value >= 0.001 else "<0.0001" if p_value < 0.0001 else f"{p_value:.4f}"


def _show_reach(reach: Reach) -> str:
    return "nothing" if reach.smallest is None else f"±{100 * reach.smallest:.1f} points"


def _explain(comparison: Comparison) -> list[str]:
    every = [each for pair in comparison.pairs for each in pair.estimates]
    tests = []
    if any(each.mcnemar for each in every):
        tests.append("McNemar's exact test")
    if not all(each.mcnemar for each in every):
        tests.append(
            "the test that flips the signs of the problems' differences, where they have several samples"
        )
    lines = [
        f"p: {'; '.join(tests)}. Could show: the smallest true difference that so many problems, as often "
        f"at odds "
        f"as these, show (p < {LEVEL:g}) in {POWER:.0%} of repeats."
    ]
    if len(comparison.pairs) > 1:
        lines.append("p (Holm): as it counts when all pairs of the table are looked at.")
    return lines


def _write_pairs(pairs: Sequence[Pair]) -> list[str]:
    lines: list[str] = []
    for pair in pairs:
        found = pair.difference
        lines += ["", f"{pair.second} against {pair.first}: {judge(pair)}"]
        lines.append(
            f"  mean reward {pair.reward.value:+.3f} [{pair.reward.low:+.3f}, {pair.reward.high:+.3f}]"
        )
        if found.excluded:
            lines.append(f"  {found.excluded} problem(s) that only one of the two could score are left out")
        lines += [f"  note: {note}" for note in pair.notes]
        for gained, word in ((True, "gained"), (False, "lost")):
            flips = [flip for flip in pair.flips if flip.gained == gained]
            flips.sort(key=lambda flip: -abs(flip.after - flip.before))  # the clearest first
            if flips:
                lines.append(f"  {len(flips)} problem(s) {word}:")
                lines += [line for flip in flips[:SHOWN_FLIPS] for line in _write_flip(flip, pair)]
    return lines


def decide(value: float, p_value: float) -> Decision:
    """Whether a difference was shown. p_value: as it counts beside the other pairs."""
    if p_value < LEVEL:
        return "better" if value > 0 else "worse"
    return "not shown"


def judge(pair: Pair) -> str:
    """What the difference of pass@1 says, as a phrase."""
    each = pair.at(1)
    found, decision = each.difference, decide(each.difference.value, each.corrected)
    if not found.problems:
        return "no problem was scored by both"
    if decision != "not shown":
        return f"{decision}, {found}"
    more = (
        f"; about {each.reach.problems:,} problems would show a difference of this size"
        if each.reach.problems is not None and each.reach.problems > found.problems
        else ""
    )
    return f"no difference was shown, {found}{more}"


def _write_flip(flip: Flip, pair: Pair) -> list[str]:
    lines = [f"    {flip.problem}  ({flip.before:.0%} -> {flip.after:.0%})  {_cut(flip.prompt, 100)}"]
    for name, row in ((pair.first, flip.first), (pair.second, flip.second)):
        verdict = row.status or ("passed" if row.passed else "not passed")
        if row.turns:
            shown = write_conversation(row.said, lines=SHOWN_LINES, turns=SHOWN_TURNS)
            lines += [f"      {name} ({verdict}):", shown]
        else:
            lines.append(f"      {name} ({verdict}): {_cut(row.text, SHOWN_TEXT)}")
    lines.append(f"      reference: {_cut(str(flip.reference), 100)}")
    return lines


def _cut(text: str, most: int) -> str:
    """One line of a text: its end, where an answer stands."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"... {line[4 - most :]}"
