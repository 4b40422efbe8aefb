"""The coefficient of the KL penalty: fixed, or adapted towards a target. Plain numbers,
fit for a checkpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..config.objective import KLControlConfig


@dataclass(frozen=True)
class KLControlState:
    """The coefficient now, in reward per nat."""

    kl_coef: float


def start(config: KLControlConfig) -> KLControlState:
    """Raises ValueError for settings that cannot work."""
    if config.target_kl and not config.kl_coef:
        raise ValueError(
            f"An adaptive KL coefficient is multiplied towards its target, so target_kl={config.target_kl} "
            "and "
            f"kl_coef={config.kl_coef} must both be above 0."
        )
    return KLControlState(config.kl_coef)


def step(state: KLControlState, kl: float, completions: int, config: KLControlConfig) -> KLControlState:
    """The state after a batch of `completions` whose mean KL per completion was `kl` nats.

    Ziegler et al. 2019 (arXiv:1909.08593), section 2.2: e = clip(kl / target - 1, -0.2, 0.2), coefficient
    times 1 + K e, with K = completions / horizon as in their code.
    A kl that is not finite leaves the coefficient as it is.
    """
    if config.target_kl == 0 or not math.isfinite(kl):
        return state
    error = min(max(kl / config.target_kl - 1, -0.2), 0.2)
    # A batch larger than five horizons would turn the coefficient negative; K e is at least -1 / 2 instead.
    return KLControlState(state.kl_coef * (1 + max(error * completions / config.horizon, -0.5)))
