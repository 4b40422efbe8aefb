"""Prompts as data sets have them: texts, chats by `role` and `content` or by `from` and `value`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.chats import read_messages
from ..core.errors import DataError
from .answers import UnusableError, is_missing

ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
KNOWN_ROLES = {"system", "developer", "user", "assistant", "tool"}
WHOLE_CHATS = ("messages", "conversations", "conversation")  # columns whose last turn is the answer


@dataclass(frozen=True)
class Asked:
    """prompt: a text or a chat.  said: the last turn of the assistant, where the chat holds the answer."""

    prompt: str | list[dict[str, Any]]
    said: str = ""


def read_prompt(value: Any, column: str) -> Asked:
    """A cell of the prompt's column. Raises UnusableError for what is empty, or no text and no chat."""
    if is_missing(value):
        raise UnusableError("the prompt is empty")
    if isinstance(value, str):
        stripped = value.strip()
        if column.rpartition(".")[2].lower() in ("messages", "conversations") and stripped[:1] != "[":
            raise UnusableError(
                f"{column!r} holds a text, where a chat is a list of messages, each with role and content; "
                "name a column of texts with --prompt"
            )
        if not (stripped.startswith("[{") and '"role"' in stripped):
            return Asked(stripped)
        try:
            value = json.loads(stripped)  # a chat in a cell of a CSV
        except (ValueError, RecursionError):
            return Asked(stripped)
    if not isinstance(value, Sequence):
        raise UnusableError(f"the prompt is of type {type(value).__name__}, not a text or a chat")
    try:
        chat = read_messages([_rename(message) for message in value], "")
    except DataError as failure:
        raise UnusableError(
            "the prompt is a list, and no chat of messages with role and content"
        ) from failure
    odd = next((message["role"] for message in chat if message["role"] not in KNOWN_ROLES), None)
    if odd is not None and not any(message["role"] == "user" for message in chat):
        raise UnusableError(
            f"no message of {column!r} is of the user, and the role {odd!r} is not known; give system, user "
            "or assistant"
        )
    said = ""
    if column.rpartition(".")[2].lower() in WHOLE_CHATS:
        while chat and chat[-1]["role"] != "user":
            last = chat.pop()
            said = said or (last["content"] if last["role"] == "assistant" else "")
    if not any(not is_missing(message["content"]) for message in chat):
        raise UnusableError("the prompt is empty")
    plain = len(chat) == 1 and chat[0]["role"] == "user"
    return Asked(chat[0]["content"] if plain else [dict(message) for message in chat], said)


def _rename(message: Any) -> Any:
    if isinstance(message, Mapping) and "from" in message and "value" in message:
        role = str(message["from"])
        return {"role": ROLES.get(role, role), "content": message["value"]}
    return message
