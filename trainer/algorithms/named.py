"""The algorithms by name. A further one is a file beside these and an entry here, or a file of the user's own."""

from __future__ import annotations

from ...tasks.core.errors import UserError
from .base import Algorithm
from .grpo import GRPO
from .ppo import PPO

ALGORITHMS: dict[str, type[Algorithm]] = {"grpo": GRPO, "ppo": PPO}


def algorithm_class(name: str) -> type[Algorithm]:
    """The algorithm of that name."""
    if name not in ALGORITHMS:
        raise UserError(f"There is no algorithm {name!r}. Algorithms: {', '.join(ALGORITHMS)}.")
    return ALGORITHMS[name]
