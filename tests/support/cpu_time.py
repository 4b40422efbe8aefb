"""What a call costs, whatever else runs on the machine and in this process."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def cpu_seconds(call: Callable[[], object], enough: float = 0.0, tries: int = 3) -> float:
    """Seconds of processor time: the least of `tries` calls, of fewer once one took at most `enough`.

    What keeps its answers, as verdicts on mathematics are kept, has one try: a second reads the first's.

    Python's collector of cycles waits meanwhile. A full pass walks all that the whole run of the tests keeps
    alive: most of a second, for which no call can be blamed. What else this process does (a pool's threads)
    seldom falls into all of them.
    """
    seconds: list[float] = []
    collects = gc.isenabled()
    gc.disable()
    try:
        while len(seconds) < tries and min(seconds, default=enough + 1) > enough:
            start = time.process_time()
            call()
            seconds.append(time.process_time() - start)
    finally:
        if collects:
            gc.enable()
    return min(seconds)
