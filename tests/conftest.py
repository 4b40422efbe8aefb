"""Makes what all tests share importable by plain names; tasks that a test registers go with it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from palaestra.tasks.core import registry
from palaestra.tasks.core.task import REGISTERED

sys.path.insert(0, str(Path(__file__).parent / "support"))


@contextmanager
def keep_tasks() -> Iterator[None]:
    """The tasks as they are, afterwards."""
    registry.names()  # what is in the package is imported once, and must stay
    before = dict(REGISTERED)
    yield
    REGISTERED.clear()
    REGISTERED.update(before)


@pytest.fixture(autouse=True, scope="module")
def _forget_tasks_of_the_module():
    with keep_tasks():
        yield


@pytest.fixture
def forget_tasks():
    """The tasks that a test makes are none of the next one's."""
    with keep_tasks():
        yield
