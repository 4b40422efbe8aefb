"""What stops a run from outside: Ctrl-C and SIGTERM finish the step and save, a second one stops at once;
a full disk stops it, too. Each says how to go on."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from ...tasks.core.errors import RunError, UserError
from ..distributed.ranks import speaks
from ..distributed.world import find_world
from . import checkpoint
from .atomic import DiskError
from .folders import RunFolder

# Launchers repeat what their group was sent already: torchrun, `timeout`, our own of several processes.
SAME_REQUEST_S = 2.0


class Interrupts:
    """While the context is open, the first SIGINT or SIGTERM only sets `requested`; what comes at once after
    it is the same request. In another than the main thread, where Python can't set handlers, it does
    nothing.

    clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.requested: str | None = None
        self._clock, self._since = clock, 0.0
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interrupts:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._handle)
            except ValueError:
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def agree(self) -> str | None:
        """What any process of the run was asked to stop by; asked by all at the same place of a step, so that
        they stop after the same one. What this process is sent while it waits for the others is for the next
        time."""
        asked = find_world().gather(self.requested)
        found = next((each for each in asked if each), None)
        if found is not None:
            if self.requested is None:
                self._since = self._clock()  # this process may be sent the same a moment later
            self.requested = found
        return found

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.requested is not None:
            if self._clock() - self._since < SAME_REQUEST_S:
                return
            raise KeyboardInterrupt
        self.requested, self._since = signal.Signals(number).name, self._clock()
        if not speaks():
            return
        said = (
            "\nStopping after this step; the state will be saved. Once more, "
            f"after {SAME_REQUEST_S:g} s, stops at once."
        )
        try:
            print(said, file=sys.stderr)
        except RuntimeError:  # it came while a line was being written there
            os.write(2, f"{said}\n".encode())


@contextmanager
def tell_how_to_go_on(run: RunFolder) -> Iterator[None]:
    """Around the steps of a run: whatever stops them (a disk that is full or refuses, an interrupt that could
    not wait, a run that can't go on as it is) is a sentence with the command that goes on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Interrupted. {write_command(run)}") from None
    except RunError as failure:
        raise UserError(f"{failure} {write_command(run, failure.flags)}") from failure
    except DiskError as failure:
        raise UserError(f"{failure} Free some disk. {write_command(run)}") from failure
    except OSError as failure:
        where = (
            f"{failure.filename} could not be written" if failure.filename else "A file could not be written"
        )
        raise UserError(
            f"{where}: {failure.strerror or failure}. Free some disk, or see to it. {write_command(run)}"
        ) from failure


def write_command(run: RunFolder, flags: str = "") -> str:
    """How a run goes on, as a sentence. flags: options that it needs for that."""
    kept = checkpoint.list_checkpoints(run.checkpoints)
    if not kept:
        other = f", with {flags}" if flags else ""
        return f"There is no checkpoint yet: the command that began the run starts it again{other}."
    command = shlex.join(["palaestra", "resume", str(run.path), *shlex.split(flags)])
    return f"Go on from step {checkpoint.parse_step(kept[-1])}: {command}"
