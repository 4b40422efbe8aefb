"""The reward model's loss on pairs and rankings, and its metrics."""

import math

import numpy as np
import pytest
import torch
from palaestra.trainer.config.objective import PreferenceConfig
from palaestra.trainer.objective.losses import combine, summarise_stats
from palaestra.trainer.objective.preference import (
    compute_preference_loss,
    fit_length_slope,
    list_pairs,
    measure_calibration_error,
)

from ..support import reference
from ..support.tensors import to_double

NAN = float("nan")


def run(rewards, ranks, prompts=None, margins=None, **settings):
    leaf = to_double(rewards).requires_grad_()
    prompts = len(rewards) if prompts is None else prompts
    result = compute_preference_loss(
        leaf, torch.tensor(ranks), PreferenceConfig(**settings), prompts, margins_PKK=margins
    )
    result.loss.backward()
    return float(result.loss.detach()), leaf.grad, result.stats


def test_golden_bradley_terry():
    """By hand for a difference of 2: log(1 + e^-2), and -sigmoid(-2), +sigmoid(-2) as its gradient."""
    loss, gradient, stats = run([[1.5, -0.5]], [[0, 1]])
    assert loss == pytest.approx(math.log(1 + math.exp(-2)))
    assert loss == pytest.approx(0.126928011, abs=1e-9)
    assert gradient[0].tolist() == pytest.approx([-0.119202922, 0.119202922], abs=1e-9)
    assert (float(stats.accuracy_sum), float(stats.margin_sum), float(stats.reward_sum)) == (1, 2, 0.5)
    loss, gradient, _ = run([[1.5, -0.5]], [[0, 1]], margin=2.0)
    assert loss == pytest.approx(math.log(2))
    assert gradient[0].tolist() == pytest.approx([-0.5, 0.5])
    loss, gradient, _ = run([[1.5, -0.5]], [[0, 1]], centre_coef=0.01)
    assert loss == pytest.approx(0.126928011 + 0.01, abs=1e-9)
    assert gradient[0].tolist() == pytest.approx([-0.119202922 + 0.02, 0.119202922 + 0.02], abs=1e-9)


def test_golden_ranking_weighs_prompts_not_pairs():
    """Cream 10, hockey 5, donkey -10 beside a prompt with one pair: 3 pairs and 1 pair count the same."""
    rewards, ranks = [[2.0, 1.0, -1.0], [0.0, 3.0, NAN]], [[0, 1, 2], [0, 1, -1]]
    first = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-3))) / 3
    second = math.log(1 + math.exp(3))
    loss, gradient, stats = run(rewards, ranks)
    assert loss == pytest.approx((first + second) / 2)
    assert float(gradient[1, 2]) == 0
    assert (float(stats.prompts), float(stats.accuracy_sum)) == pytest.approx((2, 1))
    assert float(stats.margin_sum) == pytest.approx((1 + 3 + 2) / 3 - 3)


def draw_rankings(seed, prompts=7, answers=5):
    rng = np.random.default_rng(seed)
    ranks = rng.integers(-1, 4, size=(prompts, answers))  # with ties and absent answers
    ranks[0] = [0, 1, 2, 3, 4]
    rewards = np.where(ranks >= 0, rng.normal(size=ranks.shape), np.nan)
    return rewards, ranks


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("settings", [{}, {"margin": 0.7}, {"centre_coef": 0.05}])
def test_agrees_with_the_reference_and_parts_add_up(seed, settings):
    rewards, ranks = draw_rankings(seed)
    counted = len(list_pairs(torch.tensor(ranks)).prompt_N.unique())
    loss, gradient, stats = run(rewards, ranks, counted, **settings)
    rankings = [(r[k >= 0], k[k >= 0]) for r, k in zip(rewards, ranks, strict=True)]
    centre = settings.get("centre_coef", 0.0)
    assert loss == pytest.approx(
        reference.preference_loss(rankings, settings.get("margin", 0.0), centre), rel=1e-12
    )
    parts = [run(rewards[rows], ranks[rows], counted, **settings) for rows in ([3, 0], [6], [1, 2, 4, 5])]
    assert sum(part[0] for part in parts) == pytest.approx(loss, rel=1e-12)
    torch.testing.assert_close(torch.cat([part[1] for part in parts]), gradient[[3, 0, 6, 1, 2, 4, 5]])
    together = combine([part[2] for part in parts])
    assert float(together.prompts) == float(stats.prompts) == counted
    assert float(together.accuracy_sum) == pytest.approx(float(stats.accuracy_sum))
    assert summarise_stats(together)["accuracy"] == pytest.approx(float(stats.accuracy_sum) / counted)


