"""The language that a completion is written in, all the way through."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..criterion import Criterion
from ..extract import after_thinking
from ..languages import check_known, count_letters, find_language
from ..types import Completion, ProblemLike, Verdict, correct, no_answer, partial, wrong
from .length import Part

PIECE = 40  # words that are looked at together: fewer say too little of a language
# Frequent in English, and no keywords of code. A piece with one of them in so many words is of sentences:
# 91 % of those of hh-rlhf's dialogues, half a percent of those of HumanEval's and MBPP's programs.
PROSE = frozenset({"the", "of", "that", "was", "are", "be", "have", "you", "it"})
PROSE_EVERY = 20
_NO_WORDS = re.compile(r"\\[a-zA-Z]+|</?[a-z_]{1,30}>")  # commands of LaTeX, tags


@dataclass(frozen=True)
class _Piece:
    """spoken: its language, "" where nothing says it.  letters: in it.  own: those of the wanted script,
    where it is in the wanted language, else 0."""

    spoken: str
    letters: int
    own: int


def language(
    wanted: str,
    name: str = "language",
    weight: float = 0.1,
    *,
    least: float = 0.9,
    part: Part = "all",
    gate: bool = False,
) -> Criterion:
    """The completion is written in one language, from its first words to its last ones.

    The value is the share of its letters that are of that language (DeepSeek-AI 2025, R1, arXiv:2501.12948,
    section 2.3.2, counts words); from `least` on it is 1. The language of each forty words is told by their
    script and the most frequent ones; where nothing tells it (formulas, names) they count for neither side,
    and so does code in its block, whose keywords are English. English sentences in a block of code count.

    wanted: ISO 639-1 code, one of two dozen (`en`, `de`, `zh`, ...).  least: share, above 0, at most 1.
    part: `all` of the completion, or the `answer`, what follows the last think block.
    Raises ValueError for a language that is not known and a share that can't be.
    """
    check_known(wanted)
    if not 0 < least <= 1 or part not in ("all", "answer"):
        raise ValueError(
            f"least={least!r}, part={part!r}: a share is above 0 and at most 1, a part is all or answer."
        )

    def check(completion: Completion, _problem: ProblemLike) -> Verdict:
        text = completion.text if part == "all" else after_thinking(completion.text)
        if text is None:
            return no_answer("The think block never ends.")
        pieces = _cut(text, wanted)
        told = sum(piece.letters for piece in pieces)
        if not told:
            return no_answer("No words of a language that is known.")
        share = sum(piece.own for piece in pieces) / told
        if share >= least:
            return correct()
        reason = f"{share:.0%} of its letters are of {wanted}, {least:.0%} are asked for."
        return partial(share, reason=reason) if share else wrong(reason=reason)

    return Criterion(name, check, weight, gate, form=True)


def _cut(text: str, wanted: str) -> list[_Piece]:
    """The pieces whose language is told. Of a script without spaces a word is sixty characters at most."""
    pieces: list[_Piece] = []
    for number, block in enumerate(text.split("```")):
        words = re.findall(r"\S{1,60}", _NO_WORDS.sub(" ", block))
        for start in range(0, len(words), PIECE):
            said = " ".join(words[start : start + PIECE])
            piece = _read(said, wanted)
            if piece.spoken and not (number % 2 and piece.spoken == "en" and _is_code(said)):
                pieces.append(piece)
    return pieces


def _is_code(text: str) -> bool:
    words = re.findall(r"\w+", text.lower())
    return sum(word in PROSE for word in words) * PROSE_EVERY < len(words)


def _read(text: str, wanted: str) -> _Piece:
    spoken = find_language(text)
    own = count_letters(text, wanted) if spoken == wanted else 0
    return _Piece(spoken, count_letters(text), own)
