"""How far apart two ways to compute the same log-probabilities in float32 may lie."""

from __future__ import annotations

from torch import Tensor

LEAST = 1e-4  # nats
RELATIVE = 2e-5
"""Of the largest log-probability, that of the rarest token, whose rounding is the coarsest. SmolLM2-135M goes
down to -40: on the probe it lies 6e-5 nats from its own float64 pass, and 1.9e-4 from another order of the
same sums. A wrong norm, mask or position lies above 1e-2."""


def bound_rounding(logprobs: Tensor) -> float:
    """Nats that rounding explains, for log-probabilities over a whole vocabulary, of any shape."""
    return max(LEAST, RELATIVE * float(logprobs.detach().abs().max()))
