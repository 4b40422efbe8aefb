"""How a part of a run ended, in end.json: a run without that file goes on still, or was killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...tasks.core.errors import UserError
from ..storage.atomic import DiskError
from ..storage.interrupts import Interrupts
from ..storage.names import END
from ..storage.records import write_json
from .state import Progress


@contextmanager
def record_end(folder: Path, progress: Progress, steps: int, stop: Interrupts) -> Iterator[None]:
    """Write how the steps inside ended: `finished`, `stopped` (asked to), `disk` (what it would write could
    not be written), `halted` (by a guard: any other UserError) or `failed` (any other exception), with the
    reason in words. What an earlier part wrote goes at once."""
    path = folder / END
    path.unlink(missing_ok=True)
    state, reason = "failed", ""
    try:
        yield
        state = "finished" if progress.step >= steps else "stopped"
        reason = stop.requested or ""
    except KeyboardInterrupt:
        state, reason = "stopped", f"{stop.requested or 'SIGINT'}, at once"
        raise
    except (DiskError, OSError) as failure:
        state, reason = "disk", str(failure)
        raise
    except UserError as failure:
        state, reason = "halted", str(failure)
        raise
    except BaseException as failure:
        reason = f"{type(failure).__name__}: {failure}"
        raise
    finally:
        with suppress(OSError):  # a full disk may be what ended it
            ended = {"state": state, "reason": reason, "step": progress.step, "time": time.time()}
            write_json(path, ended)
