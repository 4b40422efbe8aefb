"""The tests of paired differences, held to counting by hand, and to what they promise."""

import math
from itertools import product

import numpy as np
import pytest
from palaestra.trainer.evaluation import paired
from palaestra.trainer.evaluation.paired import correct_by_holm, find_reach, flip_signs

from ..support.mcnemar import mcnemar


def count_signs(differences: list[float]) -> float:
    """By every choice of signs."""
    seen = abs(sum(differences)) - 1e-12
    choices = list(product((1, -1), repeat=len(differences)))
    sums = [sum(s * d for s, d in zip(signs, differences, strict=True)) for signs in choices]
    return sum(abs(each) >= seen for each in sums) / len(choices)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (5, 0), (6, 0), (7, 2), (2, 7), (4, 4), (9, 3)])
def test_mcnemar_counts_every_choice_of_signs(wins, losses):
    differences = [1.0] * wins + [-1.0] * losses
    assert mcnemar(wins, losses) == pytest.approx(count_signs(differences))
    assert flip_signs([*differences, 0.0, 0.0]) == pytest.approx(mcnemar(wins, losses))


@pytest.mark.parametrize("wins", range(12))
def test_mcnemar_is_the_binomial_tail(wins):
    tail = sum(math.comb(11, k) for k in range(min(wins, 11 - wins) + 1)) / 2**11
    assert mcnemar(wins, 11 - wins) == pytest.approx(min(1.0, 2 * tail))


def test_flipped_signs_are_counted_out():
    rng = np.random.default_rng(0)
    for _ in range(20):
        differences = (rng.integers(-8, 9, size=9) / rng.choice([4, 8, 6], size=9)).tolist()
        assert flip_signs(differences) == pytest.approx(count_signs(differences))


def test_what_has_no_common_part_is_drawn(monkeypatch):
    differences = [0.1234567, -0.7654321, 0.3333331, 0.9182736, 0.5, 0.2718281, 0.31415926]
    assert flip_signs(differences) == pytest.approx(count_signs(differences), abs=0.005)
    monkeypatch.setattr(paired, "MOST_STATES", 1)
    assert flip_signs([1.0] * 9 + [-1.0] * 3) == pytest.approx(mcnemar(9, 3), abs=0.005)


def test_thousands_of_problems_with_many_samples_are_counted_out():
    rng = np.random.default_rng(1)
    rates = rng.random(1319)
    differences = (rng.binomial(16, rates) - rng.binomial(16, rates)) / 16
    drawn = paired._draw_signs([abs(d) for d in differences if d], abs(differences.sum()), 0)
    assert flip_signs(differences.tolist()) == pytest.approx(drawn, abs=0.01)


def test_holm_by_hand():
    assert correct_by_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert correct_by_holm([0.6, 0.9]) == [1.0, 1.0]
    assert correct_by_holm([0.2]) == [0.2]
    assert correct_by_holm([]) == []


def test_holm_bounds_the_chance_of_any_error():
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(400):
        draws = rng.binomial(100, 0.5, size=5)
        wrong += min(correct_by_holm([mcnemar(int(wins), 100 - int(wins)) for wins in draws])) < 0.05
    assert wrong / 400 < 0.07


@pytest.mark.parametrize(("problems", "discordant"), [(100, 0.3), (500, 0.1), (200, 0.0)])
def test_the_smallest_difference_is_shown_in_four_of_five_repeats(problems, discordant):
    half = int(problems * discordant / 2)
    seen = [1.0] * half + [-1.0] * half + [0.0] * (problems - 2 * half)
    smallest = find_reach(seen).smallest
    assert smallest is not None
    either = max(discordant, smallest)
    rng = np.random.default_rng(3)
    drawn = rng.multinomial(problems, [(either + smallest) / 2, (either - smallest) / 2, 1 - either], 3000)
    shown = np.mean([mcnemar(int(wins), int(losses)) < 0.05 for wins, losses, _ in drawn])
    assert 0.77 < shown < 0.83


def test_of_many_samples_the_smallest_difference_is_shown_too():
    rng = np.random.default_rng(4)
    rates = rng.beta(1, 1, size=300)
    seen = (rng.binomial(4, rates) - rng.binomial(4, rates)) / 4
    smallest = find_reach(seen.tolist()).smallest
    assert smallest is not None
    shown = []
    for _ in range(300):
        rates = rng.uniform(0, 1 - smallest, size=300)
        again = (rng.binomial(4, rates + smallest) - rng.binomial(4, rates)) / 4
        shown.append(flip_signs(again.tolist()) < 0.05)
    assert 0.7 < np.mean(shown) < 0.9


def test_how_many_problems_would_show_it():
    few = find_reach([1.0] * 8 + [-1.0] * 4 + [0.0] * 88)
    assert few.smallest is not None
    assert few.smallest > 0.04
    assert few.problems is not None
    assert 500 < few.problems < 700
    assert find_reach([0.0] * 50).problems is None


def test_nothing_can_be_shown_with_five_problems():
    assert find_reach([1.0] * 5).smallest is None
    assert find_reach([]).smallest is None
    assert find_reach([0.5, 0.25, 0.0]).smallest is None
