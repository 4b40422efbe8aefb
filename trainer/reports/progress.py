"""Progress: a live bar on a terminal; in a log file a whole line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tqdm import tqdm

LOG_INTERVAL_S = 30.0


def make_progress_bar(iterable: Iterable[Any] | None = None, **options: Any) -> tqdm | ProgressLog:
    """What shows how far something is, on stderr: a bar of tqdm, or lines where that is no terminal.

    options: total, initial, desc, unit and disable, as tqdm has them.
    """
    if sys.stderr.isatty():
        return tqdm(iterable, dynamic_ncols=True, mininterval=0.2, **options)
    return ProgressLog(iterable, **options)


class ProgressLog:
    """Lines in place of a bar: the first step, one every half minute, and the last. Used as tqdm is."""

    def __init__(
        self,
        iterable: Iterable[Any] | None = None,
        *,
        total: int | None = None,
        initial: int = 0,
        desc: str = "",
        unit: str = "step",
        disable: bool = False,
    ) -> None:
        self._items = iterable
        known = len(iterable) if total is None and hasattr(iterable, "__len__") else total  # type: ignore[bad-argument-type]
        self.total = initial + known if iterable is not None and known is not None else known
        self.n = self._first = initial
        self.desc, self.unit, self.disable = desc, unit, disable
        self._shown = ""
        self._began = time.monotonic()
        self._last, self._last_n = self._began - LOG_INTERVAL_S, -1

    def __iter__(self) -> Iterator[Any]:
        for item in self._items if self._items is not None else ():
            yield item
            self.update()
        self.close()

    def __enter__(self) -> ProgressLog:
        return self

    def __exit__(self, *_failure: object) -> None:
        self.close()

    def update(self, count: int = 1) -> None:
        """So many are done."""
        self.n += count
        if time.monotonic() - self._last >= LOG_INTERVAL_S:
            self._write()

    def set_postfix(
        self,
        values: Mapping[str, object] | None = None,
        refresh: bool = True,  # noqa: ARG002
        **more: object,
    ) -> None:
        """What stands behind the numbers from the next line on."""
        self._shown = ", ".join(f"{name} {value}" for name, value in {**(values or {}), **more}.items())

    def close(self) -> None:
        """Write the last line, where something was done since the one before."""
        if self.n not in (self._last_n, self._first):
            self._write()

    def _write(self) -> None:
        if self.disable:
            return
        self._last, self._last_n = time.monotonic(), self.n
        done, seconds = self.n - self._first, self._last - self._began
        line = f"{self.desc}: {self.unit} {self.n}" + (f" of {self.total}" if self.total else "")
        if done:
            line += f", {_say_seconds(seconds / done)} each"
            if self.total and self.n < self.total:
                line += f", {_say_seconds(seconds / done * (self.total - self.n))} left"
        print(line + (f"; {self._shown}" if self._shown else ""), file=sys.stderr, flush=True)


def _say_seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
