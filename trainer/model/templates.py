"""Chat templates: Jinja programs, which come with a tokenizer and write a chat as text.

What a template does with a message is found out by a probe: a plain word in the place of each content. So it
does not matter what a template does to texts (escape them, trim them, write them as JSON), nor whether a text
that it leaves out stands somewhere else too.
"""

from __future__ import annotations

import datetime
import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from ...tasks.core.chats import Message
from ...tasks.core.errors import UserError
from .template_file import OF_THE_TOKENIZER, find_variables

TEMPLATE_FAILURES = (
    TemplateError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)  # a template is a program: what it raises when a chat is not as it expects


@dataclass(frozen=True, eq=False)
class ChatTemplate:
    """The template of a tokenizer, with its variables set.

    text: the template itself, in Jinja.  variables: what it reads beside the chat.  takes_parts: it
    reads contents as lists of parts, not as texts.  missing: what `find_missing` has found, by roles.
    told: what `tell` has made, by the tools.
    """

    tokenizer: PreTrainedTokenizerBase
    text: str
    variables: Mapping[str, Any]
    takes_parts: bool = False
    missing: dict[tuple[str, ...], str | None] = field(default_factory=dict)
    told: dict[str, ChatTemplate] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        tokenizer: PreTrainedTokenizerBase,
        variables: Mapping[str, Any],
        date: str,
        where: str = OF_THE_TOKENIZER,
    ) -> ChatTemplate:
        """The tokenizer's template. date: the day that it writes if it asks for the present one, as
        2026-11-27.  where: it comes from, for the sentence.

        Raises UserError where there are several and none is the default, and for one that can't be read.
        """
        text = choose_template(tokenizer, variables)
        if "strftime_now" in find_variables(text, where):
            text = f"{_define_day(date)}\n{text}"
        texts = cls(tokenizer, text, variables)
        parts = replace(texts, takes_parts=True, missing={}, told={})
        return parts if parts._shows_probe() and not texts._shows_probe() else texts

    def write(self, messages: Sequence[Message], *, ends: bool = False) -> str:
        """The chat as text, up to where the model goes on; with `ends`, up to the end of its last turn.

        Raises TEMPLATE_FAILURES.
        """
        goes_on = messages[-1]["role"] == "assistant" and not ends
        chat = [
            {**m, "content": [{"type": "text", "text": m["content"]}]} if self.takes_parts else dict(m)
            for m in messages
        ]
        tokenizer: Any = self.tokenizer
        return str(
            tokenizer.apply_chat_template(
                chat,
                chat_template=self.text,
                add_generation_prompt=not goes_on and not ends,
                continue_final_message=goes_on,
                tokenize=False,
                **self.variables,
            )
        )

    def find_missing(self, messages: Sequence[Message]) -> str | None:
        """The role of a message that the template leaves out of such a chat; earlier answers may be.

        Tried once for each order of roles. Raises TEMPLATE_FAILURES.
        """
        roles = tuple(message["role"] for message in messages)
        if roles not in self.missing:
            self.missing[roles] = self._probe_missing(messages)
        return self.missing[roles]

    def _probe_missing(self, messages: Sequence[Message]) -> str | None:
        words = [_make_probe(place) for place in range(len(messages))]
        chat = [{**message, "content": word} for message, word in zip(messages, words, strict=True)]
        written = self.write(chat).casefold()
        return next(
            (m["role"] for m in chat if m["role"] != "assistant" and m["content"] not in written), None
        )

    def find_turn_end(self) -> str:
        """What the template writes after an answer that ends the chat; "" where it writes no answer."""
        asked, answered = _make_probe(0), _make_probe(1)
        chat = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
        try:
            _, found, end = self.write(chat, ends=True).rpartition(answered)
        except TEMPLATE_FAILURES:
            return ""
        return end if found else ""

    @cached_property
    def knows_tools(self) -> bool:
        """Whether the template itself tells the model what tools there are."""
        if "tools" not in find_variables(self.text):
            return False
        probe = {
            "name": _make_probe(0),
            "description": "",
            "parameters": {"type": "object", "properties": {}},
        }
        variables = {**self.variables, "tools": [{"type": "function", "function": probe}]}
        try:
            text = replace(self, variables=variables).write([{"role": "user", "content": _make_probe(1)}])
        except TEMPLATE_FAILURES:
            return False
        return _make_probe(0) in text.casefold()

    def tell(self, tools: Sequence[Mapping[str, Any]]) -> ChatTemplate:
        """This template where it tells the model of these tools; itself where there are none, or it can't."""
        if not tools or not self.knows_tools:
            return self
        key = json.dumps(tools, sort_keys=True)
        if key not in self.told:
            self.told[key] = replace(self, variables={**self.variables, "tools": tools}, missing={}, told={})
        return self.told[key]

    def _shows_probe(self) -> bool:
        """Whether the template writes the text itself, not the notation of a list."""
        try:
            text = self.write([{"role": "user", "content": _make_probe(0)}])
        except TEMPLATE_FAILURES:
            return False
        return _make_probe(0) in text.casefold() and "'type'" not in text


def _make_probe(place: int) -> str:
    """A word that no template says by itself, in small letters: another one for each message."""
    return f"palaestra{place}word"


def _define_day(date: str) -> str:
    """`strftime_now` of this day as a macro, which hides transformers' function of the present day: templates
    are given plain data, no functions."""
    day = datetime.datetime.fromisoformat(date)
    codes = [f"%{flag}{letter}" for flag in ("", "-") for letter in string.ascii_letters]
    values = [["%%", "\0"], *([code, day.strftime(code)] for code in codes), ["\0", "%"]]
    return (
        "{% macro strftime_now(format) %}{% set told = namespace(text=format) %}"
        f"{{% for code, value in {json.dumps(values)} %}}"
        "{% set told.text = told.text | replace(code, value) %}{% endfor %}{{ told.text }}{% endmacro %}"
    )


def choose_template(tokenizer: PreTrainedTokenizerBase, variables: Mapping[str, Any]) -> str:
    """The template that is used of those that a tokenizer has: its default, or the one for tools.

    Raises UserError where none is the default.
    """
    try:
        return tokenizer.get_chat_template(tools=variables.get("tools"))
    except ValueError as failure:
        raise UserError(
            f"The tokenizer has several chat templates ({', '.join(sorted(tokenizer.chat_template or ()))}), "
            "and none of them is the default. Give the one to use with --prompt-template."
        ) from failure


def select_variables(tokenizer: PreTrainedTokenizerBase, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the variables that the tokenizer's template reads. Raises as `choose_template` does."""
    if not tokenizer.chat_template:
        return {}
    read = find_variables(choose_template(tokenizer, variables))
    return {name: value for name, value in variables.items() if name in read}


def check_variables(tokenizer: PreTrainedTokenizerBase, variables: Mapping[str, Any]) -> None:
    """Raise UserError for variables that no template reads."""
    if not variables:
        return
    if not tokenizer.chat_template:
        raise UserError(
            "--chat-template-kwargs: the tokenizer has no chat template to read them. Leave them out "
            "or give a --prompt-template."
        )
    unread = variables.keys() - select_variables(tokenizer, variables).keys()
    if unread:
        raise UserError(
            f"--chat-template-kwargs: the chat template reads no {sorted(unread)[0]!r}. Look for its "
            "name in the template."
        )
