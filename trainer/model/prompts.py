"""Problems as the token ids that a model reads, and token ids as the text that a verifier reads.

A prompt goes through the chat template where the tokenizer has one, and is plain text elsewhere. Whether a
template takes a system message, and contents as texts or as lists of parts, is found out by trying it, and
every message must be in what it writes (`templates`): a prompt is right, or refused with a sentence.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from transformers import PreTrainedTokenizerBase

from ...tasks import Problem
from ...tasks.core.chats import Message, add_instruction
from ...tasks.core.errors import UserError, shorten
from ..config.shared import PromptConfig
from .conversations import converse, write_plain
from .template_file import OF_THE_TOKENIZER, read_template
from .templates import (
    TEMPLATE_FAILURES,
    ChatTemplate,
    check_variables,
    select_variables,
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class SayOnce:
    """Says what a user should know: the first of what it is told on each topic.

    topics: those that something was said on.
    """

    say: Say
    topics: set[str] = field(default_factory=set)

    def __call__(self, topic: str, text: str) -> None:
        if topic not in self.topics:
            self.topics.add(topic)
            self.say(text)


@dataclass(frozen=True, eq=False)
class PromptFormat:
    """How problems become token ids: the same in rollouts, evaluations, demonstrations and comparisons.

    tokenizer: of the model that reads.  config: what is said around the problem.  template: the tokenizer's,
    if it has one.  opening: token ids that the tokenizer puts before a text that has no template (a BOS).
    end_ids: tokens that end a completion of the model, the tokenizer's first.  date: the day that a template
    may write, as 2026-11-27.  say_once: tells what a user should know.

    >>> import palaestra as pal
    >>> policy = pal.load_policy("embedded")
    >>> prompts = pal.PromptFormat.of(policy.tokenizer, pal.PromptConfig(instruction="Only the number."))
    >>> policy.tokenizer.decode(prompts.encode(pal.Problem("2 + 3 = ?")))
    '2 + 3 = ?\\nOnly the number.\\n'
    """

    tokenizer: PreTrainedTokenizerBase
    config: PromptConfig
    template: ChatTemplate | None
    opening: tuple[int, ...]
    end_ids: tuple[int, ...]
    date: str
    say_once: SayOnce

    @classmethod
    def of(
        cls,
        tokenizer: PreTrainedTokenizerBase,
        config: PromptConfig | None = None,
        say: Say = print,
        date: str = "",
        end_ids: Sequence[int] = (),
    ) -> PromptFormat:
        """The format of a tokenizer under these settings. date: of the prompts; today's where none is given.
        end_ids: tokens that end the model's completions (`Policy.end_ids`), beside the tokenizer's end token.

        A template file is put into the tokenizer, so that a model saved with it reads the same prompts.
        Raises UserError for a template that can't be read, and for variables that it does not have.
        """
        config = config or PromptConfig()
        if config.template:
            tokenizer.chat_template = read_template(config.template)
        variables = json.loads(config.chat_template_kwargs or "{}")
        check_variables(tokenizer, variables)
        date, where = date or str(datetime.date.today()), config.template or OF_THE_TOKENIZER
        return cls(
            tokenizer,
            config,
            ChatTemplate.of(tokenizer, variables, date, where) if tokenizer.chat_template else None,
            opening=_find_opening(tokenizer),
            end_ids=tuple(dict.fromkeys([tokenizer.eos_token_id, *end_ids])),
            date=date,
            say_once=SayOnce(say),
        )

    @classmethod
    def of_run(
        cls,
        tokenizer: PreTrainedTokenizerBase,
        config: PromptConfig,
        facts: Mapping[str, Any],
        say: Say = print,
        end_ids: Sequence[int] = (),
    ) -> PromptFormat:
        """The format of a run that goes on: its template is in the tokenizer that it saved, the date of its
        prompts in its facts."""
        return cls.of(tokenizer, config.without_template(), say, facts.get("prompt_date", ""), end_ids)

    @property
    def has_template(self) -> bool:
        """Whether a chat template renders prompts."""
        return self.template is not None

    @property
    def facts(self) -> dict[str, Any]:
        """What prompts depend on beside the settings, for the record of a run."""
        return {"chat_template": self.tokenizer.chat_template, "prompt_date": self.date}

    def for_reader(self, tokenizer: PreTrainedTokenizerBase) -> PromptFormat:
        """The same conversations for another model's tokenizer, by that one's own template."""
        read = select_variables(tokenizer, json.loads(self.config.chat_template_kwargs or "{}"))
        config = replace(self.config.without_template(), chat_template_kwargs=json.dumps(read))
        return PromptFormat.of(tokenizer, config, self.say_once.say, self.date)

    def encode(self, problem: Problem, instruction: str = "") -> list[int]:
        """Token ids of the prompt, ready for the model to go on writing: at least one, and the last is no end
        token. instruction: the task's own, which the settings may replace.

        Raises UserError, which names the problem, for a prompt that can't be made.
        """
        ids = self._encode_text(self.render(problem, instruction), problem.name)
        self._check_end(ids, problem.name)
        if self.template is None:
            opening = list(self.opening)
            ids = ids if ids[: len(opening)] == opening else opening + ids
            if not ids and self.tokenizer.bos_token_id is not None:
                ids = [self.tokenizer.bos_token_id]
        if not ids:
            raise UserError(
                f"{problem.name}: its prompt has no token, and the tokenizer has no BOS token to begin with. "
                "Give it a text, or an --instruction."
            )
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Token ids as the text that the model reads, special tokens included."""
        return decode(self.tokenizer, ids)

    def encode_completion(self, text: str, where: str = "A completion") -> list[int]:
        """Token ids of a completion to imitate, with the end token that tells the model to stop.

        That is what the template writes after an answer, where it is an end token of the model's (Gemma's
        <end_of_turn>); elsewhere the tokenizer's. where: whose completion, for what is said about it.
        """
        return [*self._encode_text(text, where), self.turn_end]

    @cached_property
    def turn_end(self) -> int:
        """The token that ends a completion to imitate."""
        end = self.template.find_turn_end() if self.template is not None else ""
        ids = self.tokenizer(end.lstrip(), add_special_tokens=False).input_ids
        return ids[0] if ids and ids[0] in self.end_ids else self.end_ids[0]

    def render(self, problem: Problem, instruction: str = "", later: Sequence[Message] = ()) -> str:
        """The prompt as text, special tokens of the template included. Raises as `encode` does.

        later: what was said after it, for a chat template.
        """
        if self.template is None:
            return write_plain(problem, self.config, instruction)
        template = self.template.tell(problem.tools)
        messages = _join_chats(self.converse(problem, instruction), later)
        return self._apply_template(template, messages, problem.name)

    def converse(self, problem: Problem, instruction: str = "") -> list[Message]:
        """The problem as the messages that a chat template renders, which may tell of the tools itself."""
        said = self.config.choose_instruction(instruction)
        tells_tools = self.template is None or not self.template.knows_tools
        messages = converse(problem, self.config, tells_tools=tells_tools)
        return add_instruction(messages, said, "\n\n", problem.name)

    def list_tools(self, _problem: Problem) -> list[Mapping[str, Any]]:
        """None apart: the prompt tells of them."""
        return []

    def _encode_text(self, text: str, where: str) -> list[int]:
        """Token ids of a text, nothing put around it. Says once that the tokenizer can't write one."""
        ids = list(self.tokenizer(text, add_special_tokens=False).input_ids)
        unknown = self.tokenizer.unk_token_id
        # An unknown token that the text spells is what it says.
        if unknown is not None and ids.count(unknown) > text.count(str(self.tokenizer.unk_token)):
            lost = next((word for word in text.split() if self._loses(word)), text)
            self.say_once(
                "unknown",
                f"{where}: the tokenizer has no token for {shorten(lost, 40)!r}, so the model reads "
                f"{self.tokenizer.unk_token} there. Change the text, or take a model that knows it. (Other "
                "texts are not reported.)",
            )
        return ids

    def _loses(self, word: str) -> bool:
        """Whether the tokenizer has no token for something in a word."""
        return self.tokenizer.unk_token_id in self.tokenizer(word, add_special_tokens=False).input_ids

    def _check_end(self, ids: Sequence[int], name: str) -> None:
        """Raise UserError for a prompt that ends with an end token: the model would have said all.

        A token that is no special one (a line break in some generation configs) may end a prompt.
        """
        last = ids[-1] if ids else None
        tokens = self.tokenizer.added_tokens_decoder
        if last in self.end_ids and (
            last == self.tokenizer.eos_token_id or (last in tokens and tokens[last].special)
        ):
            raise UserError(
                f"{name}: its prompt ends with the end token {self.tokenizer.decode([last])!r}, after which "
                "a model says no more. Take it from the end of the text, or give a --prompt-template that "
                "ends where the answer begins."
            )

    def _apply_template(self, template: ChatTemplate, messages: list[Message], name: str) -> str:
        """The chat by the template; where that has no place for a system message, before the user's first.

        Raises UserError for a chat that the template refuses, or of which it leaves something out.
        """
        first_refusal = ""
        for chat in [messages, *_merge_system(messages)]:
            try:
                missing, text = template.find_missing(chat), template.write(chat)
            except TEMPLATE_FAILURES as failure:
                said = shorten(str(failure) or type(failure).__name__)
                reason = f"the chat template refuses its messages: {said}."
            else:
                if missing is None:
                    if chat is not messages:
                        self.say_once(
                            "system",
                            "The chat template takes no system message: its text goes before the user's.",
                        )
                    return text
                reason = f"the chat template leaves out the message of role {missing!r}."
            first_refusal = first_refusal or reason
        roles = ", ".join(message["role"] for message in messages)
        raise UserError(
            f"{name}: {first_refusal} Its roles are: {roles}. Change the chat, or give a "
            "--prompt-template that takes it."
        )


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """Token ids as text: every token is in it, special or not (`<think>` may be one); no space is changed.

    Whoever wants no end token in the text gives none.
    """
    return str(
        tokenizer.decode(
            list(ids),
            skip_special_tokens=False,
            clean_up_tokenization_spaces=False,
            spaces_between_special_tokens=False,
        )
    )


def _find_opening(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """What the tokenizer puts before a text by itself. (What it puts after one, an EOS, would end it.)"""
    bare = list(tokenizer("palaestra", add_special_tokens=False).input_ids)
    dressed = list(tokenizer("palaestra").input_ids)
    starts = range(len(dressed) - len(bare) + 1)
    return tuple(dressed[: next((n for n in starts if dressed[n : n + len(bare)] == bare), 0)])


def _merge_system(messages: list[Message]) -> list[list[Message]]:
    """The chat with the system's text before the user's first message; none for one without."""
    if len(messages) < 2 or messages[0]["role"] != "system" or messages[1]["role"] != "user":
        return []
    system, first, *rest = messages
    return [[{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]]


def _join_chats(begun: list[Message], later: Sequence[Message]) -> list[Message]:
    """A chat that went on. Where it began within an answer, what was said next is the rest of that one."""
    if not later or begun[-1]["role"] != "assistant":
        return [*begun, *later]
    answer = {**begun[-1], "content": begun[-1]["content"] + later[0]["content"]}
    return [*begun[:-1], answer, *later[1:]]
