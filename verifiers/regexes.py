"""Regular expressions compiled at their first use: an import that compiled them
all would take longer than the rest of it."""

from __future__ import annotations

import re
from functools import cache


@cache
def compile_once(expression: str) -> re.Pattern[str]:
    """The pattern, compiled once per process; any thread may ask. Flags stand inside (`(?i)`): hashing one
    takes longer than the whole look-up."""
    return re.compile(expression)
