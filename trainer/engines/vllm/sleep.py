"""vLLM's sleep mode: during an update a server gives back the memory of the card that both use.

The order, and why vLLM 0.32.0 takes it (v1/engine/core.py, v1/executor/abstract.py, v1/worker/gpu_worker.py):

1. `/sleep?level=2` ends what is asked meanwhile, empties the caches, and drops weights and cache of keys and
   values; buffers are kept in the main memory. From here on questions wait in a queue: a server that is not
   woken never answers them, so nothing may be asked of it.
2. `/wake_up?tags=weights` gives the weights their memory again, at the same addresses, so that captured
   graphs hold; what is in it is garbage but for the buffers. It answers "sleeping": the rest still does.
3. The weights are sent. Neither files nor handles need the cache of keys and values, whose memory is free for
   what a reload holds beside the weights. Emptying the prefix cache is bookkeeping of the scheduler, and the
   label is one of the engine's fields.
4. `/wake_up?tags=kv_cache` gives the cache its memory, and only now, with all of it awake, the scheduler
   takes questions again. It answers "awake".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ...model.machine import give_back_cached_memory
from .wire import EngineError, HungUp, Wire

FLAG = "--enable-sleep-mode"  # of a server that can


class SleepMode:
    """Of a server that was started with it, whoever asks it.

    shared: several engines ask it, each in its own time: none may put it to sleep.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire, self.asleep, self.shared = wire, False, False

    def sleep(self) -> None:
        """Nothing may be asked from here on but what wakes it. Raises EngineError where it can't."""
        self._wire.post("/sleep?level=2", {})
        self.asleep = True

    @contextmanager
    def wake(self) -> Iterator[None]:
        """Around the sending of weights, by which it wakes up where it sleeps. Raises EngineError where it
        does not, and where it was awake already: then it is another one, or somebody else has asked it."""
        if not self.asleep:
            yield
            return
        give_back_cached_memory()  # of this process: the server takes its own share again
        self._wake("weights", "sleeping")
        yield
        self._wake("kv_cache", "awake")
        self.asleep = False

    def _wake(self, tag: str, expected: str) -> None:
        try:
            found = self._wire.post(f"/wake_up?tags={tag}", {})
        except HungUp:
            raise
        except EngineError as failure:
            raise EngineError(
                f"{failure} It was to take its share of the card again ({tag}): where the log says that "
                "memory has run out, lower --engine-memory."
            ) from failure
        status = found.get("status") if isinstance(found, Mapping) else None
        if status != expected:
            raise EngineError(
                f"The engine's server at {self._wire.address} is {status}, and not {expected}, after it was "
                f"told to wake up ({tag}): it was started anew, or somebody else has asked it. Resume the "
                "run, which starts one of its own."
            )
