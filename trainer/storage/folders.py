"""The folder of a run: a free one for a new run, and logs without what a resumed run will do again."""

from __future__ import annotations

import json
from pathlib import Path

from ...tasks.core.errors import UserError


def new_folder(wanted: str, named: bool) -> Path:
    """The folder of a new run. One that the user named must be free; a default one gets a number when it is not."""
    folder = Path(wanted)
    number = 2
    while folder.exists() and any(folder.iterdir()):
        if named:
            raise UserError(f"{folder} is not empty. Give another --out, or `palaestra resume {folder}` to go on with it.")
        folder = Path(f"{wanted}-{number}")
        number += 1
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def forget_after(folder: Path, step: int) -> None:
    """Cut from the logs what was written after the checkpoint: those steps will be done again."""
    for name in ("metrics.jsonl", "rollouts.jsonl"):
        path = folder / name
        if path.is_file():
            with path.open(encoding="utf-8") as file:
                kept = [line for line in file if line.endswith("\n") and json.loads(line)["step"] <= step]
            path.write_text("".join(kept), encoding="utf-8")
