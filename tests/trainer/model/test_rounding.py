"""What rounding explains grows with the log-probabilities, and is no reason to refuse a fast path."""

import pytest
import torch
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model.dense.packed import can_pack
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.model.rounding import bound_rounding


def test_the_bound_is_a_share_of_the_largest_log_probability_and_never_below_a_floor():
    assert bound_rounding(torch.tensor([[-0.1, -4.0]])) == 1e-4
    assert bound_rounding(torch.tensor([[-0.1, -40.0]])) == pytest.approx(8e-4)


def test_a_model_whose_log_probabilities_are_large_is_served_and_a_wrong_one_is_not():
    policy = load_policy("embedded", "cpu", "float32")
    with torch.no_grad():
        policy.model.model.norm.weight.mul_(300)
    assert LocalEngine(policy).path == "fast"
    assert can_pack(policy.model)
    other = load_policy("embedded", "cpu", "float32")
    with torch.no_grad():
        other.model.model.norm.weight.mul_(300)
    turn = other.model.model.rotary_emb.forward
    other.model.model.rotary_emb.forward = lambda x, positions: turn(x, positions * 0 + positions[:, :1])
    assert LocalEngine(other).path == "general"
