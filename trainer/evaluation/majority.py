"""maj@k: how often the most frequent of k answers is right. Exact over all choices of k of the samples.

Imports no torch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Votes:
    """The answers to one problem. right: samples whose answer is correct; they are one answer, however it is
    written.  wrong: of each wrong answer how many gave it.  silent: samples without an answer, which have no
    vote."""

    right: int
    wrong: Sequence[int] = field(default_factory=tuple)
    silent: int = 0

    @property
    def samples(self) -> int:
        return self.right + sum(self.wrong) + self.silent


def count_votes(right: Sequence[bool], answers: Sequence[str | None]) -> Votes:
    """The votes of samples. Wrong answers are the same where their texts are, case and spaces aside."""
    others = [answer for good, answer in zip(right, answers, strict=True) if not good]
    wrong = Counter("".join(answer.split()).casefold() for answer in others if answer is not None)
    return Votes(sum(right), tuple(wrong.values()), others.count(None))


def majority_at_k(votes: Votes, k: int) -> float:
    """The chance that the right answer wins among k of the samples, drawn without replacement.

    Answers with as many votes win alike: with t others it counts 1 / (t + 1). Where no sample has an answer,
    none wins. Raises ValueError unless 1 <= k <= samples.

    >>> majority_at_k(Votes(right=2, wrong=(1,)), 3), majority_at_k(Votes(right=1, wrong=(1,)), 2)
    (1.0, 0.5)
    """
    if not 1 <= k <= votes.samples:
        raise ValueError(f"maj@{k} of {votes.samples} samples needs 1 <= k <= samples.")
    most = min(k, votes.right)
    won = math.fsum(_count_wins(votes, k, count) for count in range(1, most + 1))
    return min(1.0, won / math.comb(votes.samples, k))


def _count_wins(votes: Votes, k: int, count: int) -> float:
    """Of the choices with `count` votes for the right answer, how many it wins, ties by their share.

    ways_TK: how many choices of the other samples have K of them and T wrong answers with `count` votes.
    """
    rest = k - count
    ties = min(rest // count, sum(size >= count for size in votes.wrong))
    ways_TK = np.zeros((ties + 1, rest + 1))
    ways_TK[0, 0] = 1.0
    ways_TK = _choose(ways_TK, votes.silent, votes.silent, None)
    for size, answers in Counter(votes.wrong).items():
        if size == 1:  # many answers are given once: all of them in one go
            ways_TK = _choose_singles(ways_TK, answers, count)
            continue
        for _ in range(answers):
            ways_TK = _choose(ways_TK, size, min(size, count - 1), count if size >= count else None)
    shares_T = 1 / np.arange(1, ties + 2)
    return math.comb(votes.right, count) * float(ways_TK[:, rest] @ shares_T)


def _choose(ways_TK: np.ndarray, size: int, most: int, tie: int | None) -> np.ndarray:
    """With up to `most` more of `size` samples chosen, or with `tie` of them, which is one tie more."""
    room = ways_TK.shape[1]
    chosen_TK = np.zeros_like(ways_TK)
    for votes in range(min(most, room - 1) + 1):
        chosen_TK[:, votes:] += math.comb(size, votes) * ways_TK[:, : room - votes]
    if tie is not None and tie < room:
        chosen_TK[1:, tie:] += math.comb(size, tie) * ways_TK[:-1, : room - tie]
    return chosen_TK


def _choose_singles(ways_TK: np.ndarray, answers: int, count: int) -> np.ndarray:
    """With any of the answers that one sample each gave. For a right answer with one vote each is a tie."""
    if count > 1:
        return _choose(ways_TK, answers, answers, None)
    room = ways_TK.shape[1]
    chosen_TK = np.zeros_like(ways_TK)
    for votes in range(min(answers, room - 1, len(ways_TK) - 1) + 1):
        ways = math.comb(answers, votes) * ways_TK[: len(ways_TK) - votes, : room - votes]
        chosen_TK[votes:, votes:] += ways
    return chosen_TK
