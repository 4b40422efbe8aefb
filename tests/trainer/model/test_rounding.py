"""What rounding explains grows with the log-probabilities, and is no reason to refuse a fast path."""

import pytest
import torch
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model.dense import buffers
from palaestra.trainer.model.dense.packed import can_pack
from palaestra.trainer.model.policy import Policy, load_policy
from palaestra.trainer.model.rounding import bound_rounding


def test_the_bound_is_a_share_of_the_largest_log_probability_and_never_below_a_floor():
    assert bound_rounding(torch.tensor([[-0.1, -4.0]])) == 1e-4
    assert bound_rounding(torch.tensor([[-0.1, -40.0]])) == pytest.approx(8e-4)


def make_loud_policy() -> Policy:
    """Log-probabilities down to -1000, with rounding to match."""
    policy = load_policy("embedded", "cpu", "float32")
    with torch.no_grad():
        policy.model.model.norm.weight.mul_(300)
    return policy


def test_a_model_whose_log_probabilities_are_large_is_served():
    policy = make_loud_policy()
    assert LocalEngine(policy).path == "fast"
    assert can_pack(policy.model)


def test_a_fast_path_that_turns_drawn_tokens_by_one_place_too_many_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
):
    turn = buffers.compute_rope

    def turn_more(model, positions, device):
        cos_SE, sin_SE = turn(model, positions + 1, device)
        return cos_SE[1:], sin_SE[1:]

    monkeypatch.setattr(buffers, "compute_rope", turn_more)
    engine = LocalEngine(make_loud_policy())
    assert engine.path == "general"
    assert "nats" in engine.reason
