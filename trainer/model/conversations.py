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
from ..config.shared import PromptConfig

NAMES = {"user": "Human", "assistant": "Assistant", "system": "System"}  # in transcripts without a template


def converse(problem: Problem, config: PromptConfig) -> list[Message]:
    """The problem's messages, the system's as the settings have it. Raises DataError for what is no chat."""
    messages = read_messages(problem.prompt, problem.name)
    if not config.system:
        return messages
    own = messages[1:] if messages[0]["role"] == "system" else messages
    return [{"role": "system", "content": config.system}, *own]


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

    >>> Conversations(PromptConfig(system="Be brief.")).converse(Problem("2 + 3 = ?"))
    [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': '2 + 3 = ?'}]
    """

    config: PromptConfig = field(default_factory=PromptConfig)
    plain: bool = False

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
        return add_instruction(converse(problem, self.config), said, "\n\n", problem.name)
