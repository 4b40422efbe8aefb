"""Pass-rates: the estimator against enumeration, the intervals against tables and against simulation."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from palaestra.trainer import intervals
from palaestra.trainer.intervals import (
    bootstrap,
    paired_difference,
    pass_at_k,
    pass_at_k_of_problem,
    tango,
    wilson,
)


@pytest.mark.parametrize(("correct", "samples", "k"), [(0, 4, 2), (1, 4, 2), (3, 5, 2), (4, 4, 3), (2, 6, 6)])
def test_pass_at_k_is_the_share_of_subsets_with_a_pass(correct, samples, k):
    outcomes = [1] * correct + [0] * (samples - correct)
    subsets = list(itertools.combinations(outcomes, k))
    assert pass_at_k_of_problem(correct, samples, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_averages_problems_of_unequal_size_and_leaves_out_the_too_small():
    estimate = pass_at_k([1, 2, 0, 1], [4, 4, 2, 1], k=2)
    assert estimate.value == pytest.approx((0.5 + 5 / 6 + 0) / 3)
    assert (estimate.problems, estimate.excluded) == (3, 1)
    assert 0 <= estimate.low < estimate.value < estimate.high <= 1


def test_wilson_agrees_with_published_values():
    # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3: 81/263, 15/148, 0/20, 1/29.
    for passed, total, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
    ]:
        assert wilson(passed, total) == pytest.approx((low, high), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_nothing_and_everything_correct_still_have_a_width():
    none, every = pass_at_k([0] * 1319, 1), pass_at_k([1] * 1319, 1)
    assert (none.value, none.low) == (0, 0)
    assert 0.002 < none.high < 0.004
    assert (every.value, every.high) == (1, 1)
    assert 0.996 < every.low < 0.998
    for k in (1, 4):
        none, every = pass_at_k([0] * 1319, 8, k), pass_at_k([8] * 1319, 8, k)
        assert (none.value, none.low, every.value, every.high) == (0, 0, 1, 1)
        assert 0.002 < none.high < 0.004
        assert 0.996 < every.low < 0.998


def test_bootstrap_of_binary_values_is_clopper_pearson():
    # 1 - 0.025 ** (1 / n) is the exact upper end at 0 of n; for 2 of 10 the table says 0.0252 .. 0.5561.
    low, high = bootstrap([0.0] * 30, 0, 1)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 30), rel=0.03)
    assert bootstrap([1, 1] + [0] * 8, 0, 1) == pytest.approx((0.0252, 0.5561), rel=0.04)


def test_all_problems_abstained_means_nothing_is_known():
    estimate = pass_at_k([0, 0], [0, 0])
    assert math.isnan(estimate.value)
    assert (estimate.low, estimate.high, estimate.problems, estimate.excluded) == (0, 1, 0, 2)


def test_estimates_repeat_and_do_not_depend_on_the_order_of_problems():
    correct, samples = [3, 0, 4, 1, 2, 4], [4, 4, 4, 3, 4, 4]
    first = pass_at_k(correct, samples, 2)
    assert first == pass_at_k(correct, samples, 2)
    again = pass_at_k(correct[::-1], samples[::-1], 2)
    assert (first.value, first.low, first.high) == pytest.approx((again.value, again.low, again.high))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: pass_at_k([1], 4, 0), "k=0"),
        (lambda: pass_at_k([5], 4), "Problem 0 has 5 passes in 4"),
        (lambda: pass_at_k([1, 1], [4]), "2 problems"),
        (lambda: wilson(3, 2), "3 passed of 2"),
        (lambda: paired_difference([1.0], [1.0, 0.0]), "same problems twice"),
        (lambda: bootstrap([0.2, float("nan")], 0, 1), "must lie in"),
    ],
)
def test_impossible_counts_are_refused_with_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def measure_coverage(simulate, repeats=400):
    """Share of seeded repeats whose interval holds the truth; `simulate(rng)` gives (truth, low, high)."""
    rng = np.random.default_rng(7)
    results = [simulate(rng) for _ in range(repeats)]
    return np.mean([low <= truth <= high for truth, low, high in results])


@pytest.mark.parametrize("rate", [0.003, 0.05, 0.5, 0.97])
def test_wilson_covers(rate):
    def simulate(rng):
        estimate = pass_at_k(rng.binomial(1, rate, size=200).tolist(), 1)
        return rate, estimate.low, estimate.high

    assert measure_coverage(simulate, 2000) > 0.93


@pytest.mark.parametrize("shape", [(0.02, 1.0), (0.3, 0.7), (0.2, 0.2), (8.0, 0.2)])
@pytest.mark.parametrize("problems", [20, 100])
@pytest.mark.parametrize("k", [1, 4])
def test_clustered_interval_covers_from_rare_to_almost_always(shape, problems, k, monkeypatch):
    """Each problem has its own pass-rate, Beta(shape); 8 samples of it are correlated."""
    monkeypatch.setattr(
        intervals, "DRAWS", 2_000
    )  # ten times as fast, and it moves an end by a few % of the width only
    a, b = shape
    # E[1 - (1 - p)^k] for p ~ Beta(a, b): 1 - prod_{i<k} (b + i) / (a + b + i).
    truth = 1 - math.prod((b + i) / (a + b + i) for i in range(k))

    def simulate(rng):
        estimate = pass_at_k(rng.binomial(8, rng.beta(a, b, size=problems)).tolist(), 8, k)
        return truth, estimate.low, estimate.high

    assert measure_coverage(simulate, 400) > 0.925


def test_treating_samples_as_independent_would_not_cover():
    """The reason for the clustered interval: Wilson over all n * P samples misses far too often."""

    def simulate(rng):
        correct = rng.binomial(8, rng.beta(0.2, 0.2, size=100)).sum()
        return 0.5, *wilson(int(correct), 800)

    assert measure_coverage(simulate) < 0.75


def test_paired_difference_sees_what_two_separate_intervals_cannot():
    rng = np.random.default_rng(0)
    first = (rng.random(300) < 0.5).astype(float)
    second = np.where(rng.random(300) < 0.1, 1.0, first)  # a tenth of the problems newly solved
    difference = paired_difference(first.tolist(), second.tolist())
    before, after = pass_at_k(first.astype(int).tolist(), 1), pass_at_k(second.astype(int).tolist(), 1)
    assert difference.low > 0
    assert after.low < before.high
    assert difference.losses == 0
    assert difference.wins == pytest.approx(300 * difference.value)


def test_two_equal_runs_differ_by_nothing_with_a_width():
    difference = paired_difference([1.0, 0.0] * 50, [1.0, 0.0] * 50)
    assert (difference.value, difference.wins, difference.losses) == (0, 0, 0)
    assert -0.06 < difference.low < -0.02
    assert 0.02 < difference.high < 0.06


def score_by_search(wins: int, losses: int, problems: int, difference: float) -> float:
    """Tango's score, with the most likely share of losses under a difference found on a grid."""
    least = max(0.0, -difference)
    lost = np.linspace(least + 1e-9, (1 - difference) / 2 - 1e-9, 200_001)
    even = problems - wins - losses
    with np.errstate(divide="ignore"):
        terms = wins * np.log(lost + difference) if wins else 0.0
        terms = terms + (losses * np.log(lost) if losses else 0.0)
        terms = terms + (even * np.log(1 - 2 * lost - difference) if even else 0.0)
    best = lost[np.argmax(terms)]
    variance = (2 * best + difference - difference**2) / problems
    return ((wins - losses) / problems - difference) / math.sqrt(variance)


