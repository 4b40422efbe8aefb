"""The examples in docstrings of what generated tasks share."""

import doctest

import pytest
from palaestra.tasks.common import numbers, polynomials


@pytest.mark.parametrize("module", [numbers, polynomials])
def test_examples_give_what_they_say(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
