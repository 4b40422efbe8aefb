"""Ctrl-C and SIGTERM finish the step and save; a second one stops at once."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType


class Interrupts:
    """While the context is open, the first SIGINT or SIGTERM only sets `requested`. In another than the main
    thread, where Python can't set handlers, it does nothing."""

    def __init__(self) -> None:
        self.requested: str | None = None
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

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.requested is not None:
            raise KeyboardInterrupt
        self.requested = signal.Signals(number).name
        print(
            "\nStopping after this step; the state will be saved. Once more stops at once.", file=sys.stderr
        )
