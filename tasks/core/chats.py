"""Chats, as problems and rows of data files hold them: messages with role and content. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .errors import DataError, shorten
from .rowfiles import Row

Message = dict[str, Any]


def chat(row: Row, value: Any) -> list[dict[str, str]]:
    """A list of messages with role and content, nothing else. Raises DataError for anything else."""
    messages = _read_chat(value, row.where)
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def read_messages(prompt: Any, where: str) -> list[Message]:
    """A prompt as messages whose content is a text: one of the user for a text, those of a chat.

    Content that is a list of parts, each a text or `{"type": "text", "text": ...}`, is their texts joined;
    what else a message holds (a name, calls of tools) stays. where: whose prompt, for the sentence.

    Raises DataError for what is no chat, and for parts that are no text.

    >>> read_messages([{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], "here")
    [{'role': 'user', 'content': 'Hi'}]
    """
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return _read_chat(prompt, where)


def add_instruction(messages: Sequence[Message], instruction: str, between: str, where: str) -> list[Message]:
    """The messages with the instruction at the end of the user's last one, `between` before it.

    Raises DataError for a chat in which the user says nothing.
    """
    if not instruction:
        return list(messages)
    said = [place for place, message in enumerate(messages) if message["role"] == "user"]
    if not said:
        raise DataError(
            f"{where}: its chat has no message of the user to carry the instruction "
            f"{shorten(instruction, 60)!r}. Add "
            'one, or ask for no instruction (--instruction "").'
        )
    last = messages[said[-1]]
    longer = {**last, "content": f"{last['content']}{between}{instruction}"}
    return [*messages[: said[-1]], longer, *messages[said[-1] + 1 :]]


def _read_chat(value: Any, where: str) -> list[Message]:
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)) or not value:
        raise DataError(f"{where}: a chat is a list of messages, each with role and content.")
    return [_read_message(message, where) for message in value]


def _read_message(message: Any, where: str) -> Message:
    try:
        role, content = message["role"], message["content"]
    except (TypeError, KeyError, IndexError):
        role = content = None
    if isinstance(content, (list, tuple)) and content:
        content = "".join(_read_part(part, where) for part in content)
    if not isinstance(role, str) or not role or not isinstance(content, str):
        raise DataError(
            f"{where}: a chat is a list of messages, each with role and content; one is "
            f"{shorten(repr(message), 80)}."
        )
    return {**message, "role": role, "content": content}


def _read_part(part: Any, where: str) -> str:
    text = part.get("text") if isinstance(part, dict) and part.get("type", "text") == "text" else part
    if not isinstance(text, str):
        raise DataError(f"{where}: only parts that are texts can be read, not {shorten(repr(part), 80)}.")
    return text
