"""The coefficient of the entropy bonus: fixed, or adapted towards a target. Plain numbers, fit for a
checkpoint.

Skywork-OR1: He et al. 2025 (arXiv:2505.22312), section on adaptive entropy control: with e_k the entropy of
the policy before step k,

    alpha_k = c_k where e_k <= target, else 0        c_(k+1) = c_k + step where e_k < target, c_k - step above

The paper starts from c_0 = 0, with a target of 0.2 nats and a step of 0.005. As in the authors' code, c never
falls below 0: a negative one would lower the entropy when it is too low already.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..config.objective import LossConfig


@dataclass(frozen=True)
class EntropyControlState:
    """entropy_coef: c, in reward per nat, for the next step whose entropy is low.  in_force: alpha of the
    step."""

    entropy_coef: float
    in_force: float


def start(config: LossConfig) -> EntropyControlState:
    """Before the first step: the coefficient of the settings."""
    return EntropyControlState(config.entropy_coef, config.entropy_coef)


def step(state: EntropyControlState, entropy: float, config: LossConfig) -> EntropyControlState:
    """The state of a step that begins with a mean entropy of `entropy` nats per token.

    Without a target nothing moves. An entropy that is not finite leaves c as it is, and puts no bonus in
    force.
    """
    if config.entropy_target == 0:
        return state
    c = state.entropy_coef
    if not math.isfinite(entropy):
        return EntropyControlState(c, 0.0)
    moved = c + config.entropy_step * ((entropy < config.entropy_target) - (entropy > config.entropy_target))
    return EntropyControlState(max(moved, 0.0), c if entropy <= config.entropy_target else 0.0)
