"""Makes what all tests share importable by plain names; tasks that a test module registers go with it."""

import sys
from pathlib import Path

import pytest
from palaestra.tasks.core import registry
from palaestra.tasks.core.task import REGISTERED

sys.path.insert(0, str(Path(__file__).parent / "support"))


@pytest.fixture(autouse=True, scope="module")
def _forget_tasks():
    registry.names()  # what is in the package is imported once, and must stay
    before = dict(REGISTERED)
    yield
    REGISTERED.clear()
    REGISTERED.update(before)
