"""Regular expressions compiled at their first use: an import that compiled them all would take longer than the rest of it."""

from __future__ import annotations

import re
from functools import cache


@cache
def compiled(expression: str, flags: int = 0) -> re.Pattern[str]:
    """The pattern, compiled once per process. Looking it up again takes some 50 ns, from any thread."""
    return re.compile(expression, flags)
