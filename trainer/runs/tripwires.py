"""Tripwires: signs that a run has gone wrong. Each warns when it is first crossed,
and stops the run when it stays so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..config.train import WatchConfig


@dataclass(frozen=True)
class Tripwire:
    """name: of what is watched.  setting: short name of its bound.  metric: of a step; "" for the growth of
    the length.  low: whether the bound is the least that may be."""

    name: str
    setting: str
    metric: str
    low: bool = False

    @property
    def flag(self) -> str:
        """The option of its bound."""
        return f"--{self.setting.replace('_', '-')}"

    def read_bound(self, config: WatchConfig) -> float:
        return getattr(config, self.setting.removeprefix("watch."))

    def is_crossed(self, value: float | None, bound: float) -> bool:
        """Whether a value is beyond the bound; never where the bound is 0 or nothing was measured."""
        return bound > 0 and value is not None and (value < bound if self.low else value > bound)


TRIPWIRES = {
    tripwire.name: tripwire
    for tripwire in (
        Tripwire("entropy", "watch.entropy_min", "entropy", low=True),
        Tripwire("kl to the sampling policy", "watch.kl_max", "approx_kl"),
        Tripwire("kl to the reference", "watch.reference_kl_max", "kl_k3"),
        Tripwire("truncated share", "watch.truncated_max", "truncated"),
        Tripwire("growth of the length", "watch.length_growth_max", ""),
        Tripwire("extracted share", "watch.extracted_min", "extracted", low=True),
        Tripwire("log-probability difference", "watch.logprob_difference_max", "logprob_difference_max"),
    )
}


@dataclass
class Watch:
    """crossed: steps in a row beyond each bound.  first_length: mean length of the first step, in tokens.
    told: the bounds that were warned of: one that flickers is told once, the metrics hold the rest."""

    crossed: dict[str, int] = field(default_factory=dict)
    first_length: float | None = None
    told: list[str] = field(default_factory=list)

    def look(self, metrics: Mapping[str, Any], config: WatchConfig) -> list[str]:
        """Enter a step; a sentence for each bound that was crossed for the first time.
        `list_tripped` says what has to stop the run."""
        if self.first_length is None:
            self.first_length = metrics["tokens"]
        warnings = []
        growth = metrics["tokens"] / self.first_length if self.first_length else None
        for name, tripwire in TRIPWIRES.items():
            value = metrics.get(tripwire.metric) if tripwire.metric else growth
            bound = tripwire.read_bound(config)
            beyond = tripwire.is_crossed(value, bound)
            self.crossed[name] = self.crossed.get(name, 0) + 1 if beyond else 0
            if beyond and name not in self.told:
                self.told.append(name)
                side = "below" if tripwire.low else "above"
                warnings.append(
                    f"step {metrics['step']}: {name} is {value:.3g}, {side} {bound:.3g} ({tripwire.flag})."
                )
        return warnings

    def forgive(self, config: WatchConfig) -> None:
        """Count what has tripped from the start again: a run that goes on gets the patience anew."""
        for name in self.list_tripped(config):
            self.crossed[name] = 0
            self.told = [other for other in self.told if other != name]

    def list_tripped(self, config: WatchConfig) -> list[str]:
        """Names of the bounds that have been crossed for `patience` steps in a row."""
        return [name for name, count in self.crossed.items() if count >= config.patience]
