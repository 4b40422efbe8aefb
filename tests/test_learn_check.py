"""The check that training still learns, itself checked: it fails on a crippled learning rate."""

import subprocess
import sys
from pathlib import Path

import pytest
from scripts import load_script

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "learn_check.py"


@pytest.fixture(scope="module")
def check():
    return load_script("benchmarks/learn_check.py")


def test_what_was_recorded_passes_its_own_check(check):
    recorded = check.read_recorded()
    assert len(recorded) >= 10
    for place in range(0, len(recorded) - 2, 3):
        assert all(finding.holds for finding in check.compare(recorded[place : place + 3], recorded))


def test_runs_that_learn_less_fail(check):
    recorded = check.read_recorded()
    worse = [check.Outcome(run.seed, run.start, 0.0) for run in recorded[:3]]
    assert [finding.holds for finding in check.compare(worse, recorded)] == [True, False]
    untaught = [check.Outcome(run.seed, 0.0, run.gain) for run in recorded[:3]]
    assert [finding.holds for finding in check.compare(untaught, recorded)] == [False, True]


def test_the_interval_is_a_prediction_interval(check):
    """Of runs like the recorded ones it fails as often as it says."""
    import numpy as np

    rng, failures, trials = np.random.default_rng(5), 0, 2000
    quantile = check.find_t(15)
    for _ in range(trials):
        values = rng.normal(0.2, 0.05, 19)
        least = values[:16].mean() - quantile * (1 / 3 + 1 / 16) ** 0.5 * values[:16].std(ddof=1)
        failures += values[16:].mean() < least
    assert 0.001 < failures / trials < 0.012
    assert check.find_t(15) == pytest.approx(2.947, abs=0.03)


def test_another_recipe_is_refused(check, tmp_path):
    other = tmp_path / "learn_check.json"
    other.write_text('{"recipe": {"task": "gcd"}, "runs": []}')
    with pytest.raises(ValueError, match="another recipe"):
        check.read_recorded(other)


@pytest.mark.slow
def test_it_still_learns():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("as good as recorded") == 2


@pytest.mark.slow
def test_a_crippled_learning_rate_is_noticed():
    command = [sys.executable, SCRIPT, "--learning-rate", "1e-6"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "gain" in done.stdout
    assert "WORSE" in done.stdout
