"""Problems as the token ids that a model reads, and token ids as the text that a verifier reads.

A prompt goes through the chat template where the tokenizer has one, and is plain text elsewhere. Whether a
template takes a system message, and contents as texts or as lists of parts, is found out by trying it, and
what was to be said must be in what it writes: a prompt is right, or refused with a sentence.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError
from transformers import PreTrainedTokenizerBase

from ...tasks import Problem
from ...tasks.core.chats import Message, add_instruction, read_messages
from ...tasks.core.errors import UserError
from ..config.shared import PromptConfig

Say = Callable[[str], None]
TEMPLATE_FAILURES = (
    TemplateError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
)  # a template is a program: what it raises when a chat is not as it expects
PROBE = "palaestra"  # a text that no template says by itself
NAMES = {"user": "Human", "assistant": "Assistant", "system": "System"}  # in transcripts without a template


@dataclass(frozen=True, eq=False)
class PromptFormat:
    """How problems become token ids: the same in rollouts, evaluations, demonstrations and comparisons.

    tokenizer: of the model that reads.  config: what is said around the problem.  variables: of the template.
    opening: token ids that the tokenizer puts before a text that has no template (a BOS).  takes_parts: its
    template reads contents as lists of parts, not as texts.  date: the day that a template may write, as
    2026-11-27.  say_once: told what a user should know, once.

    >>> import palaestra as pal
    >>> policy = pal.load_policy("embedded")
    >>> prompts = pal.PromptFormat.of(policy.tokenizer, pal.PromptConfig(instruction="Only the number."))
    >>> policy.tokenizer.decode(prompts.encode(pal.Problem("2 + 3 = ?")))
    '2 + 3 = ?\\nOnly the number.\\n'
    """

    tokenizer: PreTrainedTokenizerBase
    config: PromptConfig
    variables: Mapping[str, Any]
    opening: tuple[int, ...]
    takes_parts: bool
    date: str
    say_once: Say

    @classmethod
    def of(
        cls,
        tokenizer: PreTrainedTokenizerBase,
        config: PromptConfig | None = None,
        say: Say = print,
        date: str = "",
    ) -> PromptFormat:
        """The format of a tokenizer under these settings. date: of the prompts; today's where none is given.

        A template file is put into the tokenizer, so that a model saved with it reads the same prompts.
        Raises UserError for a template that can't be read, and for variables that it does not have.
        """
        config = config or PromptConfig()
        if config.template:
            tokenizer.chat_template = read_template(config.template)
        variables = json.loads(config.chat_template_kwargs or "{}")
        _check_variables(tokenizer, variables)
        texts = cls(
            tokenizer,
            config,
            variables,
            opening=_find_opening(tokenizer),
            takes_parts=False,
            date=date or str(datetime.date.today()),
            say_once=cache(say),
        )
        parts = replace(texts, takes_parts=True)
        return parts if parts._shows_probe() and not texts._shows_probe() else texts

    @classmethod
    def of_run(
        cls,
        tokenizer: PreTrainedTokenizerBase,
        config: PromptConfig,
        facts: Mapping[str, Any],
        say: Say = print,
    ) -> PromptFormat:
        """The format of a run that goes on: its template is in the tokenizer that it saved, the date of its
        prompts in its facts."""
        return cls.of(tokenizer, config.without_template(), say, facts.get("prompt_date", ""))

    @property
    def facts(self) -> dict[str, Any]:
        """What prompts depend on beside the settings, for the record of a run."""
        return {"chat_template": self.tokenizer.chat_template, "prompt_date": self.date}

    def for_reader(self, tokenizer: PreTrainedTokenizerBase) -> PromptFormat:
        """The same conversations for another model's tokenizer, by that one's own template."""
        read = _select_variables(tokenizer, self.variables)
        config = replace(self.config.without_template(), chat_template_kwargs=json.dumps(read))
        return PromptFormat.of(tokenizer, config, self.say_once, self.date)

    def encode(self, problem: Problem, instruction: str = "") -> list[int]:
        """Token ids of the prompt, ready for the model to go on writing: at least one, and no end token after
        the text. instruction: the task's own, which the settings may replace.

        Raises UserError, which names the problem, for a prompt that can't be made.
        """
        text = self.render(problem, instruction)
        ids = list(self.tokenizer(text, add_special_tokens=False).input_ids)
        if not self.tokenizer.chat_template:
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

    def render(self, problem: Problem, instruction: str = "") -> str:
        """The prompt as text, special tokens of the template included. Raises as `encode` does."""
        messages = self._converse(problem)
        said = self.config.choose_instruction(instruction)
        if self.tokenizer.chat_template:
            messages = add_instruction(messages, said, "\n\n", problem.name)
            return self._apply_template(messages, problem.name)
        messages = add_instruction(messages, said, "\n", problem.name)
        if len(messages) > 1:
            return write_transcript(messages)
        return f"{messages[0]['content']}\n" if said else messages[0]["content"]

    def _converse(self, problem: Problem) -> list[Message]:
        """The problem's messages, the system's as the settings have it."""
        messages = read_messages(problem.prompt, problem.name)
        if not self.config.system:
            return messages
        own = messages[1:] if messages[0]["role"] == "system" else messages
        return [{"role": "system", "content": self.config.system}, *own]

    def _apply_template(self, messages: list[Message], name: str) -> str:
        """The chat by the template; where that has no place for a system message, before the user's first.

        Raises UserError for a chat that the template refuses, or of which it leaves something out.
        """
        first_refusal = ""
        for chat in [messages, *_merge_system(messages)]:
            try:
                text = self._write(chat)
            except TEMPLATE_FAILURES as failure:
                reason = f"the chat template refuses its messages: {' '.join(str(failure).split())[:200]}."
            else:
                missing = _find_missing(chat, text)
                if missing is None:
                    if chat is not messages:
                        self.say_once(
                            "The chat template takes no system message: its text goes before the user's."
                        )
                    return text
                reason = f"the chat template leaves out the message of role {missing!r}."
            first_refusal = first_refusal or reason
        roles = ", ".join(message["role"] for message in messages)
        raise UserError(
            f"{name}: {first_refusal} Its roles are: {roles}. Change the chat, or give a "
            "--prompt-template that takes it."
        )

    def _write(self, messages: Sequence[Message]) -> str:
        """What the template writes, up to where the model goes on. Raises TEMPLATE_FAILURES."""
        goes_on = messages[-1]["role"] == "assistant"
        chat = [
            {**m, "content": [{"type": "text", "text": m["content"]}]} if self.takes_parts else dict(m)
            for m in messages
        ]
        tokenizer: Any = self.tokenizer
        template = tokenizer.get_chat_template(tools=self.variables.get("tools"))
        return str(
            tokenizer.apply_chat_template(
                chat,
                chat_template=_write_date(template, self.date),
                add_generation_prompt=not goes_on,
                continue_final_message=goes_on,
                tokenize=False,
                **self.variables,
            )
        )

    def _shows_probe(self) -> bool:
        """Whether the template, where there is one, writes the text itself, not the notation of a list.

        Raises UserError for a template that can't be read.
        """
        if not self.tokenizer.chat_template:
            return False
        try:
            text = self._write([{"role": "user", "content": PROBE}])
        except TemplateSyntaxError as failure:
            where = self.config.template or "of the tokenizer"
            raise UserError(
                f"The chat template ({where}) can't be read: line {failure.lineno}: {failure.message}. "
                "Mend it, or give another one with --prompt-template."
            ) from failure
        except TEMPLATE_FAILURES:
            return False
        return PROBE in text and "'type'" not in text


def check_template(config: PromptConfig) -> None:
    """Raise UserError for a template's file that can't be read, before anything is loaded."""
    if config.template:
        read_template(config.template)


def read_template(path: str) -> str:
    """The text of a chat template's file. Raises UserError where there is none."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as failure:
        raise UserError(
            f"--prompt-template {path} can't be read ({failure}). Give a file with a Jinja chat template."
        ) from failure
    if not text.strip():
        raise UserError(f"--prompt-template {path} is empty. Give a file with a Jinja chat template.")
    return text


