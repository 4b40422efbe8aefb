"""The bill of a model by its shape alone."""

import pytest
from palaestra.trainer.planning.shapes import Shape
from scripts import load_script

SHAPE = Shape("small", "qwen2", 64, 176, 7, 4, 2, 151_936, True, 16, True)


@pytest.fixture(scope="module")
def bills():
    return load_script("benchmarks/memory.py")


def test_a_shape_is_billed_part_by_part_without_its_weights(bills):
    counted = SHAPE.parameters
    whole, compact = (bills.weigh(SHAPE, bills.ARMS[name]) for name in list(bills.ARMS)[2:4])
    assert (whole.fixed["weights"], whole.fixed["optimizer"]) == (4 * counted, 8 * counted)
    assert set(whole.fixed) <= {"weights", "optimizer", "sampler"}
    assert compact.fixed["weights"] == 2 * counted
    assert compact.fixed["optimizer"] == pytest.approx(2 * counted, rel=0.02)
    assert compact.gradients == whole.gradients == 4 * counted
