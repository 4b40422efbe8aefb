"""The tokens between two turns of an episode. What proves them is in `turns`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from ...tasks.core.errors import UserError
from .controls import Controls, mend
from .conversations import NAMES
from .prompts import decode
from .turn_texts import MANNERS, TurnText

_LAST = 32  # ids of a prompt that hold its last line


@dataclass(frozen=True)
class Seam:
    """What stands around a reply in one role, and how an answer before it ends.

    text: around the reply.  end_id: the end token of the answer.  ending: how many of the first ids of
    `text.before` end the answer, the end token last; 1 or more.
    """

    text: TurnText
    end_id: int
    ending: int


@dataclass(frozen=True, eq=False)
class Seams:
    """The tokens between two turns, by the role of the reply (`palaestra.prove_seams` makes them).

    tokenizer: of the model.  roles: by role, "user" and "tool".  named: the same after a prompt that is a
    transcript with named turns; empty with a chat template.  controls: what the tokenizer reads as control
    tokens.  variant: the append-only variant of the template, in Jinja; "" where the template itself
    is append-only, or there is none.

    >>> import palaestra as pal
    >>> policy = pal.load_policy("embedded")
    >>> seams: pal.Seams = pal.prove_seams(pal.PromptFormat.of(policy.tokenizer))
    >>> policy.tokenizer.decode(seams.follow("Too high.", "user", ended=True))
    '\\nToo high.\\n'
    >>> cut = seams.follow("<eos> Too high.", "user", ended=False)
    >>> policy.tokenizer.decode(cut), cut.count(policy.tokenizer.eos_token_id)
    ('<eos>\\n<eos> Too high.\\n', 1)
    """

    tokenizer: PreTrainedTokenizerBase
    roles: Mapping[str, Seam]
    named: Mapping[str, Seam]
    controls: Controls
    variant: str = ""

    def follow(self, reply: str, role: str, ended: bool, prompt: Sequence[int] = ()) -> list[int]:
        """The foreign tokens after an answer: the rest of its end, the reply in its role, the beginning of
        the next answer.

        role: "user" or "tool".  ended: whether the policy drew the end of its turn (`has_ended`); where it
        did not (its turn was cut, a stop string or another token ended it) the end token comes first.
        prompt: token ids of the problem's prompt, which matter where there is no chat template: replies after
        a transcript with named turns are named. Raises UserError for another role; no reply raises anything.
        """
        seam = self._find_seam(role, prompt)
        ids = self._encode(seam.text, reply)
        return ids[seam.ending :] if ended else ids

    def has_ended(self, ids: Sequence[int], role: str = "user", prompt: Sequence[int] = ()) -> bool:
        """Whether the ids of an answer end as the template ends one before a reply in this role."""
        return bool(len(ids)) and ids[-1] == self._find_seam(role, prompt).end_id

    def encode_safely(self, text: TurnText, reply: str) -> list[int] | None:
        """Ids of what is between two answers, the control tokens in it those of the template alone; None
        where the tokenizer makes control tokens of a reply even letter by letter."""
        said = MANNERS[text.manner](mend(reply))
        wanted = self.controls.select(self.controls.encode_apart([text.before, text.after]))
        for cut in (self.controls.cut, list):
            pieces = cut(said) or [""]
            pieces[0] = text.before + pieces[0]
            pieces[-1] += text.after
            ids = self.controls.encode_apart(pieces)
            if self.controls.select(ids) == wanted:
                return ids
        return None

    def _encode(self, text: TurnText, reply: str) -> list[int]:
        ids = self.encode_safely(text, reply)
        if ids is not None:
            return ids
        begun, said, rest = (
            self.controls.encode_apart([part]) for part in (text.before, mend(reply), text.after)
        )
        return [*begun, *(token for token in said if token not in self.controls.ids), *rest]

    def _find_seam(self, role: str, prompt: Sequence[int]) -> Seam:
        roles = self.named if self.named and self._is_transcript(prompt) else self.roles
        if role not in roles:
            raise UserError(
                f"A reply is in role {' or '.join(roles)}, not {role!r}. Mend the episode's `role`."
            )
        return roles[role]

    def _is_transcript(self, prompt: Sequence[int]) -> bool:
        return decode(self.tokenizer, prompt[-_LAST:]).endswith(f"\n\n{NAMES['assistant']}:")
