"""The rows of a run's files for who looks at them: metrics.jsonl, rollouts.jsonl, completions.jsonl.

A last line that a crash cut is left out. Imports no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .records import read_objects

RENDERED = "rendered_prompt"  # the prompt as the model saw it, on one line of each group of completions


def read_completions(path: Path, step: int | None = None) -> list[dict[str, Any]]:
    """The lines of rollouts.jsonl or completions.jsonl, each with the prompt as the model saw it.

    step: only those of this step.
    Raises UserError, with the line's number, for a line that is no record.
    """
    rows = [line.values for line in read_objects(path)] if path.is_file() else []
    rendered = {_name(row): row[RENDERED] for row in rows if RENDERED in row}
    for row in rows:
        if _name(row) in rendered:
            row[RENDERED] = rendered[_name(row)]
    return rows if step is None else [row for row in rows if row.get("step") == step]


def _name(row: dict[str, Any]) -> tuple[Any, Any]:
    """The group that a row belongs to: its step, None in an evaluation, and its problem."""
    return row.get("step"), row.get("id")
