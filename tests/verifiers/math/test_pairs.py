"""The labelled pairs: every one is decided as its rule says, in both directions."""

import pytest
from labelled_pairs import Pair, load
from palaestra.verifiers import Status, math_equal

PAIRS = load()
KINDS = sorted({pair.kind for pair in PAIRS})


def of(kind: str) -> list[Pair]:
    return [pair for pair in PAIRS if pair.kind == kind]


def test_the_set_is_large_balanced_and_free_of_contradictions():
    assert len(PAIRS) >= 400
    assert sum(not pair.equal for pair in PAIRS) / len(PAIRS) >= 0.45
    labels = {}
    for pair in PAIRS:
        assert labels.setdefault((pair.reference, pair.answer), pair.equal) is pair.equal, pair.id


@pytest.mark.parametrize("kind", KINDS)
def test_every_pair_is_decided_as_labelled(kind):
    wrong = [
        pair.id for pair in of(kind) if math_equal(pair.reference, pair.answer).correct is not pair.equal
    ]
    assert wrong == []


@pytest.mark.parametrize("kind", KINDS)
def test_equality_is_symmetric(kind):
    one_way = [
        pair.id
        for pair in of(kind)
        if math_equal(pair.reference, pair.answer).correct != math_equal(pair.answer, pair.reference).correct
    ]
    assert one_way == []


@pytest.mark.parametrize("kind", KINDS)
def test_everything_with_a_value_equals_itself(kind):
    texts = {pair.reference for pair in of(kind)} - {r"\frac{1}{0}"}
    assert [text for text in texts if not math_equal(text, text + " ").correct] == []


def test_what_has_no_value_equals_nothing():
    assert math_equal(r"\frac{1}{0}", r"\frac{1}{0} ").status is Status.WRONG
