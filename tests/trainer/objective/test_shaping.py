"""What the length limit does to rewards and masks."""

import pytest
import torch
from palaestra.trainer.objective.shaping import (
    compute_overlong_penalty,
    mask_truncated,
    subtract_missing_eos_penalty,
)

from ..support.tensors import to_double


def test_soft_overlong_penalty_of_dapo():
    lengths = torch.tensor([0, 16384, 18432, 20480, 30000])
    assert compute_overlong_penalty(lengths, 20480, 4096).tolist() == pytest.approx([0, 0, -0.5, -1, -1])
    with pytest.raises(ValueError, match="at least 1 and at most the maximum"):
        compute_overlong_penalty(lengths, 100, 200)


def test_truncated_rows_leave_the_mask():
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert mask_truncated(mask, torch.tensor([False, True])).tolist() == [[1, 1, 0], [0, 0, 0]]
    assert mask_truncated(mask.bool(), torch.tensor([True, False])).tolist() == [[False] * 3, [True] * 3]


def test_missing_eos_penalty():
    assert subtract_missing_eos_penalty(to_double([2.0, 2.0]), torch.tensor([True, False]), 1.0).tolist() == [
        2,
        1,
    ]
    with pytest.raises(ValueError, match="would reward it"):
        subtract_missing_eos_penalty(to_double([2.0]), torch.tensor([True]), -1.0)
