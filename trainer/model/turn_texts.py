"""What a chat template writes between two answers, found by differences of dummy conversations, and proven.

A conversation of an episode is never rendered again: to the tokens so far come those that stand between two
answers. That is right where a template ends an answer, writes the reply and begins the next answer in the
same way whatever was said, which is tried here on texts that templates trip over. What a template does to
earlier answers (take `<think>` out, trim) does not matter to these tokens, for the policy's own stay in
place; whether it does anything is found out, so that it can be said (`append_only`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...tasks.core.chats import Message
from ...tasks.core.errors import UserError, shorten
from .templates import TEMPLATE_FAILURES, ChatTemplate

REMEDY = "Give a --prompt-template that takes it, or a task of a single turn."
ASKED, SAID, REPLIED, TOLD = (f"palaestra{name}word" for name in ("ask", "say", "reply", "tell"))
SAYINGS = {  # answers that templates change when they render them again, each with what was done to it then
    SAID: "puts other text around earlier answers",
    f"  {SAID} \n\n": "trims earlier answers",
    f"<think>\n{TOLD}\n</think>\n\n{SAID}": "takes the thinking out of earlier answers",
    f"{TOLD}\n</think>\n\n{SAID}": "takes the thinking out of earlier answers",
    "": "leaves empty answers out",
}
REPLIES = (
    *(REPLIED, "", f" {REPLIED}\n", f"\n\n{REPLIED}\t"),
    *(
        f"Zażółć 数 \U0001f600\n{REPLIED}",
        f'{{"{REPLIED}": [1]}}',
        f"<tool_response>{REPLIED}</tool_response>",
    ),
)
MANNERS: Mapping[str, Callable[[str], str]] = {  # of writing a reply
    "as it is": str,
    "trimmed": str.strip,
    "as JSON": lambda text: json.dumps(text, ensure_ascii=False),
}


@dataclass(frozen=True)
class TurnText:
    """What stands around a reply in one role.

    before: from the end of the answer to where the reply begins, the end token first.  after: from the end of
    the reply to where the next answer begins.  manner: how the reply is written, one of `MANNERS`.
    """

    before: str
    after: str
    manner: str = "as it is"

    def write(self, reply: str) -> str:
        """What is between two answers where the world said this."""
        return self.before + MANNERS[self.manner](reply) + self.after


def read_turn(template: ChatTemplate, role: str) -> TurnText:
    """What the template writes around a reply in this role, the same in every conversation tried.

    Raises UserError for a template that can't have it, with the reason.
    """
    asked = [_message("user", ASKED)]
    longer = write_chat(template, [*asked, _message("assistant", SAID), _message(role, REPLIED)], role)
    _, found, tail = longer.rpartition(SAID)
    before, shown, after = tail.partition(REPLIED)
    if not found or not shown:
        left_out = "an answer" if not found else f"the reply in role {role!r}"
        raise UserError(f"The chat template leaves out {left_out} of a conversation. {REMEDY}")
    quoted = TurnText(before.removesuffix('"'), after.removeprefix('"'), "as JSON")
    reasons = []
    for tried in (TurnText(before, after), TurnText(before, after, "trimmed"), quoted):
        reasons.append(find_unstable(template, tried, role))
        if not reasons[-1]:
            return tried
    raise UserError(
        f"The chat template does not write a reply in role {role!r} the same way in every conversation: "
        f"{reasons[0]}. {REMEDY}"
    )


def find_unstable(template: ChatTemplate, turn: TurnText, role: str) -> str:
    """Where the template writes something else between two answers than `turn`; "" where nowhere."""
    replies = [*REPLIES, f"{turn.before}{REPLIED}{turn.after}"]
    for where, start in list_starts(template, role):
        for said in [*SAYINGS, f"{SAID}{turn.before}{SAID}"]:
            for reply in replies if said == SAID else replies[:1]:
                chat = [*start, _message("assistant", said), _message(role, reply)]
                if not write_chat(template, chat, role).endswith(turn.write(reply)):
                    told = "" if reply == REPLIED else f" and the world {shorten(repr(reply), 40)}"
                    return f"it differs {where} when the model said {shorten(repr(said), 40)}{told}"
    return ""


def list_starts(template: ChatTemplate, role: str) -> Iterator[tuple[str, list[Message]]]:
    """Beginnings of conversations, each with what a sentence calls it: those that the template takes."""
    asked = [_message("user", ASKED)]
    yield "after the first question", asked
    system = [_message("system", TOLD), *asked]
    try:
        takes_system = template.find_missing(system) is None
    except TEMPLATE_FAILURES:
        takes_system = False
    if takes_system:
        yield "after a system message", system
    later = [*asked, _message("assistant", TOLD), _message(role, TOLD)]
    yield "in the second turn", later
    yield "in the third turn", [*later, _message("assistant", f"<think>{TOLD}</think>"), _message(role, TOLD)]


def find_rewriting(template: ChatTemplate, turn: TurnText, role: str) -> str:
    """What the template does to the past when a conversation goes on ("trims earlier answers"); "" where the
    longer conversation always begins with the shorter one and what was generated."""
    for _, start in list_starts(template, role):
        shorter = write_chat(template, start, role)
        for said, deed in [*SAYINGS.items(), (f"{SAID}{turn.before}{SAID}", SAYINGS[SAID])]:
            longer = write_chat(
                template, [*start, _message("assistant", said), _message(role, REPLIED)], role
            )
            if longer == shorter + said + turn.write(REPLIED):
                continue
            lost = _cut_shared(shorter, longer)
            prompt = _cut_shared(shorter, write_chat(template, start, role, ends=True))
            if lost and prompt.endswith(lost):
                return f"begins earlier answers otherwise than with {prompt!r}"
            return deed
    return ""


def _cut_shared(text: str, other: str) -> str:
    """The text without the beginning that both share."""
    shared = zip(text, other, strict=False)
    return text[next((at for at, (a, b) in enumerate(shared) if a != b), min(len(text), len(other))) :]


def write_chat(template: ChatTemplate, chat: Sequence[Message], role: str, *, ends: bool = False) -> str:
    """The chat by the template, with a reply in this role. Raises UserError where the template refuses it."""
    try:
        return template.write(chat, ends=ends)
    except TEMPLATE_FAILURES as failure:
        said = shorten(str(failure) or type(failure).__name__)
        raise UserError(
            f"The chat template refuses a conversation with a reply in role {role!r}: {said}. {REMEDY}"
        ) from failure


def _message(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}
