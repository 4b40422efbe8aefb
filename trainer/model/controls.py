"""Texts that a tokenizer reads as control tokens, and how a text that spells one is read as letters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class Controls:
    """tokenizer: of the model.  texts: what it reads as control tokens, the longest first."""

    tokenizer: PreTrainedTokenizerBase
    texts: tuple[str, ...]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, template: str = "") -> Controls:
        """Special tokens, and those added to the tokenizer's words that the template writes
        (`<tool_call>`)."""
        added = tokenizer.added_tokens_decoder.values()
        texts = {token.content for token in added if token.special or token.content in template}
        found = (text for text in texts if len(text) > 1)
        return cls(tokenizer, tuple(sorted(found, key=lambda text: (-len(text), text))))

    def encode_apart(self, pieces: Sequence[str]) -> list[int]:
        """Ids of the pieces, none of which joins with its neighbour. Each but the first is read behind a
        control token, so that a tokenizer that begins every text with a blank puts none into the middle."""
        first, *rest = pieces
        ids = list(self.tokenizer(first, add_special_tokens=False).input_ids)
        for piece in rest:
            behind = self.tokenizer(self.texts[0] + piece, add_special_tokens=False).input_ids
            ids += behind[1:]
        return ids

    def cut(self, text: str) -> list[str]:
        """The text in pieces, so that none holds a whole control token."""
        if not self.texts:
            return [text]
        cuts = [match.start() + 1 for match in self._starts.finditer(text)]
        return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    def select(self, ids: Sequence[int]) -> list[int]:
        """Those of the ids that are control tokens."""
        return [token for token in ids if token in self.ids]

    @cached_property
    def ids(self) -> frozenset[int]:
        """Of the control tokens, but for the one of what the tokenizer can't write."""
        vocabulary = self.tokenizer.get_added_vocab()
        return frozenset({vocabulary[text] for text in self.texts} - {self.tokenizer.unk_token_id})

    @cached_property
    def _starts(self) -> re.Pattern[str]:
        return re.compile(f"(?={'|'.join(map(re.escape, self.texts))})")


def mend(text: str) -> str:
    """A text without lone surrogates, which no tokenizer takes."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
