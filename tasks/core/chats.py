"""Chats in the rows of data files. Imports no torch."""

from __future__ import annotations

from typing import Any

from .errors import DataError
from .rowfiles import Row


def chat(row: Row, value: Any) -> list[dict[str, str]]:
    """A list of messages with role and content. Raises DataError for anything else."""
    well = isinstance(value, list) and value
    if not well or not all(
        isinstance(m, dict) and isinstance(m.get("content"), str) and "role" in m for m in value
    ):
        raise DataError(f"{row.where}: a chat is a list of messages, each with role and content.")
    return [{"role": str(m["role"]), "content": m["content"]} for m in value]
