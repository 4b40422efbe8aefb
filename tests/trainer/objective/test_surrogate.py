"""The clipped surrogate of one token: golden numbers."""

import pytest
import torch
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.objective.surrogate import clip_surrogate


def compute_surrogate(ratio, advantage, **settings):
    config = LossConfig("grpo", **{"clip_low": 0.2, "clip_high": 0.2, **settings})
    values = [torch.tensor([[value]], dtype=torch.float64) for value in (ratio, advantage)]
    return float(clip_surrogate(*values, config).loss_BT)


def test_golden_clipping():
    assert compute_surrogate(0.40 / 0.33, 1.0) == pytest.approx(-1.2)
    assert compute_surrogate(1.35, 0.2) == pytest.approx(-min(0.27, 0.24))
    assert compute_surrogate(5.0, -1.0) == pytest.approx(5)
    assert compute_surrogate(5.0, -1.0, dual_clip=3.0) == pytest.approx(3)
    assert compute_surrogate(5.0, -1.0, delta=4.0) == pytest.approx(4)
    assert (
        compute_surrogate(5.0, 1.0, dual_clip=3.0)
        == compute_surrogate(5.0, 1.0, delta=4.0)
        == pytest.approx(-1.2)
    )
