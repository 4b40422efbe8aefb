"""Checkpoints that a crash can't spoil: written to a temporary folder, synced, and renamed when complete.

A checkpoint is a model folder (`from_pretrained` loads it) with the trainer's state beside the weights.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from ...tasks.core.errors import UserError, shorten

STATE = "trainer_state.pt"
INFO = "trainer_info.json"
PREFIX = "step-"
FULL_BYTES = 2**20  # a disk with less room than this is full
DISK_WORDS = ("No space left", "os error", "inline_container", "PytorchStreamWriter")


class DiskError(UserError):
    """Something could not be written, since the disk is full or refuses."""


def write_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Make the folder `target` by `write(temporary)`; it appears complete or not at all.
    An older one is replaced.

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


def save(
    folder: Path, step: int, write_model: Callable[[Path], None], state: dict[str, Any], info: dict[str, Any]
) -> Path:
    """Write the checkpoint of `step` into `folder`. state: tensors and numbers.  info: JSON,
    readable by a person."""
    import torch  # here, so that folders can be looked at without it

    target = locate(folder, step)

    def write(temporary: Path) -> None:
        write_model(temporary)
        torch.save(state, temporary / STATE)
        (temporary / INFO).write_text(json.dumps({"step": step, **info}, indent=1), encoding="utf-8")

    write_folder(target, write)
    return target


def locate(folder: Path, step: int) -> Path:
    return folder / f"{PREFIX}{step:06d}"


def parse_step(checkpoint: Path) -> int:
    """The steps that were done when it was written."""
    return int(checkpoint.name.removeprefix(PREFIX))


def load_state(checkpoint: Path) -> dict[str, Any]:
    """The trainer's state of a checkpoint. Holds no code, only data. Raises UserError where it is damaged."""
    import torch

    if not (checkpoint / STATE).is_file():
        raise UserError(f"{checkpoint} is not a checkpoint: it holds no {STATE}.")
    try:
        return torch.load(checkpoint / STATE, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, UnpicklingError) as failure:
        raise UserError(
            f"{checkpoint / STATE} is damaged ({shorten(str(failure), 100)}). Remove the folder "
            f"{checkpoint} to go on from the checkpoint before it."
        ) from failure


def list_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path for path in folder.glob(f"{PREFIX}*") if (path / INFO).is_file())


def prune(folder: Path, keep: int, best_step: int) -> None:
    """Remove all but the newest `keep` checkpoints and that of the best step."""
    for path in list_checkpoints(folder)[: -max(1, keep)]:
        if path != locate(folder, best_step):
            shutil.rmtree(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
