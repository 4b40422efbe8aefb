"""Problems as the messages that a model is told, whoever renders them: a tokenizer here, or an endpoint.

Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...tasks import Problem
from ...tasks.core.chats import Message, add_instruction, read_messages
from ...tasks.core.tools.telling import write_tools
from ..config.shared import PromptConfig

NAMES = {"user": "Human", "assistant": "Assistant", "system": "System"}  # in transcripts without a template


def converse(problem: Problem, config: PromptConfig, *, tells_tools: bool = True) -> list[Message]:
    """The problem's messages, the system's as the settings have it, with what tools there are.

    tells_tools: False where the chat template does it. Raises DataError for what is no chat.
    """
    messages = read_messages(problem.prompt, problem.name)
    own = messages[1:] if messages[0]["role"] == "system" else messages
    said = [config.system or (messages[0]["content"] if len(own) < len(messages) else "")]
    if problem.tools and tells_tools:
        said.append(write_tools(problem.tools))
    system = "\n\n".join(filter(None, said))
    if len(own) < len(messages) and not config.system:
        return [{**messages[0], "content": system}, *own]
    return [{"role": "system", "content": system}, *own] if system else own


def write_plain(problem: Problem, config: PromptConfig, instruction: str) -> str:
    """The prompt for a model without a chat template. instruction: the task's own, which the settings may
    replace."""
    said = config.choose_instruction(instruction)
    messages = add_instruction(converse(problem, config), said, "\n", problem.name)
    if len(messages) > 1:
        return write_transcript(messages)
    return f"{messages[0]['content']}\n" if said else messages[0]["content"]


def write_transcript(messages: Sequence[Message]) -> str:
    """A chat as text for a tokenizer without a chat template: its turns are named, and the last one is the
    assistant's."""
    turns = [f"{NAMES.get(message['role'], message['role'])}: {message['content']}" for message in messages]
    return "\n\n".join(turns if messages[-1]["role"] == "assistant" else [*turns, "Assistant:"])


@dataclass(frozen=True)
class Conversations:
    """How problems become messages for an engine that has its own tokenizer: an endpoint.

    config: what is said around a problem.

    plain: as one text, for an endpoint that only goes on with texts.

    tells_tools: whether the system message tells of tools; False for an endpoint that is sent them apart.

    >>> Conversations(PromptConfig(system="Be brief.")).converse(Problem("2 + 3 = ?"))
    [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': '2 + 3 = ?'}]
    """

    config: PromptConfig = field(default_factory=PromptConfig)
    plain: bool = False
    tells_tools: bool = True

    @property
    def has_template(self) -> bool:
        """Whether a chat template renders them: the endpoint's own, but for a plain text."""
        return not self.plain

    @property
    def variables(self) -> dict[str, Any]:
        """Those of the settings for the endpoint's chat template."""
        return json.loads(self.config.chat_template_kwargs or "{}")

    def encode(self, _problem: Problem, _instruction: str = "", /) -> list[int]:
        """None: token ids are the endpoint's."""
        return []

    def decode(self, _ids: Sequence[int], /) -> str:
        """Nothing: how the endpoint renders a prompt is not known here."""
        return ""

    def converse(self, problem: Problem, instruction: str = "", /) -> list[Message]:
        """The messages, the instruction at the end of the user's last; one with the whole text where `plain`.

        Raises DataError for what is no chat.
        """
        if self.plain:
            return [{"role": "user", "content": write_plain(problem, self.config, instruction)}]
        said = self.config.choose_instruction(instruction)
        messages = converse(problem, self.config, tells_tools=self.tells_tools)
        return add_instruction(messages, said, "\n\n", problem.name)

    def list_tools(self, problem: Problem, /) -> list[dict[str, Any]]:
        """The tools that an endpoint is told of apart from the messages."""
        return [] if self.tells_tools else [dict(tool) for tool in problem.tools]