def test_margin_per_pair():
    margins = torch.zeros(1, 2, 2, dtype=torch.float64)
    margins[0, 0, 1], margins[0, 1, 0] = 1.0, NAN  # only that of the better over the worse is read
    assert run([[1.0, 0.0]], [[0, 1]], margins=margins)[0] == pytest.approx(math.log(2))


def test_ties_and_lone_answers_make_no_pair_and_no_gradient():
    loss, gradient, stats = run([[1.0, 2.0], [1.0, NAN]], [[0, 0], [0, -1]], prompts=0)
    assert (loss, float(stats.prompts)) == (0, 0)
    assert not gradient.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_rewards_stay_finite(dtype):
    leaf = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype).requires_grad_()
    result = compute_preference_loss(leaf, torch.tensor([[0, 1], [0, 1]]), PreferenceConfig(), 2)
    result.loss.backward()
    assert result.loss.dtype == torch.float32
    assert float(result.loss.detach()) == pytest.approx(1e4, rel=0.01)
    assert torch.isfinite(leaf.grad).all()


def test_equal_rewards_are_half_right():
    assert float(run([[0.3, 0.3]], [[0, 1]])[2].accuracy_sum) == 0.5


def test_calibration_by_hand():
    """Confidence sigmoid(2) = 0.881 on four pairs of which three are right: |0.75 - 0.881|."""
    rewards, ranks = to_double([[2.0, 0.0], [1.0, -1.0], [3.0, 1.0], [0.0, 2.0]]), torch.tensor([[0, 1]] * 4)
    assert measure_calibration_error(rewards, ranks) == pytest.approx(1 / (1 + math.exp(-2)) - 0.75)
    # Two bins of opposite error don't cancel: sure and right (gap 1 - 0.999), unsure and wrong.
    rewards, ranks = to_double([[7.0, 0.0], [0.0, 0.4]]), torch.tensor([[0, 1]] * 2)
    gaps = [1 - 1 / (1 + math.exp(-7)), 1 / (1 + math.exp(-0.4))]
    assert measure_calibration_error(rewards, ranks) == pytest.approx(np.mean(gaps))
    assert math.isnan(measure_calibration_error(to_double([[1.0, 2.0]]), torch.tensor([[0, 0]])))


def test_a_calibrated_model_has_almost_no_error_and_an_overconfident_one_has_much():
    rng = np.random.default_rng(0)
    difference = rng.normal(size=20_000) * 2
    wins = rng.random(20_000) < 1 / (1 + np.exp(-difference))
    ranks = torch.tensor(np.stack([~wins, wins], 1).astype(int))
    rewards = torch.tensor(np.stack([difference, np.zeros(20_000)], 1))
    assert measure_calibration_error(rewards, ranks) < 0.02
    assert measure_calibration_error(rewards * 4, ranks) > 0.1


def test_length_slope():
    rng = np.random.default_rng(0)
    lengths = rng.integers(10, 200, size=500)
    rewards = 0.02 * lengths + rng.normal(size=500)
    found = fit_length_slope(torch.tensor(rewards), torch.tensor(lengths))
    assert (found.slope, found.correlation) == pytest.approx(
        (np.polyfit(lengths, rewards, 1)[0], np.corrcoef(lengths, rewards)[0, 1])
    )
    assert math.isnan(fit_length_slope(to_double([1.0, 2.0]), torch.tensor([5, 5])).slope)
    assert fit_length_slope(to_double([1.0, 1.0]), torch.tensor([5, 6])).slope == 0
    assert math.isnan(fit_length_slope(to_double([]), to_double([])).slope)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="0 or more"):
        PreferenceConfig(margin=-1)
