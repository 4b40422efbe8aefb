"""The algorithms by name. A further one is a file beside these and an entry here,
or a file of the user's own."""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path

from ...tasks.core.errors import UserError
from ...tasks.core.modules import load_module, resolve
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
        return _load_only_one(Path(name))
    if ":" not in name:
        near = difflib.get_close_matches(name, ALGORITHMS, n=1, cutoff=0.4)
        hint = (
            f"Did you mean {near[0]}?"
            if near
            else f"Algorithms: {', '.join(ALGORITHMS)}, or a file of yours."
        )
        raise UserError(f"There is no algorithm {name!r}. {hint}")
    algorithm = resolve(name, "algorithm")
    if not (isinstance(algorithm, type) and issubclass(algorithm, Algorithm)):
        raise UserError(f"{name} is no algorithm: write a class that derives from palaestra.Algorithm.")
    return algorithm


def _load_only_one(path: Path) -> type[Algorithm]:
    module = load_module(path, "algorithm")
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Algorithm) and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        names = ", ".join(algorithm.__name__ for algorithm in own) or "none"
        raise UserError(
            f"{path} should define one class derived from palaestra.Algorithm; it has {names}: say "
            f"{path}:Name."
        )
    return own[0]
