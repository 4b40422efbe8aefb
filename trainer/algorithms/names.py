"""The names of the algorithms that are here. Imports no torch, so that a misspelt one is answered at once."""

from __future__ import annotations

import difflib

from ...tasks.core.errors import UserError

NAMES = ("grpo", "ppo")


def refuse_unknown(name: str) -> None:
    """Raise UserError, with the nearest name, for a name that is none of these."""
    if name in NAMES:
        return
    near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]}?" if near else f"Algorithms: {', '.join(NAMES)}, or a file of yours."
    raise UserError(f"There is no algorithm {name!r}. {hint}")
