"""A proportion in words."""

import pytest
from palaestra.tasks.core.proportion import Proportion, wilson


def test_none_of_a_thousand_is_at_most_so_many():
    none = Proportion(0, 1_000)
    assert none.interval == wilson(0, 1_000)
    assert none.interval[0] == 0
    assert none.interval[1] == pytest.approx(0.00383, abs=1e-5)
    assert str(none) == "0 % [0, 0.38]"
    assert str(Proportion(0, 0)) == "-"
