"""Tripwires: signs that a run has gone wrong. Each warns when it is first crossed,
and stops the run when it stays so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..config.train import WatchConfig


@dataclass
class Watch:
    """crossed: steps in a row beyond each bound.  first_length: mean length of the first step, in tokens."""

    crossed: dict[str, int] = field(default_factory=dict)
    first_length: float | None = None

    def look(self, metrics: Mapping[str, Any], config: WatchConfig) -> list[str]:
        """Enter a step; a sentence for each bound that was crossed anew.
        `list_tripped` says what has to stop the run."""
        if self.first_length is None:
            self.first_length = metrics["tokens"]
        warnings = []
        for name, value, bound, low in _list_checks(metrics, config, self.first_length):
            beyond = bound > 0 and value is not None and (value < bound if low else value > bound)
            self.crossed[name] = self.crossed.get(name, 0) + 1 if beyond else 0
            if self.crossed[name] == 1:
                warnings.append(
                    f"step {metrics['step']}: {name} is {value:.3g}, {'below' if low else 'above'} "
                    f"{bound:.3g}."
                )
        return warnings

    def forgive(self, config: WatchConfig) -> None:
        """Count what has tripped from the start again: a run that goes on gets the patience anew."""
        for name in self.list_tripped(config):
            self.crossed[name] = 0

    def list_tripped(self, config: WatchConfig) -> list[str]:
        """Names of the bounds that have been crossed for `patience` steps in a row."""
        return [name for name, count in self.crossed.items() if count >= config.patience]


def _list_checks(
    metrics: Mapping[str, Any], config: WatchConfig, first_length: float
) -> list[tuple[str, Any, float, bool]]:
    growth = metrics["tokens"] / first_length if first_length else None
    return [
        ("entropy", metrics.get("entropy"), config.entropy_min, True),
        ("kl to the sampling policy", metrics.get("approx_kl"), config.kl_max, False),
        ("kl to the reference", metrics.get("kl_k3"), config.reference_kl_max, False),
        ("truncated share", metrics.get("truncated"), config.truncated_max, False),
        ("growth of the length", growth, config.length_growth_max, False),
        ("extracted share", metrics.get("extracted"), config.extracted_min, True),
        (
            "log-probability difference",
            metrics.get("logprob_difference_max"),
            config.logprob_difference_max,
            False,
        ),
    ]
