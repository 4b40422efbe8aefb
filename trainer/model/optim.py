"""The optimizer and its schedule; the learning rate is a pure function of the step,
so a resumed run needs no state for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from ..config.settings import Auto, resolve
from ..config.shared import OptimizerConfig
from .compact_adamw import CompactAdamW, sum_in_float32

SMALL = 10_000_000  # parameters below which a model takes the rates of a small one
BETA1 = 0.9


@dataclass(frozen=True)
class Rates:
    """The learning rates that suit a small model and a large one, where nothing else is asked for."""

    small: float
    large: float

    def multiply(self, factor: float) -> Rates:
        """Both rates times a factor."""
        return Rates(self.small * factor, self.large * factor)


def choose_peak_rate(setting: float | Auto, rates: Rates, parameters: int) -> float:
    """The learning rate that is set, or the one that suits a model of so many parameters."""
    return resolve(setting, rates.small if parameters < SMALL else rates.large)


@dataclass(frozen=True)
class Schedule:
    """peak: highest learning rate.  warmup: steps of linear warm-up.  final:
    last rate as a share of the peak, in [0, 1]."""

    peak: float
    steps: int
    warmup: int = 0
    shape: Literal["constant", "linear", "cosine"] = "linear"
    final: float = 0.1

    @classmethod
    def of(cls, config: OptimizerConfig, rates: Rates, parameters: int, steps: int) -> Schedule:
        peak = choose_peak_rate(config.learning_rate, rates, parameters)
        return cls(peak, steps, config.warmup_steps, config.schedule, config.final_learning_rate)

    def at(self, step: int) -> float:
        """The learning rate of update `step`, counted from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / (self.warmup + 1)
        if self.shape == "constant":
            return self.peak
        progress = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        falling = 1 - progress if self.shape == "linear" else (1 + math.cos(math.pi * progress)) / 2
        return self.peak * (self.final + (1 - self.final) * falling)


def adamw(
    model: nn.Module, config: OptimizerConfig, parameters: int, seed: int = 0
) -> torch.optim.AdamW | CompactAdamW:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101); biases and norms (vectors) are not decayed.

    parameters: of the whole policy, by which an automatic beta2 is chosen.  seed: of the rounding, where
    weights are bfloat16 or moments are kept in 8 bits.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    betas = (BETA1, resolve(config.beta2, 0.98 if parameters < SMALL else 0.999))
    if config.moments == "8bit" or any(parameter.dtype is not torch.float32 for parameter in trained):
        sum_in_float32(trained)
        return CompactAdamW(groups, betas, eight_bits=config.moments == "8bit", seed=seed)
    # One kernel for each weight in place of a dozen, and no copy of it: five times as fast on a CPU.
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in trained)
    return torch.optim.AdamW(groups, lr=0.0, betas=betas, fused=fused or None)


def restore(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Put the moments of a checkpoint into a fresh optimizer, which keeps its own weight decay and betas."""
    kept = [{name: group[name] for name in ("weight_decay", "betas")} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, own in zip(optimizer.param_groups, kept, strict=True):
        group.update(own)


def _make_whole(norm: Any) -> Any:
    """The norm over all processes, where weights are in shards."""
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm


def update(
    model: nn.Module, optimizer: torch.optim.Optimizer, learning_rate: float, max_grad_norm: float
) -> float:
    """Clip the gradient to `max_grad_norm`, take one optimizer step, clear the gradient;
    returns the norm before clipping.

    A gradient that is not finite changes nothing (the norm returned says so):
    one bad batch must not destroy the weights.
    """
    norm = float(_make_whole(nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)))
    if math.isfinite(norm):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm
