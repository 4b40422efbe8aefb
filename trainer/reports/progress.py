"""Progress bars: live on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

LOG_INTERVAL_S = 30.0


def make_progress_bar(iterable: Iterable[Any] | None = None, **options: Any) -> tqdm:
    """A tqdm bar on stderr with the project's settings."""
    live = sys.stderr.isatty()
    return tqdm(
        iterable,
        dynamic_ncols=live,
        mininterval=0.2 if live else LOG_INTERVAL_S,
        ascii=None if live else True,
        **options,
    )


def is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