def write_transcript(messages: Sequence[Message]) -> str:
    """A chat as text for a tokenizer without a chat template: its turns are named, and the last one is the
    assistant's."""
    turns = [f"{NAMES.get(message['role'], message['role'])}: {message['content']}" for message in messages]
    return "\n\n".join(turns if messages[-1]["role"] == "assistant" else [*turns, "Assistant:"])


def encode_completion(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a completion to imitate, with the end token that tells the model to stop."""
    return [*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id]


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
    bare = list(tokenizer(PROBE, add_special_tokens=False).input_ids)
    dressed = list(tokenizer(PROBE).input_ids)
    starts = range(len(dressed) - len(bare) + 1)
    return tuple(dressed[: next((n for n in starts if dressed[n : n + len(bare)] == bare), 0)])


def _write_date(template: str, date: str) -> str:
    """The template with this day in place of the present one, so that a run goes on with the same prompts."""
    day = datetime.datetime.fromisoformat(date)
    return re.sub(
        r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""", lambda call: json.dumps(day.strftime(call[2])), template
    )


def _merge_system(messages: list[Message]) -> list[list[Message]]:
    """The chat with the system's text before the user's first message; none for one without."""
    if len(messages) < 2 or messages[0]["role"] != "system" or messages[1]["role"] != "user":
        return []
    system, first, *rest = messages
    return [[{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]]


def _find_missing(messages: Sequence[Message], text: str) -> str | None:
    """The role of a message whose words are not in the prompt; those of earlier answers may be left out."""
    written = _pack(text)
    return next(
        (
            message["role"]
            for message in messages
            if message["role"] != "assistant" and _pack(message["content"]) not in written
        ),
        None,
    )


def _pack(text: str) -> str:
    """Without white space, which templates trim."""
    return "".join(text.split())


def _check_variables(tokenizer: PreTrainedTokenizerBase, variables: Mapping[str, Any]) -> None:
    """Raise UserError for variables that no template reads."""
    unread = variables.keys() - _select_variables(tokenizer, variables).keys()
    if unread and not tokenizer.chat_template:
        raise UserError(
            "--chat-template-kwargs: the tokenizer has no chat template to read them. Leave them out "
            "or give a --prompt-template."
        )
    if unread:
        raise UserError(
            f"--chat-template-kwargs: the chat template reads no {sorted(unread)[0]!r}. Look for its "
            "name in the template."
        )


def _select_variables(tokenizer: PreTrainedTokenizerBase, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the variables whose names are in the tokenizer's template."""
    templates = tokenizer.chat_template or ""
    words = re.findall(r"\w+", " ".join(templates.values()) if isinstance(templates, dict) else templates)
    return {name: value for name, value in variables.items() if name in words}
