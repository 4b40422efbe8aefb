"""What a run says and checks first of what its rubric needs: the sandbox's layers, a judge's endpoint.

No torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ...sandbox import ALLOW_WEAK, SandboxUnavailable
from ...verifiers.types import Unavailable
from .errors import UserError
from .task import Task
from .tools.schema import make_tools

FLAG = "--allow-weak-sandbox"  # as `palaestra train` and `eval` take it


def isolate(
    task: Task, allow_weak: bool, say: Callable[[str], None] = print, flag: str = FLAG
) -> Mapping[str, Any]:
    """Make sure that the task's rubric and its tools can work here: programs can be isolated, and how is
    said; a judge answers.

    Returns what belongs in the run's record: {"sandbox_layers": [...]} for a task that runs programs, the
    judge's model for one that asks it, an empty mapping for others. Raises UserError below the required
    layers, naming the `flag` that would allow it, unless `allow_weak`, which holds for this process from then
    on (pools are made when first used); and where a judge can't be used.
    """
    if allow_weak:
        os.environ[ALLOW_WEAK] = "1"
    try:
        facts = {**_start_tools(task), **task.rubric.start()}
    except SandboxUnavailable as failure:
        raise UserError(f"{failure} Or accept weaker isolation with {flag}.") from failure
    except Unavailable as failure:
        raise UserError(str(failure)) from failure
    if "sandbox_layers" in facts:
        say(f"Sandbox layers: {', '.join(facts['sandbox_layers']) or 'none'}")
    return facts


def _start_tools(task: Task) -> dict[str, Any]:
    """Let every tool see to it that it can run here; returns what belongs in the run's record."""
    tools = [tool for member in task.members for tool in make_tools(member.tools)]
    return {key: fact for tool in tools if tool.start is not None for key, fact in tool.start().items()}
