"""The learning rates of a run."""

from __future__ import annotations

from ..model import lora
from ..model.optim import Rates, Schedule
from .state import Run

RATES = Rates(small=3e-4, large=1e-6)


def make_schedule(run: Run) -> Schedule:
    """The learning rate of each step; adapters take a higher one than all weights."""
    config = run.config
    rates = RATES.multiply(lora.RATE) if config.model.lora_rank else RATES
    return Schedule.of(config.optimizer, rates, run.learner.policy.parameters, config.steps)


def suggest_lower_rate(run: Run) -> str:
    """A quarter of a run's learning rate, as an option."""
    return f"--learning-rate {make_schedule(run).peak / 4:.2g}"
