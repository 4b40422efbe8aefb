"""The loss of the value model: golden clipping, the reference, explained variance."""

import math

import numpy as np
import pytest
import torch
from palaestra.trainer.config.objective import ValueConfig
from palaestra.trainer.objective.losses import combine, count_denominators, summarise_stats
from palaestra.trainer.objective.value_loss import compute_explained_variance, compute_value_loss

from ..support import reference
from ..support.tensors import to_double

NAN = float("nan")


def measure_one(value, old, target, **settings):
    leaf = to_double([[value]]).requires_grad_()
    mask = torch.ones(1, 1)
    result = compute_value_loss(
        leaf,
        to_double([[old]]),
        to_double([[target]]),
        mask,
        ValueConfig(**settings),
        count_denominators(mask, 1),
    )
    result.loss.backward()
    return float(result.loss.detach()), float(leaf.grad), int(result.stats.clip_sum)


def test_golden_value_clipping():
    # Moved from 0.5 past 0.7 towards the return 2: the clipped error (0.7 - 2) is the larger, no gradient.
    assert measure_one(1.0, 0.5, 2.0) == pytest.approx((1.3**2 / 2, 0, 1))
    # Moved away from the return: the unclipped error is the larger and pulls back.
    assert measure_one(1.0, 0.5, 0.0) == pytest.approx((0.5, 1.0, 0))
    assert measure_one(0.6, 0.5, 2.0) == pytest.approx((1.4**2 / 2, -1.4, 0))
    assert measure_one(1.0, 0.5, 2.0, kind="squared") == pytest.approx((0.5, -1, 0))
    assert measure_one(1.0, 0.5, 4.0, kind="huber") == pytest.approx((1 * (3 - 0.5), -1, 0))
    assert measure_one(1.0, 0.5, 1.5, kind="huber") == pytest.approx((0.125, -0.5, 0))
    with pytest.raises(ValueError, match="clip 0: give a number, above 0"):
        ValueConfig(clip=0)


@pytest.mark.parametrize("kind", ["clipped", "squared", "huber"])
def test_value_loss_agrees_with_the_reference_and_its_parts_add_up(kind):
    rng = np.random.default_rng(0)
    mask = rng.random((6, 8)) < 0.7
    arrays = rng.normal(size=(3, 6, 8))
    values, old, target = (torch.tensor(np.where(mask, x, np.nan)) for x in arrays)
    denominators = count_denominators(torch.tensor(mask), 8)

    def run(rows):
        leaf = values[rows].clone().requires_grad_()
        part = compute_value_loss(
            leaf, old[rows], target[rows], torch.tensor(mask[rows]), ValueConfig(kind), denominators
        )
        part.loss.backward()
        assert torch.isfinite(leaf.grad).all()
        assert not leaf.grad[torch.tensor(~mask[rows])].any()
        return part, leaf.grad

    whole, gradient = run([0, 1, 2, 3, 4, 5])
    expected = reference.value_loss(*(x[mask] for x in arrays), kind).mean()
    assert float(whole.loss.detach()) == pytest.approx(expected, rel=1e-12)
    parts = [run([5, 0]), run([2]), run([1, 3, 4])]
    assert sum(float(part.loss.detach()) for part, _ in parts) == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(torch.cat([g for _, g in parts]), gradient[[5, 0, 2, 1, 3, 4]])
    stats = combine([part.stats for part, _ in parts])
    kept, returned = arrays[0][mask], arrays[2][mask]
    assert compute_explained_variance(stats) == pytest.approx(
        1 - np.var(returned - kept) / np.var(returned), rel=1e-9
    )
    assert summarise_stats(stats)["return"] == pytest.approx(returned.mean())


def test_explained_variance_at_its_ends():
    mask = torch.ones(1, 3)
    denominators = count_denominators(mask, 3)

    def explained(values, target):
        return compute_explained_variance(
            compute_value_loss(
                to_double([values]),
                to_double([values]),
                to_double([target]),
                mask,
                ValueConfig(),
                denominators,
            ).stats
        )

    assert explained([1.0, 2, 3], [1.0, 2, 3]) == 1
    assert explained([2.0, 2, 2], [1.0, 2, 3]) == pytest.approx(0)
    assert explained([3.0, 2, 1], [1.0, 2, 3]) < 0
    assert math.isnan(explained([1.0, 2, 3], [0.1, 0.1, 0.1]))
