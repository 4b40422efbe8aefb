"""Where this machine keeps what was made once. Imports no torch."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def find_cache_folder() -> Path:
    """A folder that only this user can write to, for code and weights are loaded from it: in the user's
    cache, else a temporary one.

    Raises OSError where there is none.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for folder in (Path(home) / "palaestra", Path(tempfile.gettempdir()) / f"palaestra-{os.getuid()}"):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            status = folder.lstat()
        except OSError:
            continue
        alone = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022
        if alone and os.access(folder, os.W_OK):
            return folder
    raise OSError(f"neither {home}/palaestra nor a temporary folder is this user's alone to write to")
