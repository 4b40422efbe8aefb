"""Folders that a crash can't spoil: written to a temporary one, synced, and renamed when complete.

Imports no torch.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ...tasks.core.errors import UserError

FULL_BYTES = 2**20  # a disk with less room than this is full
DISK_WORDS = ("No space left", "os error", "inline_container", "PytorchStreamWriter")


class DiskError(UserError):
    """Something could not be written, since the disk is full or refuses."""


def write_folder(
    target: Path, write: Callable[[Path], None], wanted: Callable[[], bool] = lambda: True
) -> None:
    """Make the folder `target` by `write(temporary)`; it appears complete or not at all.
    An older one is replaced. wanted: asked once all is written; where it says no, nothing appears.

    Raises DiskError when the disk is full or refuses; the temporary folder is removed then.
    """
    temporary = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        write(temporary)
        for path in sorted(temporary.rglob("*")):
            _sync(path)
        _sync(temporary)
        if not wanted():
            shutil.rmtree(temporary)
            return
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
        _sync(target.parent)
    except Exception as failure:
        refused = _is_disk_to_blame(failure, target.parent)
        shutil.rmtree(temporary, ignore_errors=True)
        if refused:
            reason = failure if isinstance(failure, OSError) else "the disk is full, or a quota of it"
            raise DiskError(f"{target} could not be written: {reason}.") from failure
        raise


def _is_disk_to_blame(failure: BaseException, folder: Path) -> bool:
    """Whether the disk is to blame. The writers of weights and tensors report a full one, or a quota, by
    errors of their own, whose text does not always say so; then the room that is left tells."""
    said = isinstance(failure, OSError) or any(words in str(failure) for words in DISK_WORDS)
    before = failure.__cause__ or failure.__context__
    return (
        said
        or (before is not None and _is_disk_to_blame(before, folder))
        or shutil.disk_usage(folder).free < FULL_BYTES
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
