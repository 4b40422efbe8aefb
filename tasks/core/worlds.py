"""Worlds in processes of their own, each reply with a deadline: nothing that a model says can hang, crash or
swell the process that asks."""

from __future__ import annotations

import contextlib
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...verifiers.workers.pool import Pool, PoolError
from .episode import EpisodeLimits, Factory, Fault, Reply, list_harmless
from .errors import UserError
from .problem import Problem
from .world_worker import MOST_KEPT, TARGET, make_request, pack

START_S = 60.0  # to load the world's module in a fresh worker
MEMORY_MB = 2048  # that a worker may add to what it starts with


@dataclass(frozen=True)
class _Failure:
    """A process that gave no reply. fault: what it means where what was said is the reason."""

    fault: Fault
    reason: str


class _Place:
    """One worker process. loaded: the makers of worlds that it has.  keys: the episodes that it keeps, as the
    worker does. A process that was killed has none."""

    def __init__(self) -> None:
        self.pool = Pool(TARGET, workers=1, memory_mb=MEMORY_MB)
        self.lock = threading.Lock()
        self.loaded = set[int]()
        self.keys = OrderedDict[str, None]()

    def call(
        self, packed: dict[str, Any], problem: Problem, key: str, said: Sequence[str], seconds: float
    ) -> Reply | _Failure:
        """The reply, or how its process failed. Raises UserError for a world that can't be loaded at all."""
        try:
            if id(packed) not in self.loaded:
                started = self.pool.call(make_request(packed), START_S)
                if started.status == "error" and started.reason.startswith("raised"):
                    raise UserError(f"The episode's world can't be loaded: {started.reason}.")
                if started.status != "ok":
                    return _Failure("unavailable", f"The world was not loaded: {started.reason}")
                self.loaded.add(id(packed))
            fresh = self.keys.pop(key, self) is self  # it hears all of it again
            deadline = seconds * len(said) if fresh else seconds
            got = self.pool.call(make_request(packed, problem, key, said), deadline)
        except PoolError as failure:
            return _Failure("unavailable", str(failure))
        if got.status == "ok":
            reply = Reply(**got.value)
            if reply.text is not None and key:
                self.keys[key] = None
                if len(self.keys) > MOST_KEPT:
                    self.keys.popitem(last=False)
            return reply
        if got.reason.startswith("raised"):
            return _Failure("unavailable", f"The world's process could not answer: {got.reason}")
        self._lose_all()
        if got.status == "timeout":
            return _Failure("timeout", f"The world took over {deadline:g} s to reply.")
        return _Failure("raised", f"The world's process ended: {got.reason}")

    def forget(self, packed: dict[str, Any], key: str) -> None:
        """Let go of an episode's world, where the process has it."""
        if key not in self.keys:
            return
        del self.keys[key]
        with contextlib.suppress(PoolError):  # which has none any more
            got = self.pool.call(make_request(packed, key=key), START_S)
            if got.status != "ok" and not got.reason.startswith("raised"):
                self._lose_all()

    def _lose_all(self) -> None:
        """The process has ended."""
        self.loaded.clear()
        self.keys.clear()


class Worlds:
    """The worker processes in which episodes answer.

    workers: processes; None takes two for each processor, eight at most. An episode stays with one of them,
    which keeps it; where that process ended, another hears all of it again.

    >>> import palaestra as pal
    >>> from palaestra.tasks.core.worlds import Worlds
    >>> from palaestra.tasks.core.episode import EpisodeLimits
    >>> class Echo:
    ...     def __init__(self, problem): pass
    ...     def reply(self, said): return said.upper()
    >>> with Worlds(workers=1) as worlds:
    ...     worlds.answer(Echo, pal.Problem("Say it."), EpisodeLimits(), "first", ["hello"]).text
    'HELLO'
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or min(8, 2 * len(os.sched_getaffinity(0)))
        self._places = [_Place() for _ in range(self.workers)]
        self._packed = dict[int, tuple[Factory, dict[str, Any]]]()
        self._lock = threading.Lock()

    def __enter__(self) -> Worlds:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def answer(
        self, factory: Factory, problem: Problem, limits: EpisodeLimits, key: str, said: Sequence[str]
    ) -> Reply:
        """The reply to the last of what was said. From any thread; waits while its worker is busy.

        key: of the episode, the same for all of its turns.  A process that hangs or dies is replaced, and the
        episode played again in the next; when that one fails, too, and not at harmless words in this place or
        in all of the episode, what was said is the reason ("timeout", or "raised"). Raises UserError for a
        world that can't be loaded at all.
        """
        packed, seconds = self._pack(factory), limits.reply_seconds
        place = self._places[self.find_place(key)]
        with place.lock:
            for _ in range(2):
                found = place.call(packed, problem, key, said, seconds)
                if isinstance(found, Reply):
                    return found
            fault = found.fault
            if fault != "unavailable":
                harmless = (place.call(packed, problem, "", words, seconds) for words in list_harmless(said))
                if not any(isinstance(each, Reply) and not each.fault for each in harmless):
                    fault = "unavailable"
            return Reply(fault=fault, reason=found.reason)

    def forget(self, factory: Factory, key: str) -> None:
        """Let go of an episode that ended without its world's doing, with what that holds (a server of its
        own). From any thread; waits while its worker is busy."""
        place = self._places[self.find_place(key)]
        with place.lock:
            place.forget(self._pack(factory), key)

    def find_place(self, key: str) -> int:
        """The number of the process that an episode is in."""
        return zlib.crc32(key.encode()) % self.workers

    def close(self) -> None:
        """End the processes."""
        for place in self._places:
            place.pool.close()

    def _pack(self, factory: Factory) -> dict[str, Any]:
        with self._lock:
            if id(factory) not in self._packed:
                self._packed[id(factory)] = factory, pack(factory)
            return self._packed[id(factory)][1]
