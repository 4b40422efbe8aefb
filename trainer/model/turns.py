"""Proves the tokens between two turns of an episode: bytes never go back to tokens.

What the policy drew stays as it drew it. To its ids come foreign ones: the rest of the end of its turn, the
world's reply in its role, and what begins the next answer. They are computed from the chat template once, by
differences of dummy conversations (`turn_texts`), and proven when a model is loaded:

1. the template writes the same between two answers whatever was said before, and whatever the reply;
2. an end token of the model comes first, so that its turn ends where the template ends it;
3. ids of a prompt, then these, are the ids of the whole text: nothing joins at the boundary;
4. a reply that spells the template's own marks makes no control token.

A template that rewrites the past (takes `<think>` out, trims) is served by its append-only variant, which is
proven to begin a conversation as the template does. What can't be proven is refused with a sentence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ...tasks.core.errors import UserError
from .append_only import write_append_only
from .controls import Controls
from .conversations import NAMES
from .prompts import PromptFormat
from .seams import Seam, Seams
from .templates import ChatTemplate, choose_template
from .turn_texts import (
    REMEDY,
    REPLIES,
    SAID,
    TurnText,
    find_rewriting,
    find_unstable,
    list_starts,
    read_turn,
    write_chat,
)

TOOL_MARKS = ("<tool_response>\n", "\n</tool_response>")  # of a tool's answer that the user has to give
TOOL = {  # to see how a template goes on once it was told of tools
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look up.",
        "parameters": {
            "type": "object",
            "properties": {"what": {"type": "string", "description": "What."}},
            "required": ["what"],
        },
    },
}


def prove_seams(prompts: PromptFormat) -> Seams:
    """The tokens between two turns for these prompts, proven. Takes some 50 ms.

    Raises UserError for a template or a tokenizer that can't carry an episode: why, and what to do.

    >>> import palaestra as pal
    >>> prompts = pal.PromptFormat.of(pal.load_policy("embedded").tokenizer)
    >>> prompts.decode(pal.prove_seams(prompts).follow("Too low.", "user", ended=True))
    '\\nToo low.\\n'
    """
    if prompts.template is None:
        return _prove_plain(prompts)
    templates = [prompts.template, *tell_tools(prompts.template)]
    own = {"user": _read_own(templates, "user")}
    try:
        own["tool"] = _read_own(templates, "tool")
    except UserError:  # a tool's answer is the user's then, between marks
        texts = {**own, "tool": _mark_tool(own["user"])}
    else:
        texts = own
    _check_last_end(prompts, prompts.template.find_turn_end(), own["user"])
    roles = {role: _end_turn(prompts, text) for role, text in texts.items()}
    seams = Seams(prompts.tokenizer, roles, {}, Controls.of(prompts.tokenizer, prompts.template.text))
    begins = [
        write_chat(prompts.template, start, "user") for _, start in list_starts(prompts.template, "user")
    ]
    _prove_tokens(seams, roles.values(), begins)
    return replace(seams, variant=_prove_variant(prompts, templates, own, texts))


def _read_own(templates: Sequence[ChatTemplate], role: str) -> TurnText:
    """What the template itself writes around a reply, told of tools or not. Raises UserError."""
    text = read_turn(templates[0], role)
    for told in templates[1:]:
        if reason := find_unstable(told, text, role):
            raise UserError(
                f"The chat template goes on otherwise once it was told of tools: {reason}. {REMEDY}"
            )
    return text


def tell_tools(template: ChatTemplate) -> list[ChatTemplate]:
    """The template where it is told of a tool; none for one that knows no tools."""
    told = template.tell([TOOL])
    return [] if told is template else [told]


def _mark_tool(user: TurnText) -> TurnText:
    """A tool's answer as the user's message. It is never trimmed: the marks are around it."""
    return TurnText(user.before + TOOL_MARKS[0], TOOL_MARKS[1] + user.after)


def _end_turn(prompts: PromptFormat, text: TurnText) -> Seam:
    """The turn with its end token: of the model, behind nothing but control tokens. Raises UserError."""
    ids = prompts.tokenizer(text.before, add_special_tokens=False).input_ids
    added = prompts.tokenizer.added_tokens_decoder
    for place, token in enumerate(ids):
        if token in prompts.end_ids:
            return Seam(text, token, place + 1)
        if token not in added:
            break
    ends = ", ".join(repr(prompts.decode([token])) for token in prompts.end_ids)
    raise UserError(
        f"The chat template goes on after an answer with {text.before!r}, which begins with no end token of "
        f"the model ({ends}): its turn would not end there. Add the token to eos_token_id in the model's "
        f"generation_config.json if it ends a turn. {REMEDY}"
    )


def _check_last_end(prompts: PromptFormat, last: str, text: TurnText) -> None:
    """Raise UserError where an answer ends otherwise when it is the last: what the model draws there would
    not be what the template has there later. last: what it writes after the last answer, "" for nothing."""
    ends, earlier = (
        prompts.tokenizer(end, add_special_tokens=False).input_ids for end in (last, text.before)
    )
    if ends[:1] and ends[:1] != earlier[:1]:
        raise UserError(
            f"The chat template ends the last answer with {prompts.decode(ends[:1])!r} and earlier ones with "
            f"{prompts.decode(earlier[:1])!r}: a model draws the one where the other has to stand. {REMEDY}"
        )


def _prove_tokens(seams: Seams, roles: Collection[Seam], begins: Sequence[str]) -> None:
    """Raise UserError where tokens join at a boundary, or a reply makes control tokens."""

    def encode(text: str) -> list[int]:
        return list(seams.tokenizer(text, add_special_tokens=False).input_ids)

    for seam in roles:
        for begin in begins:
            for reply in REPLIES:
                ids = seams.encode_safely(seam.text, reply)
                joined = [*encode(begin + SAID), *(ids or [])]
                if joined != encode(begin + SAID + seam.text.write(reply)) and not any(
                    control in reply for control in seams.controls.texts
                ):
                    raise UserError(
                        f"The tokenizer reads {seam.text.write(reply)!r} otherwise where it stands behind an "
                        "answer than alone: turns can't be put together from tokens. Take another tokenizer, "
                        "or a task of a single turn."
                    )
        if (
            seams.encode_safely(seam.text, "".join(seams.controls.texts) + " ".join(seams.controls.texts))
            is None
        ):
            raise UserError(
                "The tokenizer makes control tokens of a reply that only spells them: a world's text could "
                "end its own turn. Take another tokenizer, or a task of a single turn."
            )


def _prove_variant(
    prompts: PromptFormat,
    templates: Sequence[ChatTemplate],
    own: Mapping[str, TurnText],
    texts: Mapping[str, TurnText],
) -> str:
    """The append-only variant of a template that rewrites the past, which is said once; "" for any other.

    own: what the template itself writes, by role.  texts: what episodes have.  Raises UserError for a variant
    that begins otherwise than the template or rewrites the past itself.
    """
    deeds = [find_rewriting(template, text, role) for template in templates for role, text in own.items()]
    deed = next(filter(None, deeds), "")
    if not deed:
        return ""
    end = templates[0].find_turn_end()
    for template in templates:
        variant = replace(template, text=write_append_only(template.text, texts, end), missing={}, told={})
        for where, start in list_starts(template, "user"):
            if all(message["role"] != "assistant" for message in start) and write_chat(
                variant, start, "user"
            ) != write_chat(template, start, "user"):
                raise UserError(
                    f"The chat template {deed}, and has no append-only variant ({where}). {REMEDY}"
                )
        for role, text in texts.items():
            if left := find_rewriting(variant, text, role):
                raise UserError(f"The chat template {deed}, and its append-only variant {left}. {REMEDY}")
    prompts.say_once(
        "turns",
        f"The chat template {deed}. In an episode it does not: what the model said stays as it was said (the "
        "template's append-only variant).",
    )
    return write_append_only(choose_template(prompts.tokenizer, templates[0].variables), texts, end)


def _prove_plain(prompts: PromptFormat) -> Seams:
    """For a tokenizer without a chat template: the end token, then the reply on lines of its own, or named as
    the turns of a transcript are."""
    tokenizer = prompts.tokenizer
    end = str(tokenizer.eos_token)
    roles = {role: _end_turn(prompts, TurnText(f"{end}\n", "\n")) for role in ("user", "tool")}
    answer = f"\n\n{NAMES['assistant']}:"
    named = {
        role: _end_turn(prompts, TurnText(f"{end}\n\n{NAMES.get(role, role)}: ", answer)) for role in roles
    }
    seams = Seams(tokenizer, roles, named, Controls.of(tokenizer))
    _prove_tokens(seams, [*roles.values(), *named.values()], [f"{SAID}\n"])
    return seams
