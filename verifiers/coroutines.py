"""Coroutines awaited from plain code: one event loop a process, in a thread of its own.

A loop that stays lets clients that belong to one (of HTTP, say) be kept from call to call, and works where
the caller runs a loop itself, as a notebook does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio  # slow to import, and only coroutines need it

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def wait_for(awaitable: Awaitable[Any]) -> Any:
    """The result of an awaitable. Raises what it raises."""
    import asyncio

    async def finish() -> Any:
        return await awaitable

    return asyncio.run_coroutine_threadsafe(finish(), _running_loop()).result()


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop
    import asyncio

    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="coroutines", daemon=True).start()
        return _loop


def _forget_after_fork() -> None:
    """In a forked child the loop's thread is gone, and the lock may be held for ever."""
    global _loop, _lock
    _loop, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
