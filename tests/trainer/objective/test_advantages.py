"""Group-relative advantages: golden numbers, the reference, abstentions."""

import numpy as np
import pytest
import torch
from palaestra.trainer.config.objective import AdvantageConfig
from palaestra.trainer.objective.advantages import compute_group_advantages

from ..support import reference
from ..support.tensors import to_double

NAN = float("nan")
EVERY_CONFIG = [
    AdvantageConfig(baseline=baseline, scale=scale, normalise_batch=normalise, ddof=ddof)
    for baseline in ("mean", "leave_one_out", "none")
    for scale in ("group", "batch", "none")
    for normalise in (False, True)
    for ddof in (0, 1)
]


def compute_advantages(rewards, abstained=None, **settings):
    rewards = to_double(rewards)
    abstained = torch.zeros_like(rewards, dtype=torch.bool) if abstained is None else torch.tensor(abstained)
    return compute_group_advantages(rewards, abstained, AdvantageConfig(**settings))


def test_golden_advantages():
    values = compute_advantages([[10, 5, -10]], scale="group", ddof=1)[0].tolist()
    assert values == pytest.approx([0.80, 0.32, -1.12], abs=0.005)
    values = compute_advantages([[1, 0.8, 0.4, 0.2]], scale="group", ddof=0, epsilon=0)[0].tolist()
    assert values == pytest.approx([1.265, 0.632, -0.632, -1.265], abs=5e-4)


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("leave_one_out", [False, True])
@pytest.mark.parametrize("scale", ["none", "group"])
def test_agrees_with_the_reference(ddof, leave_one_out, scale):
    rewards = np.random.default_rng(0).normal(size=(5, 6))
    baseline = "leave_one_out" if leave_one_out else "mean"
    ours = compute_advantages(rewards, baseline=baseline, scale=scale, ddof=ddof, epsilon=0.01)
    for row, group in zip(ours, rewards, strict=True):
        assert row.numpy() == pytest.approx(
            reference.advantages(group, scale, ddof, 0.01, leave_one_out), rel=1e-10
        )


def test_batch_scale_and_batch_normalisation():
    rewards = np.random.default_rng(1).normal(size=(4, 3))
    centred = rewards - rewards.mean(1, keepdims=True)
    ours = compute_advantages(rewards, scale="batch", ddof=0, epsilon=0.5)
    assert ours.numpy() == pytest.approx(centred / (rewards.std() + 0.5))
    ours = compute_advantages(rewards, baseline="none", normalise_batch=True, ddof=1, epsilon=0)
    assert ours.numpy() == pytest.approx((rewards - rewards.mean()) / rewards.std(ddof=1))
    ours = compute_advantages(rewards, normalise_batch=True, ddof=1, epsilon=0)
    assert ours.numpy() == pytest.approx(centred / centred.std(ddof=1))


@pytest.mark.parametrize("config", EVERY_CONFIG)
@pytest.mark.parametrize("reward", [0.0, 1.0, NAN, float("inf")])
def test_an_abstained_completion_changes_nothing_for_the_others(config, reward):
    """Whatever its reward holds; the batch with it equals the batch in which its group is one smaller."""
    rest = [[1.0, 0.0, 0.5], [0.2, 0.9, 0.1]]
    small = compute_group_advantages(to_double(rest), torch.zeros(2, 3, dtype=torch.bool), config)
    rewards = to_double([[1.0, reward, 0.0, 0.5], [0.2, 0.9, reward, 0.1]])
    abstained = torch.tensor([[False, True, False, False], [False, False, True, False]])
    large = compute_group_advantages(rewards, abstained, config)
    assert not large[abstained].any()
    torch.testing.assert_close(large[~abstained], small.flatten())


@pytest.mark.parametrize("config", EVERY_CONFIG)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_to_compare_gives_zeros_and_never_nan(config, dtype):
    rewards = torch.tensor([[1.0, 0.0], [NAN, 1.0], [NAN, NAN], [0.1, 0.1]], dtype=dtype)
    values = compute_group_advantages(rewards, rewards.isnan(), config)
    assert values.dtype == dtype
    assert torch.isfinite(values).all()
    assert not values[2].any()
    if config.needs_group:
        assert not values[1].any()


@pytest.mark.parametrize("scale", ["group", "batch"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_rewards_have_no_signal_even_without_epsilon(scale, dtype):
    rewards = torch.full((3, 7), 0.1, dtype=dtype)  # the mean of seven 0.1 is not 0.1 in binary
    config = AdvantageConfig(scale=scale, epsilon=0)
    assert not compute_group_advantages(rewards, torch.zeros(3, 7, dtype=torch.bool), config).any()


def test_a_group_of_one_is_an_error_where_a_group_is_needed():
    for settings in (
        {"baseline": "mean"},
        {"baseline": "leave_one_out"},
        {"baseline": "none", "scale": "group"},
    ):
        with pytest.raises(ValueError, match="group of one"):
            compute_advantages([[1.0], [0.0]], **settings)
    assert compute_advantages([[1.0], [0.0]], baseline="none").tolist() == [[1.0], [0.0]]
    with pytest.raises(ValueError, match="one shape"):
        compute_advantages([[1.0, 0.0]], abstained=[[False]])
