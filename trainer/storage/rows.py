"""The rows of a run's files for who looks at them: metrics.jsonl, rollouts.jsonl, completions.jsonl.

A last line that a crash cut is left out. Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError

RENDERED = "rendered_prompt"  # the prompt as the model saw it, on the first line of each group of completions


def read_completions(path: Path, step: int | None = None) -> list[dict[str, Any]]:
    """The lines of rollouts.jsonl or completions.jsonl, each with the prompt as the model saw it.

    step: only those of this step.
    Raises UserError, with the line's number, for a line that is no record.
    """
    rows: list[dict[str, Any]] = []
    rendered: dict[tuple[Any, Any], str] = {}  # by step and problem
    for row in _read_rows(path):
        name = row.get("step"), row.get("id")
        if RENDERED in row:
            rendered[name] = row[RENDERED]
        elif name in rendered:
            row[RENDERED] = rendered[name]
        if step is None or row.get("step") == step:
            rows.append(row)
    return rows


def _read_rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(file, 1):
            if not text.endswith("\n"):
                return
            try:
                row = json.loads(text)
            except ValueError as failure:
                raise UserError(
                    f"{path}, line {number} is damaged ({failure}). Remove that line."
                ) from failure
            if not isinstance(row, dict):
                raise UserError(f"{path}, line {number} is damaged: it is no record. Remove that line.")
            yield row
