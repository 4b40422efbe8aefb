"""How much of a completion has been said before."""

from __future__ import annotations

import re

from ..criterion import Criterion
from ..types import Completion, ProblemLike, Verdict, correct, no_answer, partial, wrong

LONGEST = 20  # characters of a word; what is longer counts by its characters
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"  # Thai to Khmer, kana, Han
_LETTER = rf"[^\W{_UNSPACED}]"
_WORD = re.compile(rf"[{_UNSPACED}]|(?<!{_LETTER}){_LETTER}{{1,{LONGEST}}}(?!{_LETTER})|\w|[^\w\s]")


def repetition(
    most: float = 0.2,
    name: str = "repetition",
    weight: float = 0.1,
    *,
    words: int = 4,
    ramp: float = 0.0,
    gate: bool = False,
) -> Criterion:
    """At most this share of the completion's n-grams was there before.

    A completion that says a thing once has a share near 0, one caught in a loop a share near 1. (As the
    penalty of Yeo et al. 2025, arXiv:2502.03373, appendix C.2.)

    most: share that is allowed, from 0 to below 1.  words: of an n-gram, 2 or more; signs count as words, and
        so does each letter of a word of more than twenty, or of a script without spaces.
    ramp: shares beyond `most` over which the value falls from 1 to 0 in a straight line; 0 falls at once.
    Raises ValueError for numbers that can't be.
    """
    if not 0 <= most < 1 or words < 2 or ramp < 0:
        raise ValueError(
            f"repetition(most={most!r}, words={words!r}, ramp={ramp!r}): a share is from 0 to below 1, an "
            "n-gram has 2 words or more, a ramp is 0 or more."
        )

    def check(completion: Completion, _problem: ProblemLike) -> Verdict:
        said = [found.group().casefold() for found in _WORD.finditer(completion.text)]
        if not said:
            return no_answer("Nothing is said.")
        grams = [tuple(said[start : start + words]) for start in range(len(said) - words + 1)]
        share = 1 - len({*grams}) / len(grams) if grams else 0.0
        beyond = share - most
        if beyond <= 0:
            return correct()
        reason = f"{share:.0%} of its runs of {words} words were there before."
        return partial(1 - beyond / ramp, reason=reason) if beyond < ramp else wrong(reason=reason)

    return Criterion(name, check, weight, gate, form=True)
