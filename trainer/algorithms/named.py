"""The algorithms by name. A further one is a file beside these and an entry here,
or a file of the user's own."""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path

from ...tasks.core.errors import UserError
from ...tasks.core.modules import load_only, resolve
from .base import Algorithm
from .grpo import GRPO
from .ppo import PPO

ALGORITHMS: dict[str, type[Algorithm]] = {"grpo": GRPO, "ppo": PPO}


@cache
def find_algorithm(name: str) -> type[Algorithm]:
    """The algorithm of that name, or the one that FILE.py, FILE.py:Name or package.module:Name holds.

    Raises UserError where there is none.
    """
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    if name.endswith(".py"):
        return load_only(Path(name), "algorithm", _is_algorithm, "class derived from palaestra.Algorithm")
    if ":" not in name:
        near = difflib.get_close_matches(name, ALGORITHMS, n=1, cutoff=0.4)
        hint = (
            f"Did you mean {near[0]}?"
            if near
            else f"Algorithms: {', '.join(ALGORITHMS)}, or a file of yours."
        )
        raise UserError(f"There is no algorithm {name!r}. {hint}")
    algorithm = resolve(name, "algorithm")
    if not _is_algorithm(algorithm):
        raise UserError(f"{name} is no algorithm: write a class that derives from palaestra.Algorithm.")
    return algorithm


def _is_algorithm(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Algorithm)
