"""Whose turn it is on a server that several engines share: it has one set of weights."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Turn:
    """Of a server. Engines take it one at a time, each in a thread of its own."""

    def __init__(self, first: object) -> None:
        """first: whoever has the server before anybody has taken a turn."""
        self._lock, self._last = threading.Lock(), first

    @contextlib.contextmanager
    def take(self, engine: object) -> Iterator[bool]:
        """Have the server alone. Gives whether nobody else has had it since the last time."""
        with self._lock:
            kept, self._last = self._last is engine, engine
            yield kept
