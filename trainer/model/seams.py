"""The tokens between two turns of an episode. What proves them is in `turns`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from transformers import PreTrainedTokenizerBase

from ...tasks.core.errors import UserError
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
    transcript with named turns; empty with a chat template.  controls: texts that the tokenizer reads as
    control tokens.  variant: the append-only variant of the template, in Jinja; "" where the template itself
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
    controls: tuple[str, ...]
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
        said = MANNERS[text.manner](_mend(reply))
        wanted = self._list_controls(self._encode_apart([text.before, text.after]))
        for cut in (self._cut_controls, list):
            pieces = cut(said) or [""]
            pieces[0] = text.before + pieces[0]
            pieces[-1] += text.after
            ids = self._encode_apart(pieces)
            if self._list_controls(ids) == wanted:
                return ids
        return None

    def _encode(self, text: TurnText, reply: str) -> list[int]:
        ids = self.encode_safely(text, reply)
        if ids is not None:
            return ids
        begun, said, rest = (self._encode_apart([part]) for part in (text.before, _mend(reply), text.after))
        return [*begun, *(token for token in said if token not in self._control_ids), *rest]

    def _find_seam(self, role: str, prompt: Sequence[int]) -> Seam:
        roles = self.named if self.named and self._is_transcript(prompt) else self.roles
        if role not in roles:
            raise UserError(
                f"A reply is in role {' or '.join(roles)}, not {role!r}. Mend the episode's `role`."
            )
        return roles[role]

    def _is_transcript(self, prompt: Sequence[int]) -> bool:
        return decode(self.tokenizer, prompt[-_LAST:]).endswith(f"\n\n{NAMES['assistant']}:")

    def _encode_apart(self, pieces: Sequence[str]) -> list[int]:
        """Ids of the pieces, none of which joins with its neighbour. Each but the first is read behind a
        control token, so that a tokenizer that begins every text with a blank puts none into the middle."""
        first, *rest = pieces
        ids = list(self.tokenizer(first, add_special_tokens=False).input_ids)
        for piece in rest:
            behind = self.tokenizer(self.controls[0] + piece, add_special_tokens=False).input_ids
            ids += behind[1:]
        return ids

    def _cut_controls(self, text: str) -> list[str]:
        """The text in pieces, so that none holds a whole control token."""
        cuts = [match.start() + 1 for match in self._control_starts.finditer(text)]
        return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    @cached_property
    def _control_starts(self) -> re.Pattern[str]:
        return re.compile(f"(?={'|'.join(map(re.escape, self.controls))})")

    @cached_property
    def _control_ids(self) -> frozenset[int]:
        """Of the control tokens, but for the one of what the tokenizer can't write."""
        vocabulary = self.tokenizer.get_added_vocab()
        return frozenset({vocabulary[control] for control in self.controls} - {self.tokenizer.unk_token_id})

    def _list_controls(self, ids: Sequence[int]) -> list[int]:
        return [token for token in ids if token in self._control_ids]


def _mend(text: str) -> str:
    """A text without lone surrogates, which no tokenizer takes."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
