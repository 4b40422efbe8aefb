"""Checkpoints that a crash can't spoil: written to a temporary folder, synced, and renamed when complete.

A checkpoint is a model folder (`from_pretrained` loads it) with the trainer's state beside the weights.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from ...tasks.core.errors import UserError, shorten
from .atomic import write_folder

STATE = "trainer_state.pt"
INFO = "trainer_info.json"
MOMENTS = "optimizer"  # folder of the optimizer's state in shards, by torch's DCP
PREFIX = "step-"


def save(
    folder: Path,
    step: int,
    write_model: Callable[[Path], None],
    state: dict[str, Any],
    info: dict[str, Any],
    wanted: Callable[[], bool] = lambda: True,
) -> Path:
    """Write the checkpoint of `step` into `folder`. state: tensors and numbers.  info: JSON,
    readable by a person.  wanted: as of `write_folder`."""
    import torch  # here, so that folders can be looked at without it

    target = locate(folder, step)

    def write(temporary: Path) -> None:
        write_model(temporary)
        torch.save(state, temporary / STATE)
        (temporary / INFO).write_text(json.dumps({"step": step, **info}, indent=1), encoding="utf-8")

    write_folder(target, write, wanted)
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
