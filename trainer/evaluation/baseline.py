"""The completions that an evaluation's are set against. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path

from ...tasks.core.errors import UserError
from ...tasks.core.rowfiles import read_rows
from ..storage.names import COMPLETIONS


def read_baseline(source: str) -> dict[str, list[str]]:
    """Completions by problem id from the completions.jsonl of an evaluation (the file or its folder).
    Raises UserError."""
    path = Path(source) / COMPLETIONS if Path(source).is_dir() else Path(source)
    if not path.is_file():
        raise UserError(
            f"There is no file {path}. Give the folder of an earlier `palaestra eval`, or its "
            "completions.jsonl."
        )
    texts: dict[str, list[str]] = {}
    for row in read_rows(path):
        if not isinstance(row.values.get("id"), str) or not isinstance(row.values.get("completion"), str):
            raise UserError(
                f"{row.where}: a baseline's row has an id and a completion; this one has "
                f"{json.dumps(list(row.values))}."
            )
        texts.setdefault(row.values["id"], []).append(row.values["completion"])
    return texts
