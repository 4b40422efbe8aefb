"""A verdict made of those of other criteria of the same rubric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .types import Status, Verdict, correct, error, partial, wrong


@dataclass(frozen=True)
class Combined:
    """Correct where each of some other criteria is; else their weighted mean.

    weights: of the criteria, by their names, any unit, 0 or more.
    One that does not apply to a problem is left out; where none applies, neither does this.

    >>> from palaestra.verifiers.combined import Combined
    >>> from palaestra.verifiers.types import correct, wrong
    >>> Combined({"short": 1.0, "dated": 3.0}).make_verdict({"short": wrong(), "dated": correct()})
    Verdict(partial 0.75, 'Failed: short.')
    """

    weights: Mapping[str, float] = field(default_factory=dict)

    def make_verdict(self, parts: Mapping[str, Verdict]) -> Verdict:
        """The verdict, by those of the others; its seconds are theirs together. Raises KeyError where one has
        none."""
        judged = {name: parts[name] for name in self.weights}
        return replace(self._judge(judged), seconds=sum(verdict.seconds for verdict in judged.values()))

    def _judge(self, judged: Mapping[str, Verdict]) -> Verdict:
        for name, verdict in judged.items():
            if verdict.status is Status.ERROR:
                return error(f"{name}: {verdict.reason}")
        applying = {n: v for n, v in judged.items() if v.status is not Status.NOT_APPLICABLE}
        failed = [name for name, verdict in applying.items() if not verdict.correct]
        if not applying:
            return Verdict(Status.NOT_APPLICABLE, 0.0, None, "None of its checks applies to this problem.")
        if not failed:
            return correct()
        total = sum(self.weights[name] for name in applying)
        gained = sum(self.weights[name] * verdict.value for name, verdict in applying.items())
        said = f"Failed: {', '.join(failed)}."
        return partial(min(1.0, gained / total), reason=said) if total and gained else wrong(reason=said)
