"""What a run whose task executes programs says and checks first: the sandbox's layers.

No torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ...sandbox import ALLOW_WEAK, SandboxUnavailable
from .errors import UserError
from .task import Task

FLAG = "--allow-weak-sandbox"  # as `palaestra train` and `eval` take it


def isolate(
    task: Task, allow_weak: bool, say: Callable[[str], None] = print, flag: str = FLAG
) -> Mapping[str, Any]:
    """Make sure that the task's programs can be isolated, and say how.

    Returns what belongs in the run's record: {"sandbox_layers": [...]} for a task that runs programs, an
    empty mapping for others. Raises UserError below the required layers, naming the `flag` that would allow
    it, unless `allow_weak`, which holds for this process from then on (pools are made when first used).
    """
    if allow_weak:
        os.environ[ALLOW_WEAK] = "1"
    try:
        facts = task.rubric.start()
    except SandboxUnavailable as failure:
        raise UserError(f"{failure} Or accept weaker isolation with {flag}.") from failure
    if "sandbox_layers" in facts:
        say(f"Sandbox layers: {', '.join(facts['sandbox_layers']) or 'none'}")
    return facts