@pytest.mark.parametrize(
    ("wins", "losses", "problems"), [(10, 2, 40), (2, 10, 40), (3, 0, 50), (0, 7, 30), (30, 25, 200)]
)
def test_tangos_ends_are_the_differences_that_a_score_test_just_rejects(wins, losses, problems):
    low, high = tango(wins, losses, problems)
    assert low < (wins - losses) / problems < high
    assert score_by_search(wins, losses, problems, low) == pytest.approx(1.96, abs=2e-3)
    assert score_by_search(wins, losses, problems, high) == pytest.approx(-1.96, abs=2e-3)
    back = tango(losses, wins, problems)
    assert back == pytest.approx((-high, -low))


def test_tango_at_the_ends_of_the_scale():
    assert tango(0, 0, 0) == (-1.0, 1.0)
    low, high = tango(0, 0, 100)  # as Wilson's of 0 of 100, on either side
    assert (low, high) == pytest.approx((-wilson(0, 100)[1], wilson(0, 100)[1]))
    assert tango(20, 0, 20)[1] == 1.0
    assert tango(0, 20, 20)[0] == -1.0
    with pytest.raises(ValueError, match="one of the counts is wrong"):
        tango(3, 3, 5)


def test_paired_difference_leaves_out_what_one_run_could_not_score():
    difference = paired_difference([1.0, math.nan, 0.0], [0.0, 1.0, 0.0])
    assert (difference.value, difference.problems, difference.excluded) == (-0.5, 2, 1)


@pytest.mark.parametrize(("first_rate", "second_rate"), [(0.5, 0.5), (0.02, 0.05), (0.9, 0.99)])
def test_paired_difference_covers(first_rate, second_rate):
    def simulate(rng):
        hardness = rng.random(150)  # the same for both runs, with noise of their own
        first = (hardness + rng.normal(0, 0.1, 150)) % 1 < first_rate
        second = (hardness + rng.normal(0, 0.1, 150)) % 1 < second_rate
        difference = paired_difference(first.tolist(), second.tolist())
        return second_rate - first_rate, difference.low, difference.high

    assert 0.93 < measure_coverage(simulate, 3000) < 0.98


def test_pass_rates_start_without_torch():
    code = "import sys; from palaestra.trainer import intervals; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )
