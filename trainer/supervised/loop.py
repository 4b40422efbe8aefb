"""The loop of a fit: seeded epochs over examples, AdamW under a schedule.
A step depends on its number alone."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from ...tasks.core.seeds import digest
from ..config.shared import OptimizerConfig
from ..distributed.world import find_world
from ..model.optim import Rates, Schedule, adamw, update
from ..reports.progress import make_progress_bar
from ..storage.interrupts import Interrupts

FIT_TOKENS = 16384  # in a micro-batch of a fit where nothing else is asked for


@dataclass(frozen=True)
class Fit:
    """What is fitted to what. name: of the progress bar.  size: examples.  rates:
    learning rates that suit it.

    add_gradient: back-propagates the loss of the examples with these numbers, and gives the loss.
    """

    name: str
    module: nn.Module
    size: int
    add_gradient: Callable[[Sequence[int]], float]
    rates: Rates

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.module.parameters())

    def make_optimizer(self, config: OptimizerConfig, seed: int) -> torch.optim.Optimizer:
        """A fresh optimizer."""
        return adamw(self.module, config, self.parameters, seed)


@dataclass(frozen=True)
class Pace:
    """steps: in all.  batch_size: examples in a step.  seed: of their order."""

    steps: int
    batch_size: int
    seed: int


@dataclass(frozen=True)
class FitResult:
    """losses: of each step that was taken, in nats.  interrupted: stopped before the last step."""

    losses: Sequence[float]
    seconds: float
    interrupted: bool


AfterStep = Callable[[int, float, torch.optim.Optimizer], None]  # (steps done, loss, optimizer)


def run_fit(
    fit: Fit,
    pace: Pace,
    config: OptimizerConfig,
    stop: Interrupts | None = None,
    *,
    begin: int = 0,
    optimizer: torch.optim.Optimizer | None = None,
    after_step: AfterStep | None = None,
) -> FitResult:
    """Train the module in place, from step `begin` on. optimizer: where an earlier run stopped; default:
    a fresh one."""
    schedule = Schedule.of(config, fit.rates, fit.parameters, pace.steps)
    optimizer = optimizer or fit.make_optimizer(config, pace.seed)
    fit.module.train()
    losses: list[float] = []
    start = time.perf_counter()
    bar = make_progress_bar(
        total=pace.steps, initial=begin, desc=fit.name, unit="step", disable=not find_world().writes
    )
    for step in range(begin, pace.steps):
        losses.append(fit.add_gradient(choose_batch(fit.size, pace.batch_size, step, pace.seed)))
        update(fit.module, optimizer, schedule.at(step), config.max_grad_norm)
        if step % 20 == 0 or step + 1 == pace.steps:
            bar.set_postfix(loss=f"{sum(losses[-20:]) / len(losses[-20:]):.3f}", refresh=False)
        bar.update()
        if after_step is not None:
            after_step(step + 1, losses[-1], optimizer)
            fit.module.train()
        if stop is not None and stop.agree():
            break
    bar.close()
    return FitResult(losses, time.perf_counter() - start, begin + len(losses) < pace.steps)


def choose_batch(size: int, batch: int, step: int, seed: int) -> list[int]:
    """Which examples make up a step: seeded permutations of all of them, one after the other."""
    chosen = []
    for position in range(step * batch, (step + 1) * batch):
        epoch, place = divmod(position, size)
        chosen.append(_shuffle_epoch(size, epoch, seed)[place])
    return chosen


@lru_cache(maxsize=2)
def _shuffle_epoch(size: int, epoch: int, seed: int) -> list[int]:
    order = list(range(size))
    # Of reward models too, whatever the label says: another one would give every fit another order.
    random.Random(digest("sft", seed, epoch)).shuffle(order)
    return order
