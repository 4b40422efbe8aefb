"""Calls of tools as a chat endpoint gives them (`tool_calls`), and what they are answered: messages of role
"tool".

In a completion's text they stand as local models write them (`tasks/core/tools/calls.py`), so that worlds and
criteria read one form. Nothing that a server sends is taken for granted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from ...tasks.core.tools.calls import MAX_CALLS
from ...tasks.core.tools.schema import parse_json
from ...tasks.core.tools.telling import write_call

Message = dict[str, Any]


@dataclass(frozen=True)
class AskedCall:
    """One call. id: by which its answer is told.  arguments: the text that the model wrote, JSON or not."""

    id: str
    name: str
    arguments: str

    def write(self) -> str:
        """As it stands in the completion's text. What is no JSON stays the text that it is, which no tool
        takes.

        >>> AskedCall("2", "look_up", "{what").write()
        '<tool_call>{"name": "look_up", "arguments": "{what"}</tool_call>'
        """
        try:
            arguments = parse_json(self.arguments) if self.arguments.strip() else {}
        except ValueError:
            arguments = self.arguments
        return write_call(self.name, arguments)


def read_calls(found: Any) -> list[AskedCall]:
    """The calls of a message, one more at most than may be made; what names no function is none. Ids that are
    missing, or there twice, are replaced."""
    calls, seen = list[AskedCall](), set[str]()
    for each in found if isinstance(found, list) else []:
        function = each.get("function") if isinstance(each, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            continue
        given, arguments = each.get("id"), function.get("arguments")
        own = [given] if isinstance(given, str) and given else []
        names = chain(own, map("call_{}".format, count(len(calls))))
        name = next(name for name in names if name not in seen)
        seen.add(name)
        if not isinstance(arguments, str):  # some servers give the object itself
            arguments = "" if arguments is None else json.dumps(arguments, ensure_ascii=False)
        calls.append(AskedCall(name, function["name"], arguments))
        if len(calls) > MAX_CALLS:
            break
    return calls


def write_message(text: str, calls: Sequence[AskedCall]) -> Message:
    """The assistant's message with these calls, as it is sent back."""
    asked = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in calls
    ]
    return {"role": "assistant", "content": text, "tool_calls": asked}


def answer_calls(message: Mapping[str, Any], shown: str, answers: Sequence[str]) -> list[Message]:
    """A message for each call of the assistant's.

    shown: the whole reply, as it is on record, cut at the limit of observations.  answers: of each call;
    where they are not those of the message's calls (one in the text, a reply that was cut), the first is told
    all of it.
    """
    ids = [call["id"] for call in message["tool_calls"]]
    if len(answers) != len(ids) or any(answer not in shown for answer in answers):
        answers = [shown, *("Answered above." for _ in ids[1:])]
    return [
        {"role": "tool", "tool_call_id": name, "content": answer}
        for name, answer in zip(ids, answers, strict=True)
    ]
