"""PPO's clipped surrogate, which several kinds share. Suffixes: B rows (completions), T tokens.

Imports no torch: it is written with the methods of tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.objective import LossConfig
from .kind import Terms

if TYPE_CHECKING:
    from torch import Tensor

RATIO = "r_t = p_now / p_sampled of the token"
SURROGATE = ("clip_low", "clip_high", "dual_clip", "delta")
"""The settings that it reads."""


def clip_surrogate(ratio_BT: Tensor, advantages_BT: Tensor, config: LossConfig) -> Terms:
    """-min(r A, clip(r, 1 - clip_low, 1 + clip_high) A), from PPO.

    Schulman et al. 2017 (arXiv:1707.06347), equation 7. delta bounds r in the first term (two-sided clipping:
    INTELLECT-2, arXiv:2505.07291); dual_clip bounds the loss at dual_clip * |A| where A < 0 (Ye et al. 2020,
    arXiv:1912.09729).
    """
    low, high = 1 - config.clip_low, 1 + config.clip_high
    bounded_BT = ratio_BT.clamp(max=config.delta) if config.delta else ratio_BT
    objective_BT = (bounded_BT * advantages_BT).minimum(ratio_BT.clamp(low, high) * advantages_BT)
    negative_BT = advantages_BT < 0
    if config.dual_clip:
        floor_BT = objective_BT.maximum(config.dual_clip * advantages_BT)
        objective_BT = floor_BT.where(negative_BT, objective_BT)
    bound = config.delta or config.dual_clip
    return Terms(
        -objective_BT,
        clip_low_BT=negative_BT & (ratio_BT < low),
        clip_high_BT=(advantages_BT > 0) & (ratio_BT > high),
        dual_clip_BT=negative_BT & (ratio_BT > bound) if bound else None,
    )


def write_surrogate(ratio: str, definition: str, loss: LossConfig) -> str:
    """The formula of `clip_surrogate` for a ratio that is called `ratio`."""
    low, high = 1 - loss.clip_low, 1 + loss.clip_high
    first = f"min({ratio}, {loss.delta:g})" if loss.delta else ratio
    text = f"-min({first} * A, clip({ratio}, {low:g}, {high:g}) * A)"
    if loss.dual_clip:
        text = f"A < 0: min({text}, -{loss.dual_clip:g} * A); else {text}"
    offsets = f"offsets {loss.clip_low:g} below and {loss.clip_high:g} above 1"
    bound = f"; two-sided bound {loss.delta:g} absolute" if loss.delta else ""
    bound = f"; dual clip {loss.dual_clip:g} absolute" if loss.dual_clip else bound
    return f"{text}; {definition}; clip by {offsets}{bound}"
