"""The engine that the settings ask for, ready to sample from a policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError
from ..config.engine import EngineConfig
from ..model.policy import Policy
from .base import Engine
from .local import LocalEngine
from .vllm.engine import VLLMEngine
from .vllm.start import Needs, join_server, start_server

ROWS = 256  # asked for at once where nothing else is
Say = Callable[[str], None]


@dataclass(frozen=True)
class Extent:
    """rows: completions at once; None: as many as the engine is good for.  longest: tokens of a prompt with
    its completion.  fast: whether the local engine takes its fast path.  sleeps: whether a server of ours on
    a GPU gives its memory back when the engine is freed."""

    rows: int | None
    longest: int
    fast: bool = True
    sleeps: bool = False


def describe_engine(engine: Engine) -> dict[str, Any]:
    """What of an engine goes on a run's record."""
    return {"engine": engine.facts} if isinstance(engine, VLLMEngine) else {}


def make_engine(policy: Policy, config: EngineConfig, extent: Extent, log: Path, say: Say) -> Engine:
    """An engine for a policy, whose weights it has from its first `load` on. log: folder for what a server
    says.

    Raises UserError where it can't be started.
    """
    if config.kind == "local":
        return LocalEngine(policy, extent.rows, fast=extent.fast)
    needs = Needs(ROWS if extent.rows is None else extent.rows, extent.longest, extent.sleeps)
    if config.url:
        return join_server(policy, config, needs)
    return start_server(policy, config, needs, log, say)


def make_beside(engine: Engine, policy: Policy, rows: int, *, fast: bool) -> Engine:
    """One more engine of the same kind, for another policy, in another thread. fast: see `Extent`.

    Raises UserError for a kind of which there can't be two.
    """
    if isinstance(engine, VLLMEngine):
        return engine.join(policy, rows)
    if not isinstance(engine, LocalEngine):
        raise UserError(
            f"There can't be a second {type(engine).__name__}, with weights of its own to sample from: leave "
            "out --staleness."
        )
    return LocalEngine(policy, rows, fast=fast)
