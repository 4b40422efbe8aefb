"""Python source to a syntax tree, from any thread."""

from __future__ import annotations

import ast
import contextlib
import threading
from typing import Any

_ATTEMPTS = 3
_lock = threading.Lock()


def parse(source: str, filename: str = "<unknown>", mode: str = "exec") -> Any:
    """`ast.parse`, one at a time. Raises what it raises.

    Interpreters up to 3.12 count the depth of a tree under construction in one place for all threads. Where
    two build one at the same time, sound source ends in a SystemError. Code of others may be the second, so
    that is tried again.
    """
    with _lock:
        for _ in range(_ATTEMPTS - 1):
            with contextlib.suppress(SystemError):
                return ast.parse(source, filename, mode)
        return ast.parse(source, filename, mode)
