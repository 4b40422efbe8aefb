"""An episode's conversation as the chat template itself renders it at each turn, its past rewritten.

That is how a server reads a conversation that it is sent again: what the policy said is text by then, which
the template may cut, and the tokenizer may read in other tokens than those that were drawn. What was drawn
in a turn then follows a context of its own, a branch. What a world says makes no control tokens here, either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...tasks import Problem
from ...tasks.core.chats import Message
from ...tasks.core.errors import UserError, shorten
from ...verifiers.types import Turn
from .controls import Controls, mend
from .prompts import PromptFormat
from .templates import ChatTemplate
from .turn_texts import REPLIED, REPLIES, SAID, SAYINGS, list_starts, write_chat
from .turns import TOOL_MARKS, tell_tools

CUTS = [chr(code) for code in range(0xE000, 0xF900)]
"""Marks for where a world's text is cut before it is rendered, so that it spells no control token: characters
without a meaning, of which one is taken that no text has."""
REMEDY = "Take a --prompt-template that does, or --trajectories interleaved."


@dataclass(frozen=True, eq=False)
class Branching:
    """Renders conversations (`prove_branching` makes it).

    prompts: of the model.  controls: what its tokenizer reads as control tokens.  own_tool: whether the
    template has a role of its own for a tool's answer; else it is the user's, between marks.

    >>> import palaestra as pal
    >>> from palaestra.trainer.model.branching import prove_branching
    >>> tokenizer = pal.load_policy("embedded").tokenizer
    >>> tokenizer.chat_template = (
    ...     "{% for m in messages %}{{ m.content.split('=')[-1] + ';' }}{% endfor %}>")
    >>> branching = prove_branching(pal.PromptFormat.of(tokenizer))
    >>> turns = [pal.Turn("policy", "1+1=2"), pal.Turn("world", "And 3?")]
    >>> tokenizer.decode(branching.encode(pal.Problem("2?"), "", turns))
    '2?;2;And 3?;>'
    """

    prompts: PromptFormat
    controls: Controls
    own_tool: bool

    def encode(self, problem: Problem, instruction: str, turns: Sequence[Turn]) -> list[int]:
        """Token ids of the problem's prompt with the turns after it, up to where the policy goes on.

        instruction: the task's own. Raises UserError where the template refuses these texts.
        """
        cut = ""
        if any(len(self.controls.cut(turn.text)) > 1 for turn in turns if turn.role == "world"):
            known = self.prompts.render(problem, instruction) + "".join(turn.text for turn in turns)
            cut = next((mark for mark in CUTS if mark not in known), "")
            if not cut:
                raise UserError(f"{problem.name}: its texts have every character of private use.")
        text = self.prompts.render(problem, instruction, [self._tell(turn, cut) for turn in turns])
        pieces = text.split(cut) if cut else [text]
        return self.controls.encode_apart(pieces)

    def blames(self, problem: Problem, instruction: str, turns: Sequence[Turn]) -> bool:
        """Whether it is what was said that the template refuses: with harmless words it would not. A world's
        words count as the policy's, which may have made it say them."""
        harmless = [Turn(turn.role, SAID, turn.voice) for turn in turns]
        try:
            self.encode(problem, instruction, harmless)
        except UserError:
            return False
        return True

    def _tell(self, turn: Turn, cut: str) -> Message:
        text = mend(turn.text)
        if turn.role == "policy":
            return _message("assistant", text)
        text = cut.join(self.controls.cut(text)) if cut else text
        if turn.voice != "tool":
            return _message("user", text)
        return _message("tool", text) if self.own_tool else _message("user", text.join(TOOL_MARKS))


def prove_branching(prompts: PromptFormat) -> Branching:
    """Conversations as the template renders them, tried on dummies: with a system message and without, up to
    the third turn, told of tools or not. Takes some 50 ms.

    Raises UserError for a template that can't hold a conversation, or where there is none.
    """
    template = prompts.template
    if template is None:
        raise UserError(
            "--trajectories branching renders each turn anew by the chat template, and this tokenizer has "
            "none: leave it out, or give a --prompt-template."
        )
    controls = Controls.of(prompts.tokenizer, template.text)
    templates = [template, *tell_tools(template)]
    for each in templates:
        _check_role(prompts, each, "user")
    try:
        for each in templates:
            _check_role(prompts, each, "tool")
    except UserError:
        own_tool = False
    else:
        own_tool = True
    spelled = "".join(controls.texts) + " ".join(controls.texts)
    if controls.select(controls.encode_apart(controls.cut(spelled))):
        raise UserError(
            "The tokenizer makes control tokens of a reply that only spells them: a world's text could end "
            "its own turn. Take another tokenizer, or a task of a single turn."
        )
    return Branching(prompts, controls, own_tool)


def _check_role(prompts: PromptFormat, template: ChatTemplate, role: str) -> None:
    """Raise UserError where the template refuses replies in a role, leaves them out or changes them."""
    for where, start in list_starts(template, role):
        for said in SAYINGS:
            for reply in REPLIES if said == SAID else REPLIES[:1]:
                shown = f"{REPLIED}{CUTS[0]}{reply}"
                chat = [*start, _message("assistant", said), _message(role, shown)]
                text = write_chat(template, chat, role)
                if CUTS[0] not in text or REPLIED not in text:
                    raise UserError(
                        f"The chat template leaves out or rewrites a reply in role {role!r} {where}: "
                        f"{shorten(repr(reply), 40)}. {REMEDY}"
                    )
                ids = prompts.tokenizer(text.replace(CUTS[0], ""), add_special_tokens=False).input_ids
                if ids and ids[-1] in prompts.end_ids and ids[-1] in prompts.tokenizer.added_tokens_decoder:
                    raise UserError(
                        "The chat template ends a conversation that goes on with the end token "
                        f"{prompts.decode(ids[-1:])!r}, after which a model says no more. {REMEDY}"
                    )


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}
