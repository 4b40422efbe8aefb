"""What the adapters share: texts are scored for the rows of somebody else's table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from ...verifiers import Completion, Rubric, Score
from ..core import registry
from ..core.errors import TaskError, UserError
from ..core.isolation import isolate
from ..core.lookup import ProblemsById
from ..core.problem import Problem
from ..core.sources import Rows
from ..core.task import Task

Scored = Task | Rubric | str  # what an adapter takes: a task, its name, the path of its file, or a rubric
_OWN = ("id", "prompt", "reference", "metadata")  # the columns that `as_dataset` writes


class RowScorer:
    """Scores texts for rows. A row names its problem by `id`, as `as_dataset` writes it, or brings the answer
    as `reference` or `answer`; then its other columns are the problem's metadata.

    allow_weak_sandbox, say: for a rubric that runs programs; the sandbox's layers are checked and said now.
    Raises UserError where the sandbox is too weak or a judge can't be reached.
    """

    def __init__(self, scored: Scored, allow_weak_sandbox: bool, say: Callable[[str], None]) -> None:
        self.task = as_task(scored)
        isolate(self.task, allow_weak_sandbox, say, "allow_weak_sandbox=True")
        self._by_id = ProblemsById(self.task)

    def score(self, text: str, row: Mapping[str, Any], token_ids: Sequence[int] = ()) -> Score:
        """The rubric's judgement. Raises TaskError for a row that names no problem."""
        return self.task.score(Completion(text, ids=token_ids), self.find(row))

    def find(self, row: Mapping[str, Any]) -> Problem:
        """The problem of a row: the task's own where it has that id."""
        problem = self._by_id.find(str(row["id"])) if row.get("id") is not None else None
        if problem is not None:
            return problem
        name = next((name for name in ("reference", "answer") if row.get(name) is not None), None)
        if name is None:
            raise TaskError(
                f"A row names no problem of task {self.task.name}; its columns are "
                f"{', '.join(row) or 'none'}. Make rows with palaestra.as_dataset, or "
                "give a column reference."
            )
        return Problem(row.get("prompt", ""), row[name], _read_metadata(row), str(row.get("id") or ""))


def as_task(scored: Scored) -> Task:
    """The task; one without problems for a rubric alone."""
    if isinstance(scored, Rubric):
        return Task("rubric", Rows("rubric", lambda _split: [], ("train",)), scored)
    return registry.get(scored) if isinstance(scored, str) else scored


def read_text(completion: Any) -> str:
    """What the model wrote, of a text or of messages; calls of tools and what they gave back are left out."""
    if isinstance(completion, str):
        return completion
    own = [
        _field(message, "content") for message in completion if _field(message, "role") in ("assistant", None)
    ]
    return "\n".join(text for text in own if isinstance(text, str))


def import_tool(name: str, install: str = "") -> Any:
    """Another tool's package. Raises UserError where it is not installed."""
    try:
        return import_module(name)
    except ImportError as failure:
        raise UserError(
            f"{failure}. Install it: pip install {install or name.partition('.')[0]}"
        ) from failure


def _field(message: Any, name: str) -> Any:
    return message.get(name) if isinstance(message, Mapping) else getattr(message, name, None)


def _read_metadata(row: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = row.get("metadata")
    if isinstance(metadata, str):
        metadata = json.loads(metadata)
    others = {name: value for name, value in row.items() if name not in _OWN}
    return {**others, **metadata} if isinstance(metadata, Mapping) else others
