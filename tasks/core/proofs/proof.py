"""What was found of a task, as plain values: findings, rates with their intervals, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..proportion import Proportion


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome. advice: what was wrong and what to do; "" when ok."""

    name: str
    ok: bool
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the probes of one kind.

    right: whether they have to pass.  tried: probes.  broke: those that were judged otherwise.
    undecided: those that passed with another problem's answer, or one with a slip, where a problem may have
    several right answers; in neither count.  example: the first that broke, "" for none.
    """

    kind: str
    right: bool
    tried: int
    broke: int = 0
    undecided: int = 0
    example: str = ""


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall-clock milliseconds of a verdict, 0 or more. probes: how many were timed."""

    p50_ms: float
    p99_ms: float
    probes: int


@dataclass(frozen=True, slots=True)
class Stability:
    """Whether verdicts repeat. probes: judged again in each way.  differing: verdicts that differed.
    ways: threads, processes, hash seeds.  left_out: why the last two were not tried; "" where they were."""

    probes: int
    differing: int
    ways: tuple[str, ...]
    left_out: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class Shared:
    """Problems of one set that are in another one. name: of that set.  of: problems looked at.
    exact: those with the same text.  grams: those with 13 words in a row in common; None where the texts are
    made from a pattern, which have them all."""

    name: str
    of: int
    exact: int
    grams: int | None = None


@dataclass(frozen=True, slots=True)
class Overlap:
    """held_out: the test split's problems in the train split; None where there are not two.
    known: the train split's problems in known evaluation sets.  not_here: sets whose data are not at hand.
    Both are empty for a task without a train split."""

    held_out: Shared | None = None
    known: tuple[Shared, ...] = ()
    not_here: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class References:
    """looked_at: problems.  unusable: those whose own solution is not accepted, with the reason, by id.
    unknown: how many have none that is known, of which nothing was proven."""

    looked_at: int
    unusable: Mapping[str, str]
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Level:
    """level: 1 or more.  solved: of the problems that were tried by the task's scripted solver."""

    level: int
    solved: Proportion


@dataclass(frozen=True)
class Proof:
    """What is proven of a task.

    mutants: programs with a slip that a task's tests turned down; None where no programs are run.
    left_out: why nothing was looked at; "" where something was.
    """

    task: str
    kind: str
    problems: int
    findings: tuple[Finding, ...]
    tallies: tuple[Tally, ...] = ()
    latency: Latency | None = None
    stability: Stability | None = None
    overlap: Overlap = field(default_factory=Overlap)
    references: References = field(default_factory=lambda: References(0, {}))
    levels: tuple[Level, ...] = ()
    mutants: Proportion | None = None
    left_out: str = ""

    @property
    def ok(self) -> bool:
        return all(finding.ok for finding in self.findings)

    @property
    def false_positives(self) -> Proportion:
        """Completions that passed, or earned the full reward, of those that must not."""
        return _add_up([tally for tally in self.tallies if not tally.right])

    @property
    def false_negatives(self) -> Proportion:
        """Completions that did not pass, of those that must."""
        return _add_up([tally for tally in self.tallies if tally.right])

    @property
    def undecided(self) -> int:
        return sum(tally.undecided for tally in self.tallies)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON; rates with their intervals."""
        return {
            **asdict(self),
            "ok": self.ok,
            "false_positives": _describe(self.false_positives),
            "false_negatives": _describe(self.false_negatives),
            "levels": [{"level": each.level, **_describe(each.solved)} for each in self.levels],
            "mutants": None if self.mutants is None else _describe(self.mutants),
        }


def _add_up(tallies: Sequence[Tally]) -> Proportion:
    return Proportion(sum(tally.broke for tally in tallies), sum(tally.tried for tally in tallies))


def _describe(rate: Proportion) -> dict[str, Any]:
    low, high = rate.interval
    return {"count": rate.count, "of": rate.total, "low": low, "high": high}
