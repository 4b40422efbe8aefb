"""Where a step's groups come from: they are sampled when the step begins, or by a thread that runs ahead of
the updates by a bounded number of steps.

At most K steps ahead: the groups of step t (they count from 0) are drawn by weights that have had at least t
- K updates. With K = 1 the groups of step t + 1 are drawn beside update t, by the weights before it, so the
versions are settled; with more they depend on which of the two is faster, and are recorded with each
completion. The thread takes its problems from the train stream when it begins to sample; a checkpoint holds
the place of the groups that were used, so after a resume those that were in flight are sampled again, and no
problem is lost or used twice.

K steps off-policy with corrected ratios: Noukhovitch et al. 2024, "Asynchronous RLHF" (arXiv:2410.18252), K =
1; Fu et al. 2025, "AReaL" (arXiv:2505.24298), larger ones.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from .collect import Collected
from .ledger import Ledger
from .stream import Position


@dataclass(frozen=True)
class Known:
    """What problems and their pay are chosen by. passed: the pass-rate of each criterion whose weight follows
    it."""

    ledger: Ledger
    passed: Mapping[str, float]


Collect = Callable[[int, Position, Known], Collected]
"""Samples the groups of a step from a place in the stream on, which it moves."""


@dataclass(frozen=True)
class Drawn:
    """The groups of a step. position: in the stream, after their problems."""

    collected: Collected
    position: Position


class Source(Protocol):
    """Gives the groups of one step after the other. A context around the steps."""

    def take(self, step: int, position: Position, known: Known) -> Drawn:
        """The groups of a step, whose update has not begun. position: after the groups of the step before.
        Called by the thread of the updates."""
        ...

    def __enter__(self) -> Source: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class InStep:
    """Samples when asked, from the weights of now."""

    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def take(self, step: int, position: Position, known: Known) -> Drawn:
        """See `Source.take`. `position` itself is moved."""
        return Drawn(self._collect(step, position, known), position)

    def __enter__(self) -> InStep:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Weights(Protocol):
    """The sampler's own weights."""

    def stage(self, version: int) -> None:
        """Copy the policy's weights of now. By the thread of the updates, between two of them; where there is
        one copy alone, while nothing is sampled."""
        ...

    def load(self) -> None:
        """Sample from what was staged last, from now on. By the thread that samples, between two steps."""
        ...

    def stop(self) -> None:
        """Have what is being sampled end as soon as that can be."""
        ...

    def close(self) -> None:
        """Once nothing is sampled any more."""
        ...


class Ahead:
    """Samples in a thread of its own, at most `staleness` steps ahead.

    until: the step before which it ends.  reads_ledger: whether problems are chosen by what is known of them;
    then the thread reads a copy of the ledger, as of the weights that it samples from.
    What the thread raises is raised by `take`, once what it had finished before has been taken.
    """

    def __init__(
        self, collect: Collect, weights: Weights, staleness: int, until: int, *, reads_ledger: bool = False
    ) -> None:
        if staleness < 1:
            raise ValueError(f"staleness {staleness}: 1 or more steps ahead; `InStep` is for 0.")
        self._collect, self._weights, self._staleness, self._until = collect, weights, staleness, until
        self._reads_ledger = reads_ledger
        self._changed = threading.Condition()
        self._ready: deque[Drawn] = deque()
        self._version, self._known = -1, Known(Ledger(), {})
        self._failure: BaseException | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def take(self, step: int, position: Position, known: Known) -> Drawn:
        """See `Source.take`. `position` stays as it is; the place after the groups comes with them."""
        # With one copy of the weights, new ones are staged while nothing is sampled: once this step's groups
        # are there, for the thread waits then.
        first = self._thread is None
        if first or self._staleness > 1:
            self._stage(step, known)
        if first:
            place = copy.deepcopy(position)
            self._thread = threading.Thread(
                target=self._run, args=(step, place), name="sample ahead", daemon=True
            )
            self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._failure)
            if not self._ready:
                assert self._failure is not None
                raise self._failure
            drawn = self._ready.popleft()
        if not first and self._staleness == 1:
            self._stage(step, known)
        return drawn

    def _stage(self, step: int, known: Known) -> None:
        self._weights.stage(step)
        with self._changed:
            self._version = step
            ledger = copy.deepcopy(known.ledger) if self._reads_ledger else Ledger()
            self._known = Known(ledger, dict(known.passed))
            self._changed.notify_all()

    def _run(self, step: int, position: Position) -> None:
        try:
            while step < self._until and self._wait_for(step - self._staleness):
                with self._changed:
                    known = self._known
                self._weights.load()
                collected = self._collect(step, position, known)
                with self._changed:
                    self._ready.append(Drawn(collected, copy.deepcopy(position)))
                    self._changed.notify_all()
                step += 1
        except BaseException as failure:  # noqa: BLE001 nothing may end a thread in silence
            with self._changed:
                self._failure = failure
                self._changed.notify_all()

    def _wait_for(self, version: int) -> bool:
        """Until weights of so many updates are staged; False where nothing more is wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._version >= version)
            return not self._closed

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread: what is in flight is dropped, at the next completion that ends."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._weights.stop()
        if self._thread is not None:
            self._thread.join()
        self._weights.close()
