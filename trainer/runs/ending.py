"""How a part of a run ended, in end.json: a run without that file goes on still, or was killed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...tasks.core.errors import UserError
from ..storage.interrupts import Interrupts
from ..storage.names import END
from .state import Progress


@contextmanager
def record_end(folder: Path, progress: Progress, steps: int, stop: Interrupts) -> Iterator[None]:
    """Write how the steps inside ended: `finished`, `stopped` (asked to), `halted` (by a guard: a UserError)
    or `failed` (any other exception), with the reason in words. What an earlier part wrote goes at once."""
    path = folder / END
    path.unlink(missing_ok=True)
    state, reason = "failed", ""
    try:
        yield
        state = "finished" if progress.step >= steps else "stopped"
        reason = stop.requested or ""
    except BaseException as failure:
        state = "halted" if isinstance(failure, UserError) else "failed"
        reason = str(failure) if state == "halted" else f"{type(failure).__name__}: {failure}"
        raise
    finally:
        with suppress(OSError):  # a full disk may be what ended it
            ended = {"state": state, "reason": reason, "step": progress.step, "time": time.time()}
            path.write_text(json.dumps(ended), encoding="utf-8")
