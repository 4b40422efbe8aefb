"""The algorithms by name. A further one is a file beside these and an entry here,
or a file of the user's own."""

from __future__ import annotations

import inspect
from functools import cache
from pathlib import Path

from ...tasks.core.errors import UserError
from ...tasks.core.modules import load_only, resolve
from .base import Algorithm
from .grpo import GRPO
from .names import NAMES, refuse_unknown
from .ppo import PPO

ALGORITHMS: dict[str, type[Algorithm]] = dict(zip(NAMES, (GRPO, PPO), strict=True))


@cache
def find_algorithm(name: str) -> type[Algorithm]:
    """The algorithm of that name, or the one that FILE.py, FILE.py:Name or package.module:Name holds.

    Raises UserError where there is none, or where it has no `credit` or takes other arguments than
    (policy, config).
    """
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    if name.endswith(".py"):
        algorithm = load_only(
            Path(name), "algorithm", _is_algorithm, "class derived from palaestra.Algorithm"
        )
        return _check_class(name, algorithm)
    if ":" not in name:
        refuse_unknown(name)
    algorithm = resolve(name, "algorithm")
    if not _is_algorithm(algorithm):
        raise UserError(f"{name} is no algorithm: write a class that derives from palaestra.Algorithm.")
    return _check_class(name, algorithm)


def _check_class(name: str, algorithm: type[Algorithm]) -> type[Algorithm]:
    """The class itself. Raises UserError where it could not be made or asked in the middle of a run."""
    if algorithm.credit is Algorithm.credit:
        raise UserError(
            f"{name}: {algorithm.__name__} has no credit(self, batch), which says what "
            "each completion is worth; write it (examples/own_algorithm.py)."
        )
    try:
        inspect.signature(algorithm).bind("policy", "config")
    except TypeError as failure:
        raise UserError(
            f"{name}: {algorithm.__name__} can't be made from (policy, config): {failure}. "
            "Write __init__(self, policy, config), and call super().__init__(policy, config) in it."
        ) from failure
    return algorithm


def _is_algorithm(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Algorithm)
