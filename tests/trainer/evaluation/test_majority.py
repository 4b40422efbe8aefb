"""maj@k against all choices of k samples, and against closed forms."""

import itertools
import math
import random
from collections import Counter

import pytest
from cpu_time import cpu_seconds
from palaestra.trainer.evaluation.majority import Votes, count_votes, majority_at_k


def enumerate_majority(votes: Votes, k: int) -> float:
    """By going through all choices."""
    labels = ["right"] * votes.right + [None] * votes.silent
    labels += [name for name, size in enumerate(votes.wrong) for _ in range(size)]
    won, choices = 0.0, 0
    for choice in itertools.combinations(labels, k):
        choices += 1
        tally = Counter(label for label in choice if label is not None)
        if tally and tally["right"] == max(tally.values()):
            won += 1 / sum(count == tally["right"] for count in tally.values())
    return won / choices


def test_it_is_the_share_of_choices_that_the_right_answer_wins():
    rng = random.Random(0)
    cases = [Votes(0, (2,)), Votes(3), Votes(0, (), 3), Votes(1, (1, 1, 1), 1), Votes(2, (2, 2, 2))]
    for _ in range(60):
        wrong = tuple(rng.choice((1, 1, 1, 2, 3)) for _ in range(rng.randrange(5)))
        cases.append(Votes(rng.randrange(5), wrong, rng.randrange(3)))
    checked = 0
    for votes in cases:
        for k in range(1, votes.samples + 1):
            assert majority_at_k(votes, k) == pytest.approx(enumerate_majority(votes, k), abs=1e-12)
            checked += 1
    assert checked > 300


def test_two_answers_are_a_hypergeometric_tail():
    right, wrong, k = 40, 24, 15
    tail = sum(math.comb(right, a) * math.comb(wrong, k - a) for a in range(8, 16)) / math.comb(64, k)
    assert majority_at_k(Votes(right, (wrong,)), k) == pytest.approx(tail, rel=1e-12)


def test_one_vote_is_the_pass_rate_and_all_votes_are_the_plain_majority():
    votes = Votes(5, (4, 2, 1, 1), 3)
    assert majority_at_k(votes, 1) == pytest.approx(5 / 16)
    assert majority_at_k(votes, 16) == 1
    assert majority_at_k(Votes(4, (4, 2)), 10) == pytest.approx(0.5)
    assert majority_at_k(Votes(3, (4,)), 7) == 0


def test_many_samples_are_counted_in_milliseconds():
    votes = Votes(40, (20, 10, *[1] * 50), 8)
    assert 0.9 < majority_at_k(votes, 64) < 1
    assert cpu_seconds(lambda: majority_at_k(votes, 64), 1) < 1


def test_votes_are_counted_by_the_text_of_wrong_answers():
    right = [True, False, False, False, False, True]
    assert count_votes(right, ["4", "5", " 5", None, "x Y", "4.0"]) == Votes(2, (2, 1), 1)


@pytest.mark.parametrize("k", [0, 4])
def test_more_votes_than_samples_are_refused(k: int):
    with pytest.raises(ValueError, match="needs 1 <= k <= samples"):
        majority_at_k(Votes(2, (1,)), k)
