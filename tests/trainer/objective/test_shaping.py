"""What the length limit does to rewards and masks."""

import pytest
import torch
from palaestra.trainer.config.presets import ObjectiveConfig
from palaestra.trainer.objective.shaping import (
    compute_overlong_penalty,
    shape_rewards,
    subtract_missing_eos_penalty,
)

from ..support.tensors import to_double


def test_soft_overlong_penalty_of_dapo():
    lengths = torch.tensor([0, 16384, 18432, 20480, 30000])
    assert compute_overlong_penalty(lengths, 20480, 4096).tolist() == pytest.approx([0, 0, -0.5, -1, -1])
    with pytest.raises(ValueError, match="at least 1 and at most the maximum"):
        compute_overlong_penalty(lengths, 100, 200)


def test_shaped_rewards_and_what_counts():
    rewards, abstained = torch.tensor([1.0, 1.0, 0.0]), torch.tensor([False, False, True])
    truncated, lengths = torch.tensor([False, True, False]), torch.tensor([2, 8, 3])

    def shape(**settings):
        return shape_rewards(rewards, abstained, truncated, lengths, ObjectiveConfig.of(**settings), 8)

    assert shape().rewards_B is rewards
    assert shape().counts_B.tolist() == [True, True, False]
    assert shape(mask_truncated=True).counts_B.tolist() == [True, False, False]
    assert shape(overlong_cache=4).rewards_B.tolist() == [1, 0, 0]


def test_missing_eos_penalty():
    assert subtract_missing_eos_penalty(to_double([2.0, 2.0]), torch.tensor([True, False]), 1.0).tolist() == [
        2,
        1,
    ]
    with pytest.raises(ValueError, match="would reward it"):
        subtract_missing_eos_penalty(to_double([2.0]), torch.tensor([True]), -1.0)
