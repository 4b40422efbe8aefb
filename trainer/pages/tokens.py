"""Where the tokens of a completion lie in its text, by the tokenizer that a run keeps beside its model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any


class TokenPlaces:
    """Of one run. folder: the run's; without a tokenizer in it no places are found."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = _load(folder)
        self._pieces: dict[int, str] = {}

    def find(self, ids: Sequence[int], text: str) -> list[int] | None:
        """Length of each token in the text, in UTF-16 units as a browser counts them; 0 for one without a
        text of its own (an end token, a part of a character). None where they don't make up the text."""
        if self._tokenizer is None or not ids:
            return None
        pieces = [self._piece(token) for token in ids]
        joined = "".join(pieces)
        if joined != text and not text.startswith(joined):
            stream = self._stream(ids)
            pieces, joined = stream, "".join(stream)
        if not (text.startswith(joined) or joined.startswith(text)):
            return None
        lengths, left = [], len(text.encode("utf-16-le", "surrogatepass")) // 2
        for piece in pieces:
            length = min(left, len(piece.encode("utf-16-le", "surrogatepass")) // 2)
            lengths.append(length)
            left -= length
        return lengths

    def _piece(self, token: int) -> str:
        if token not in self._pieces:
            self._pieces[token] = self._tokenizer.decode([token], skip_special_tokens=True)
        return self._pieces[token]

    def _stream(self, ids: Sequence[int]) -> list[str]:
        """Token by token, each with the text that it completes: of tokens that are parts of characters, or
        that read otherwise at a text's beginning."""
        from tokenizers.decoders import DecodeStream

        stream = DecodeStream(skip_special_tokens=True)
        return [stream.step(self._tokenizer, token) or "" for token in ids]


@cache
def _read(path: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))


def _load(folder: Path) -> Any:
    checkpoints = sorted((folder / "checkpoints").glob("step-*"), reverse=True)
    for place in (folder / "model", *checkpoints, folder / "reference"):
        path = place / "tokenizer.json"
        if path.is_file():
            return _read(path)
    return None
