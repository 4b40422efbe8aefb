"""`Problem`: one thing to solve, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...verifiers.display import quote, write_html_fields
from .chats import read_messages
from .errors import DataError, shorten

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem.

    prompt: text, or chat messages (`role`, `content`; a content is a text, or a list of texts as parts).
        A chat that ends with the assistant's message is gone on with from there.
    reference: the expected answer as plain data; the policy never sees it.
    metadata: plain data for logs, curricula and verifiers (a worked solution under "solution").
    id: stable over runs and machines, as `gsm8k/test/17`; its task fills it in.
    tools: that the policy may call, each as the JSON schema that chat templates take; a task's `tools=`
        fills them in.
    key: what makes two problems the same (sorted operands, say), by which splits are kept apart.
        Default: the prompt.

    >>> import palaestra as pal
    >>> problem = pal.Problem([{"role": "user", "content": "What is 7 * 6?"}], reference="42", key="6 7")
    >>> problem.text
    'What is 7 * 6?'
    """

    prompt: str | Messages
    reference: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    key: str = ""
    tools: Sequence[Mapping[str, Any]] = ()

    @property
    def text(self) -> str:
        """The prompt as one text: the messages' contents, one to a line.

        Raises DataError for what is no chat.
        """
        if isinstance(self.prompt, str):
            return self.prompt
        return "\n".join(message["content"] for message in read_messages(self.prompt, self.name))

    @property
    def name(self) -> str:
        """What a sentence calls it: by its id, or by how its prompt begins."""
        return f"Problem {self.id}" if self.id else f"The problem {shorten(repr(self.prompt), 60)}"

    def __repr__(self) -> str:
        prompt = quote(self.prompt if isinstance(self.prompt, str) else list(self.prompt))
        name = f"{self.id!r}, " if self.id else ""
        return f"Problem({name}{prompt}, reference={quote(self.reference)})"

    def _repr_html_(self) -> str:
        return write_html_fields(
            self.id or "Problem", [*self._list_turns(), ("reference", self.reference), *self.metadata.items()]
        )

    def _list_turns(self) -> list[tuple[str, object]]:
        """Who says what in the prompt."""
        try:
            chat = [] if isinstance(self.prompt, str) else read_messages(self.prompt, self.name)
        except DataError:  # no chat, which whoever uses the problem will be told
            chat = []
        return [(message["role"], message["content"]) for message in chat] or [("prompt", self.prompt)]
