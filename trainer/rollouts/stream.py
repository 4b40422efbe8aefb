"""Where the train stream stands and goes on: in a mixture by the shares that were set, or by what is being
learned."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from typing import Any

from ...tasks import Task
from ...tasks.core.mixture import Component, Mixture, Place
from ...tasks.core.seeds import digest
from ..config.train import TrainConfig
from .ledger import Item, Ledger

WINDOW = 10  # visits to a task whose pass-rate is compared with that of as many before
LEAST = 0.1  # of a task's set weight, where nothing is learned on it


@dataclass
class Position:
    """Where the train stream stands. next: its next problem.  refused: prompts over the budget so far.
    skipped: problems passed over by the curriculum.  taken: problems of each task, where the shares of a
    mixture move."""

    next: int = 0
    refused: int = 0
    skipped: int = 0
    taken: dict[str, int] = field(default_factory=dict)

    def summarise(self) -> dict[str, Any]:
        """For a step's metrics: without `taken` where nothing is in it."""
        return {name: value for name, value in asdict(self).items() if value or name != "taken"}


def locate(task: Task, config: TrainConfig, position: Position, ledger: Ledger) -> Place:
    """Where the stream's next problem is: in the task itself, or in one of a mixture's.

    Where the shares move, what was taken of each task is counted in `position`.
    """
    if not isinstance(task, Mixture):
        return Place(Component(task), position.next)
    if config.rollouts.mixture == "fixed":
        return task.source.locate(position.next)
    weights = weigh(task, ledger)
    rng = random.Random(digest("mixture", config.seed, position.next))
    component = rng.choices(task.components, [weights[component.label] for component in task.components])[0]
    index = position.taken.get(component.label, 0)
    position.taken[component.label] = index + 1
    return Place(component, index)


def weigh(task: Mixture, ledger: Ledger) -> dict[str, float]:
    """Weights by learning progress: each set weight, times how fast its pass-rate moves beside the fastest,
    up or down (Matiisen et al. 2017, arXiv:1707.00183, section 4: the absolute slope, so that what is being
    forgotten is practised, too). A task that was visited too seldom to tell counts as the fastest.
    """
    slopes = {
        component.label: measure_progress(ledger.tasks.get(component.label, Item()))
        for component in task.components
    }
    fastest = max((slope for slope in slopes.values() if slope is not None), default=0.0)
    weights = {}
    for component in task.components:
        slope = slopes[component.label]
        share = 1.0 if slope is None or not fastest else slope / fastest
        weights[component.label] = component.weight * (LEAST + (1 - LEAST) * share)
    return weights


def measure_progress(item: Item) -> float | None:
    """Absolute difference of the pass-rates of the last `WINDOW` visits and of those before; None where there
    were fewer than twice as many."""
    last = item.compute_rate(item.visits[-WINDOW:], WINDOW)
    before = item.compute_rate(item.visits[-2 * WINDOW : -WINDOW], WINDOW)
    return None if last is None or before is None else abs(last - before)
