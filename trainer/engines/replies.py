"""What a server with OpenAI's interface answered, as a completion. Nothing in it is taken for granted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...verifiers import Completion
from ...verifiers.types import Usage
from .tool_messages import read_calls, write_message

OWN_WORDS = ("id", "owned_by", "created", "root", "max_model_len")  # of a model's entry, what goes on record


# how servers say, in an error's code or text, that they do not take this prompt
REFUSALS = (
    "content_filter", "content management policy", "content policy", "content_policy", "usage policy",
    "invalid_prompt", "prohibited_content", "context_length_exceeded", "maximum context length",
    "context size", "prompt is too long", "string_above_max_length",
)  # fmt: skip


class BrokenReply(Exception):
    """An answer that is none: no choices, no message, no reason for its end."""


def read_completion(reply: Any, chat: bool, stop: Sequence[str]) -> Completion:
    """The first choice of a reply. stop: texts at whose end the completion is cut.

    Raises BrokenReply for an answer that is none.
    """
    values = _read_table(reply)
    choices = values.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, Mapping):
        raise BrokenReply("the answer has no choices")
    said = choice.get("message") if chat else choice
    if not isinstance(said, Mapping) or choice.get("finish_reason") is None:
        raise BrokenReply("the answer was cut off")
    text, reasoning = _join_parts(said.get("content" if chat else "text")), _read_reasoning(said)
    if text is not None and not isinstance(text, str):
        raise BrokenReply("the answer is no text")
    usage = values.get("usage") or {}
    counts = [usage.get(name) if isinstance(usage, Mapping) else 0 for name in _COUNTS]
    tokens, prompt_tokens = (max(0, count) if isinstance(count, int) else 0 for count in counts)
    cut = cut_at_stop(text or "", stop)
    ended = "stop" if cut != text and cut else choice["finish_reason"]
    calls = read_calls(said.get("tool_calls")) if chat and cut == (text or "") else []
    return Completion(
        "\n".join([*([cut] if cut else []), *(call.write() for call in calls)]),
        message=write_message(cut, calls) if calls else None,
        finish_reason="length" if ended == "length" else "stop",
        usage=Usage(tokens, prompt_tokens),
        reasoning=reasoning,
    )


def refuses_prompt(status: int, said: str) -> bool:
    """Whether a server's error is about one prompt: its content, or its length."""
    return status in (400, 403, 413, 422) and any(words in said.lower() for words in REFUSALS)


def _join_parts(content: Any) -> Any:
    """A message's text that some servers give in parts ([{"type": "text", "text": ...}]); else as it is."""
    if not isinstance(content, list):
        return content
    found = (part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text")
    texts = [text for text in found if isinstance(text, str)]
    return "".join(texts) if texts else content


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """The text up to the end of the first stop string in it."""
    ends = [place + len(each) for each in stop if (place := text.find(each)) >= 0]
    return text[: min(ends)] if ends else text


def read_self(listed: Any) -> dict[str, Any]:
    """What a server's entry of a model says."""
    try:
        values = _read_table(listed)
    except BrokenReply:
        return {}
    return {name: values[name] for name in OWN_WORDS if values.get(name) is not None}


_COUNTS = ("completion_tokens", "prompt_tokens")


def _read_table(reply: Any) -> Mapping[str, Any]:
    # Without warnings: a server's types are looked at here.
    values = reply.to_dict(warnings=False) if hasattr(reply, "to_dict") else reply
    if not isinstance(values, Mapping):
        raise BrokenReply("the answer is no JSON object")
    return values


def _read_reasoning(said: Mapping[str, Any]) -> str:
    """Servers name it either way."""
    found = (said.get(name) for name in ("reasoning_content", "reasoning"))
    return next((text for text in found if isinstance(text, str)), "")
